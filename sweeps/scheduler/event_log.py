"""`jobs.jsonl`: the events of a sweep, one JSON line each, in order. A sweep is resumed from it.

Each line is on disk before anyone else learns of its event: the study's journal, the tables and the callbacks are
at most one event behind, and are brought up to date when the sweep is resumed.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from sweeps.config import update_stored_options
from sweeps.events import Event, SessionStarted, Validated, Validation

FILE_NAME = "jobs.jsonl"

_NAMES = {kind: kind.__name__.lower() for kind in get_args(Event)}
_KINDS: dict[str, type[Any]] = {name: kind for kind, name in _NAMES.items()}
_OLD_NAMES = {"session": "sessionstarted", "reported": "validated", "revived": "resumed"}
"""Names of events in the logs of versions before 0.2."""


class EventLog:
    """Appends events to a file.

    Args:
        path: made when missing. A last line that a killed writer left unfinished is removed.

    Raises:
        OSError: the file cannot be written, now or by `write`.
    """

    def __init__(self, path: Path) -> None:
        size = len(_read_whole_lines(path))
        # Unbuffered: a line that could not be written must not be tried again after the next one.
        self._file = path.open("ab", buffering=0)
        self._file.truncate(size)

    def write(self, event: Event) -> None:
        """Append an event; it is on disk when this returns."""
        values = {"event": _NAMES[type(event)], **dataclasses.asdict(event)}
        line = json.dumps(values, separators=(",", ":")).encode() + b"\n"
        if self._file.write(line) != len(line):
            raise OSError(f"{self._file.name}: only a part of a line could be written")
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_events(path: Path) -> Iterator[Event]:
    """Yield the file's events, in order; none where there is no file."""
    for line in _read_whole_lines(path).splitlines():
        values = json.loads(line)
        name = values.pop("event")
        kind = _KINDS[_OLD_NAMES.get(name, name)]
        if kind is Validated:
            content = values.get("validation") or values["report"]
            values = {"number": values["number"], "validation": Validation.from_dict(content)}
        if kind is SessionStarted:
            values["limits"] = update_stored_options(values["limits"])
        yield kind(**values)


def _read_whole_lines(path: Path) -> bytes:
    content = path.read_bytes() if path.exists() else b""
    return content[: content.rfind(b"\n") + 1]
