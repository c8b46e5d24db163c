"""The folder that a sweep leaves: chosen and checked before anything starts, made when all is ready."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hrm.config.schema import write_yaml
from hrm.system.files import write_atomically
from sweeps.config import SweepConfig
from sweeps.errors import OutputError
from sweeps.execution.signals import resume_command
from sweeps.scheduler import event_log as ledger
from sweeps.search.storage import JOURNAL

CONFIG = "config.yaml"
_LOCK, _REPORT_LOCK = ".lock", ".report.lock"
_SIGNS = (CONFIG, JOURNAL, ledger.FILE_NAME, "sweep.json", "trials.parquet")
"""Files of which any says that a folder holds a sweep."""


def choose(config: SweepConfig) -> Path:
    """The sweep's folder; nothing is made yet.

    Raises:
        OutputError: it holds a sweep already, is no folder, or cannot be written.
    """
    if config.out is None:
        return _fresh(Path("outputs"), f"{config.space['name']}-{time.strftime('%Y%m%d-%H%M%S')}")
    out = Path(config.out).expanduser().absolute()
    if out.exists() and not out.is_dir():
        raise OutputError("out", config.out, "is a file, and must be a folder")
    if any((out / sign).exists() for sign in _SIGNS):
        hint = f"Go on with it: {resume_command(out)}, or choose another folder"
        raise OutputError("out", config.out, "already holds a sweep, which is kept", hint)
    parent = next(folder for folder in (out, *out.parents) if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise OutputError("out", config.out, f"{parent} must be a folder that can be written")
    return out


def _fresh(folder: Path, name: str) -> Path:
    """A folder of that name, with a number after it where sweeps started in the same second."""
    path, number = folder / name, 2
    while path.exists():
        path, number = folder / f"{name}-{number}", number + 1
    return path.absolute()


@contextmanager
def held(out: Path) -> Iterator[None]:
    """The folder, made when missing, for this process alone: two must not run one sweep.

    Raises:
        OutputError: another process holds it, or it cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        file = (out / _LOCK).open("w")
    except OSError as error:
        raise OutputError("out", str(out), f"cannot be written ({error.strerror})") from None
    with file:  # the system lets go of it however this process ends
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError(
                "out", str(out), "holds a sweep that another process is running", "Wait for it or stop it"
            ) from None
        yield


@contextmanager
def reporting(out: Path) -> Iterator[None]:
    """The folder's reports for this process alone: the sweep's own waits for one that was asked for, or the
    other way round."""
    with (out / _REPORT_LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write_config(out: Path, config: SweepConfig) -> None:
    """Puts the sweep's configuration into its folder."""
    write_atomically(out / CONFIG, lambda path: write_yaml(dataclasses.asdict(config), path))
