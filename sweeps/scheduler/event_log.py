"""`jobs.jsonl`: what happened to every job, a JSON line per event, in order. A stopped sweep goes on by it.

Each line is on disk before anything else is told of its event: the study's journal, the tables and whoever
listens are at most one event behind, and are brought up to it when the sweep goes on.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweeps.events import Job, Kind, Report, Status

FILE_NAME = "jobs.jsonl"


@dataclass(frozen=True, kw_only=True)
class Session:
    """A driver has taken the sweep up, for the first time or again."""

    limits: Mapping[str, Any]
    """How far the sweep is to go from here, by dotted name (see `sweeps.scheduler.resume`)."""
    slots: int
    """Jobs that run at once; the first session's decides what a deterministic search sees."""
    memory_bytes: int | None
    """What one trial may use; the first session's decides which presets are baselines."""


@dataclass(frozen=True, kw_only=True)
class Started:
    """A job has been handed out."""

    number: int
    kind: Kind
    arm: str
    seed: int
    time: float = field(default_factory=time.time)
    """Seconds since 1970."""

    @classmethod
    def of(cls, job: Job) -> Started:
        return cls(number=job.number, kind=job.kind, arm=job.arm, seed=job.run.seed)

    def is_of(self, job: Job) -> bool:
        return self == dataclasses.replace(Started.of(job), time=self.time)


@dataclass(frozen=True, kw_only=True)
class Revived:
    """A job that had been pruned has been handed out again."""

    number: int


@dataclass(frozen=True, kw_only=True)
class Reported:
    number: int
    report: Report


@dataclass(frozen=True, kw_only=True)
class Ended:
    number: int
    status: Status
    error: str | None
    traceback: str | None = None
    observed_bytes: int | None = None


Event = Session | Started | Revived | Reported | Ended
_KINDS: dict[str, type[Event]] = {
    kind.__name__.lower(): kind for kind in (Session, Started, Revived, Reported, Ended)
}


class EventLog:
    """Appends events to a file.

    Args:
        path: made when missing. A last line that a killed writer left unfinished is removed.

    Raises:
        OSError: the file cannot be written, now or by `write`.
    """

    def __init__(self, path: Path) -> None:
        whole = len(_whole_lines(path))
        # Unbuffered: a line that could not be written must not be tried again behind the next.
        self._file = path.open("ab", buffering=0)
        self._file.truncate(whole)

    def write(self, event: Event) -> None:
        """The event is on disk when this returns."""
        values = {"event": type(event).__name__.lower(), **dataclasses.asdict(event)}
        line = json.dumps(values, separators=(",", ":")).encode() + b"\n"
        if self._file.write(line) != len(line):
            raise OSError(f"{self._file.name}: only a part of a line could be written")
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def read(path: Path) -> Iterator[Event]:
    """The file's events, in order; none where there is no file."""
    for line in _whole_lines(path).splitlines():
        values = json.loads(line)
        kind = _KINDS[values.pop("event")]
        if kind is Reported:
            values["report"] = Report.from_dict(values["report"])
        yield kind(**values)


def _whole_lines(path: Path) -> bytes:
    content = path.read_bytes() if path.exists() else b""
    return content[: content.rfind(b"\n") + 1]
