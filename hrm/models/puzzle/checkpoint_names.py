"""The names of weights in checkpoints of the official trainer, and reading such checkpoints.

Our network has the official names. The official trainer saves them as `_orig_mod.model.inner.<name>`
(compiled model, loss head, ACT wrapper; without `_orig_mod.` under DISABLE_COMPILE), ours saves
`inner.<name>`. An official checkpoint also holds `H_init`, `L_init` and `puzzle_emb.weights`, but no optimizers.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from hrm.config.errors import CheckpointError

if TYPE_CHECKING:  # the model's module imports this one
    from hrm.models.puzzle.model import PuzzleHRM

_WRAPPERS = ("_orig_mod", "module", "model", "inner")


def from_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename official weights, under whichever wrappers, to the names of `PuzzleHRM.state_dict`."""
    return {f"inner.{_strip_wrappers(name)}": tensor for name, tensor in state.items()}


def to_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename weights of `PuzzleHRM.state_dict` to the names that the official trainer saves and evaluates."""
    return {f"_orig_mod.model.inner.{_strip_wrappers(name)}": tensor for name, tensor in state.items()}


def load_official(model: PuzzleHRM, state: Mapping[str, Tensor], where: str = "checkpoint") -> None:
    """Copy official weights, under whichever wrappers, into the model.

    Raises:
        CheckpointError: a tensor is missing, unknown, or of another shape than the model's.
    """
    theirs, ours = from_official(state), model.state_dict()
    for fault, names in (
        ("lacks", ours.keys() - theirs.keys()),
        ("has unknown", theirs.keys() - ours.keys()),
    ):
        if names:
            listed = ", ".join(sorted(map(_strip_wrappers, names)))
            raise CheckpointError(where, f"{fault} {listed}", "must hold the tensors of the model's config")
    for name, tensor in theirs.items():
        if tensor.shape != ours[name].shape:
            rule = f"must have the shape {list(ours[name].shape)} that the model's config asks for"
            raise CheckpointError(f"{where}: {_strip_wrappers(name)}", list(tensor.shape), rule)
    model.load_state_dict(theirs)


def read_official(model: PuzzleHRM, path: Path) -> None:
    """Load weights from a file: a checkpoint of the official trainer, or our `weights.pt` or `best.pt`.

    Raises:
        CheckpointError: the file is missing or no checkpoint, or does not fit the model.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        given = "no such file" if isinstance(error, FileNotFoundError) else "unreadable"
        raise CheckpointError(str(path), given, "must be a state_dict that torch.save wrote") from None
    if not isinstance(state, Mapping) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise CheckpointError(str(path), type(state).__name__, "must be a mapping of names to tensors")
    load_official(model, state, str(path))


def _strip_wrappers(name: str) -> str:
    head, _, rest = name.partition(".")
    return _strip_wrappers(rest) if head in _WRAPPERS else name
