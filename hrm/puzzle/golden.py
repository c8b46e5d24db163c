"""Golden files: numbers of the official HRM, one `.npz` a model (see `hrm.puzzle.parity`)."""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hrm import config as reader
from hrm.errors import DataError
from hrm.model import TensorBatch
from hrm.puzzle.checkpoint_names import load_official
from hrm.puzzle.config import PuzzleHRMConfig
from hrm.puzzle.model import PuzzleHRM
from hrm.tasks.base import IGNORED_LABEL

BATCH_KEYS = ("inputs", "labels", "puzzle_identifiers")
_NOT_OURS = ("name", "loss", "batch_size", "causal")
"""Fields of an official config that say nothing about our model."""


@dataclass(frozen=True)
class GoldenFile:
    """The arrays of one golden file, and the config of its model."""

    path: Path
    arrays: dict[str, np.ndarray]
    config: PuzzleHRMConfig
    optimizer: dict[str, Any] | None
    """Hyperparameters of the recorded training run; None in a file of segments."""

    @classmethod
    def read(cls, path: Path) -> GoldenFile:
        """Reads and checks a file.

        Raises:
            DataError: it is missing, or not a golden file.
            ConfigError: its config is not one of ours.
        """
        arrays = _read_arrays(path)
        try:
            meta = json.loads(arrays.pop("meta").item())
            config = {name: value for name, value in meta["config"].items() if name not in _NOT_OURS}
            # The official code has no puzzle embedding by default; a golden run never explores.
            config = {"puzzle_emb_ndim": 0} | config
            config |= {"halt_exploration_prob": 0.0, "loss_type": meta["loss_type"]}
            optimizer = meta.get("optimizer")
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            given = f"missing {error}" if isinstance(error, KeyError) else "unreadable"
            raise DataError(f"{path}: meta", given, "must be JSON with config and loss_type") from None
        return cls(path, arrays, reader.build(PuzzleHRMConfig, config, f"{path}: meta.config"), optimizer)

    def model(self) -> PuzzleHRM:
        """The model with the file's weights.

        Raises:
            CheckpointError: the weights do not fit the config.
        """
        model = PuzzleHRM(self.config)
        load_official(model, self.under("state/"), f"{self.path}: state")
        return model

    def array(self, key: str) -> Tensor:
        """One array.

        Raises:
            DataError: there is none, or it does not hold numbers.
        """
        if key not in self.arrays:
            raise DataError(str(self.path), f"no {key}", "must hold every array of its format")
        try:
            return torch.from_numpy(np.array(self.arrays[key]))
        except TypeError:
            raise DataError(f"{self.path}: {key}", str(self.arrays[key].dtype), "must hold numbers") from None

    def under(self, prefix: str) -> dict[str, Tensor]:
        """All arrays whose key starts with the prefix, by the rest of their keys."""
        return {key.removeprefix(prefix): self.array(key) for key in self.arrays if key.startswith(prefix)}

    def batch(self, number: int) -> TensorBatch:
        """`batch{number}`.

        Raises:
            DataError: it is missing, or does not fit the config.
        """
        batch = {name: self.array(f"batch{number}/{name}") for name in BATCH_KEYS}
        config, num_sequences = self.config, len(batch["puzzle_identifiers"].view(-1))
        cells = (num_sequences, config.seq_len)
        self._check(number, "inputs", batch["inputs"], cells, range(config.vocab_size))
        self._check(number, "labels", batch["labels"], cells, {IGNORED_LABEL, *range(config.vocab_size)})
        identifiers = batch["puzzle_identifiers"]
        self._check(
            number, "puzzle_identifiers", identifiers, cells[:1], range(config.num_puzzle_identifiers)
        )
        return batch

    def _check(
        self, number: int, name: str, values: Tensor, shape: tuple[int, ...], allowed: Container[int]
    ) -> None:
        where = f"{self.path}: batch{number}/{name}"
        if values.shape != shape or values.is_floating_point():
            raise DataError(where, f"{values.dtype} {list(values.shape)}", f"must be integers {list(shape)}")
        for value in values.unique().tolist():
            if value not in allowed:
                raise DataError(where, value, "must lie in the range of the config")

    def numbers(self, kind: str) -> list[int]:
        """The numbers n of the groups `{kind}{n}/...`, ascending."""
        found = (re.match(rf"{kind}(\d+)/", key) for key in self.arrays)
        return sorted({int(match[1]) for match in found if match})


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except FileNotFoundError:
        raise DataError(str(path), "no such file", "must be a golden .npz file") from None
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(str(path), type(error).__name__, "must be a golden .npz file") from None
