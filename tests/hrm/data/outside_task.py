"""A task that does not belong to the package: copy the digits of the input."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from hrm.data.base import Batch, Dataset, Progress, Split, TaskConfig
from hrm.data.cache import compute_fingerprint, get_or_build


@dataclass(frozen=True, kw_only=True)
class CopyConfig(TaskConfig):
    """Copies of random digits."""

    summary: ClassVar[str] = "copy the input"

    length: int = 6
    """Digits of an example."""

    def prepare(self, progress: Progress | None = None) -> Path:
        digits = np.random.default_rng(0).integers(1, 10, (20, self.length), dtype=np.int32)
        return get_or_build(
            "copy", {"length": self.length}, lambda folder: np.save(folder / "digits", digits)
        )

    def open(self, folder: Path) -> Dataset:
        return CopyDataset(self, folder)

    def get_model_fields(self) -> dict[str, int]:
        return {"vocab_size": 10, "seq_len": self.length, "num_puzzle_identifiers": 1}


class CopyDataset(Dataset):
    supports_verdict = True

    def __init__(self, config: CopyConfig, folder: Path) -> None:
        digits = np.load(folder / "digits.npy")
        self.name, self.model_fields = config.name, config.get_model_fields()
        self.fingerprint = compute_fingerprint(folder)
        self.valid = self.test = Split(digits, digits, np.zeros(len(digits), np.int32))

    def get_train_batch(self, step: int, batch_size: int, seed: int) -> Batch:
        rng = np.random.default_rng([seed, step])
        digits = rng.integers(1, 10, (batch_size, self.model_fields["seq_len"]), dtype=np.int32)
        return {"inputs": digits, "labels": digits, "puzzle_identifiers": np.zeros(batch_size, np.int32)}


NOT_A_TASK = 3
