"""Checkpoint files: written whole or not at all, read without running code from the file."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch

from hrm.config.errors import CheckpointError
from hrm.config.run_config import RunConfig
from hrm.data.base import Dataset
from hrm.system.files import write_atomically

FILE_NAME = "checkpoint.pt"
FORMAT = 2
"""Raised when the meaning of a checkpoint's contents changes."""


def save(state: Mapping[str, Any], folder: Path) -> Path:
    """Writes `state` as the folder's checkpoint, in place of an older one.

    A process killed at any moment leaves the old checkpoint or the new one, never a half.

    Args:
        state: nested dicts, lists and tuples of tensors, numbers, strings, booleans and None.
        folder: made when missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE_NAME
    write_atomically(path, lambda temporary: write(state, temporary))
    return path


def write(state: Mapping[str, Any], file: Path | BinaryIO) -> None:
    """Writes `state` as `save` does, into a file or a stream of any storage."""
    torch.save({"format": FORMAT, **state}, file)


def load(folder: Path) -> dict[str, Any]:
    """The state in the folder's checkpoint, its tensors on the CPU.

    Raises:
        CheckpointError: there is no checkpoint, or it cannot be read.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        raise CheckpointError(str(folder), "no checkpoint", f"must be a run's folder, with {FILE_NAME} in it")
    return read(path, str(path))


def read(file: Path | BinaryIO, name: str) -> dict[str, Any]:
    """What `write` wrote, its tensors on the CPU.

    Args:
        file: a stream must be one that can be read anywhere.
        name: what to call it in an error.

    Raises:
        CheckpointError: it cannot be read.
    """
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except (
        RuntimeError,
        pickle.UnpicklingError,
        EOFError,
        OSError,
        ValueError,
        KeyError,
        zipfile.BadZipFile,
    ):
        raise CheckpointError(
            name, "a file that torch cannot read", "must be a checkpoint of this trainer"
        ) from None
    found = state.get("format") if isinstance(state, dict) else None
    if found != FORMAT:
        raise CheckpointError(name, f"format {found}", f"must be a checkpoint of format {FORMAT}")
    return state


FREE_ON_RESUME = ("device", "threads")
"""Fields of a config that may differ from the checkpoint's: they say where a run computes, not what."""


def check_same_run(state: Mapping[str, Any], config: RunConfig, dataset: Dataset) -> None:
    """Makes sure that a saved state is of this config and these data.

    Raises:
        CheckpointError: it belongs to another config or other data.
    """
    given, own = _decisive(state["config"]), _decisive(config.to_dict())
    for name in sorted(given.keys() | own.keys()):
        if given.get(name) != own.get(name):
            raise CheckpointError(
                f"checkpoint's {name}", given.get(name), f"must equal this run's: {own.get(name)!r}"
            )
    if state["data_fingerprint"] != dataset.fingerprint:
        raise CheckpointError(
            "checkpoint's data", state["data_fingerprint"],
            f"must equal the fingerprint of this run's data: {dataset.fingerprint}",
            "The data have changed since the checkpoint was written; start a new run",
        )  # fmt: skip


def _decisive(config: dict[str, Any]) -> dict[str, Any]:
    """The config's values by dotted name, without those that may change on resume."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{field}": inner for field, inner in value.items()}
        elif name not in FREE_ON_RESUME:
            flat[name] = value
    return flat
