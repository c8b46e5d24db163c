"""The folder that a sweep leaves: chosen and checked before anything starts, made when all is ready."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path

from hrm import config as reader
from sweeps.config import SweepConfig
from sweeps.errors import OutputError

CONFIG = "config.yaml"
JOURNAL = "study.journal"
_SIGNS = (CONFIG, JOURNAL, "sweep.json", "trials.parquet")
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
        raise OutputError("out", config.out, "already holds a sweep, which is kept", "Choose another folder")
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


def create(out: Path, config: SweepConfig) -> None:
    """Makes the folder with the sweep's configuration in it.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        reader.write_yaml(dataclasses.asdict(config), out / CONFIG)
    except OSError as error:
        raise OutputError("out", str(out), f"cannot be written ({error.strerror})") from None
