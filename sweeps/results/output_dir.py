"""The folder that a sweep leaves: chosen and checked before anything starts, made when all is ready."""

from __future__ import annotations

import dataclasses
import fcntl
import itertools
import os
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hrm.config.schema import write_yaml
from hrm.system.files import write_atomically
from sweeps.config import SweepConfig
from sweeps.errors import OutputError
from sweeps.events import EVENT_LOG
from sweeps.search.storage import JOURNAL

CONFIG = "config.yaml"
_LOCK, _REPORT_LOCK = ".lock", ".report.lock"
_SIGNS = (CONFIG, JOURNAL, EVENT_LOG, "sweep.json", "trials.parquet")
"""Files any of which shows that a folder holds a sweep."""


def choose_output_dir(config: SweepConfig) -> Path:
    """Return the folder of a new sweep; it is not made yet.

    Raises:
        OutputError: it holds a sweep already, is no folder, or cannot be written.
    """
    if config.out is None:
        path = Path("outputs").absolute() / f"{config.space['name']}-{time.strftime('%Y%m%d-%H%M%S')}"
        # Another sweep may have started in the same second.
        numbered = (path.with_name(f"{path.name}-{number}") for number in itertools.count(2))
        return next(one for one in itertools.chain([path], numbered) if not one.exists())
    out = Path(config.out).expanduser().absolute()
    if out.exists() and not out.is_dir():
        raise OutputError("out", config.out, "is a file, and must be a folder")
    if any((out / sign).exists() for sign in _SIGNS):
        hint = f"Resume it: {format_resume_command(out)}, or choose another folder"
        raise OutputError("out", config.out, "already holds a sweep, which is kept", hint)
    parent = next(folder for folder in (out, *out.parents) if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise OutputError("out", config.out, f"{parent} must be a folder that can be written")
    return out


@contextmanager
def lock_output_dir(out: Path) -> Iterator[None]:
    """Lock the folder, made when missing, for this process: two must not run one sweep.

    Raises:
        OutputError: another process holds the lock, or the folder cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        file = (out / _LOCK).open("w")
    except OSError as error:
        raise OutputError("out", str(out), f"cannot be written ({error.strerror})") from None
    with file:  # the system releases the lock however this process ends
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            rule = "holds a sweep that another process is running"
            raise OutputError("out", str(out), rule, "Wait for it or stop it") from None
        yield


@contextmanager
def lock_reports(out: Path) -> Iterator[None]:
    """Wait until no other process writes the folder's reports: the sweep's own, or one asked for by a user."""
    with (out / _REPORT_LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def format_resume_command(out: Path) -> str:
    """Return the command that resumes the sweep in a folder."""
    near = Path(os.path.relpath(out))
    return f"python run_sweep.py resume={shlex.quote(str(out if '..' in near.parts else near))}"


def write_config(out: Path, config: SweepConfig) -> None:
    """Write the sweep's configuration into its folder."""
    write_atomically(out / CONFIG, lambda path: write_yaml(dataclasses.asdict(config), path))
