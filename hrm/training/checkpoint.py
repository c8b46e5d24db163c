"""Checkpoint files: written whole or not at all, read without running code from the file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, BinaryIO
from zipfile import BadZipFile

import torch

from hrm.config.errors import CheckpointError
from hrm.config.run_config import RunConfig
from hrm.data.base import Dataset
from hrm.system.files import write_atomically
from hrm.training.options import FREE_ON_RESUME

FILE_NAME = "checkpoint.pt"
FORMAT = 2
"""Increased when the meaning of a checkpoint's contents changes."""
_READ_ERRORS = (RuntimeError, ValueError, KeyError, EOFError, OSError, UnpicklingError, BadZipFile)


def save_checkpoint(state: Mapping[str, Any], folder: Path) -> Path:
    """Write `state` as the folder's checkpoint, in place of an older one.

    If the process is killed, the old checkpoint or the new one is there, never half of one.

    Args:
        state: nested dicts, lists and tuples of tensors, numbers, strings, booleans and None.
        folder: created if missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE_NAME
    write_atomically(path, lambda temporary: write_checkpoint(state, temporary))
    return path


def write_checkpoint(state: Mapping[str, Any], file: Path | BinaryIO) -> None:
    """Write `state` like `save_checkpoint`, into a file or a stream of any storage."""
    torch.save({"format": FORMAT, **state}, file)


def load_checkpoint(folder: Path) -> dict[str, Any]:
    """Return the state in the folder's checkpoint, its tensors on the CPU.

    Raises:
        CheckpointError: there is no checkpoint, or it cannot be read.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        raise CheckpointError(str(folder), "no checkpoint", f"must be a run's folder, with {FILE_NAME} in it")
    return read_checkpoint(path, str(path))


def read_checkpoint(file: Path | BinaryIO, name: str) -> dict[str, Any]:
    """Return the state that `write_checkpoint` wrote, its tensors on the CPU.

    Args:
        file: a stream must be seekable.
        name: its name in error messages.

    Raises:
        CheckpointError: it cannot be read.
    """
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except _READ_ERRORS:
        rule = "must be a checkpoint of this trainer"
        raise CheckpointError(name, "a file that torch cannot read", rule) from None
    found = state.get("format") if isinstance(state, dict) else None
    if found != FORMAT:
        raise CheckpointError(name, f"format {found}", f"must be a checkpoint of format {FORMAT}")
    return state


def check_same_run(state: Mapping[str, Any], config: RunConfig, dataset: Dataset) -> None:
    """Check that a saved state belongs to this config and these data.

    Raises:
        CheckpointError: it belongs to another config or other data.
    """
    given, own = _flatten_config(state["config"]), _flatten_config(config.to_dict())
    for name in sorted(given.keys() | own.keys()):
        if given.get(name) != own.get(name):
            rule = f"must equal this run's: {own.get(name)!r}"
            raise CheckpointError(f"checkpoint's {name}", given.get(name), rule)
    if state["data_fingerprint"] != dataset.fingerprint:
        rule = f"must equal the fingerprint of this run's data: {dataset.fingerprint}"
        hint = "The data have changed since the checkpoint was written; start a new run"
        raise CheckpointError("checkpoint's data", state["data_fingerprint"], rule, hint)


def _flatten_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a config by dotted name, without those that may change on resume."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{field}": inner for field, inner in value.items()}
        elif name not in FREE_ON_RESUME:
            flat[name] = value
    return flat
