"""Packed text on disk and in batches: documents one after another, cut into sequences of equal length."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hrm.tasks.base import Batch, Dataset, Split
from hrm.tasks.cache import content_fingerprint
from hrm.tasks.sampling import epoch_generator, take_from_epochs
from hrm.tasks.text_config import TextConfig
from hrm.tasks.text_corpus import HELD_OUT
from hrm.tasks.text_tokenizers import FILE, ByteTokenizer, FileTokenizer, TextTokenizer

TRAIN = "train.bin"
ABOUT = "about.json"
"""`vocab_size`, and of the training stream `dtype` and `num_tokens`."""
FIELDS = ("inputs", "labels", "label_bytes")


def num_windows(num_tokens: int, seq_len: int) -> int:
    """Sequences that a stream of tokens holds, each with the token after it as its last label."""
    return (num_tokens - 1) // seq_len


@lru_cache(maxsize=4)
def window_starts(seed: int, epoch: int, num_tokens: int, seq_len: int) -> np.ndarray:
    """Where the sequences of an epoch start, in the order in which they are seen; int64 [windows].

    They lie side by side from a random place on, another in each epoch, so that every token stands at every
    position of a sequence in the long run.
    """
    count = epoch_windows(num_tokens, seq_len)
    rng = epoch_generator(seed, epoch)
    first = rng.integers(0, num_tokens - 1 - count * seq_len, endpoint=True)
    starts = first + seq_len * rng.permutation(count)
    starts.flags.writeable = False
    return starts


def epoch_windows(num_tokens: int, seq_len: int) -> int:
    """Sequences of an epoch: one fewer than fit, where there are more, leaves room for a random start."""
    return max(1, num_windows(num_tokens, seq_len) - 1)


class TextDataset(Dataset):
    """What `hrm.tasks.text.prepare` wrote.

    Attributes:
        tokenizer: of the text.
    """

    supports_verdict = True

    def __init__(self, config: TextConfig, folder: Path) -> None:
        self.config, self.folder, self.name = config, folder, config.name
        about = json.loads((folder / ABOUT).read_text())
        self._tokens = np.memmap(folder / TRAIN, about["dtype"], mode="r")
        self.model_fields = {"vocab_size": about["vocab_size"], "seq_len": config.seq_len}
        self.valid, self.test = (_split(folder, name) for name in HELD_OUT)
        self.fingerprint = content_fingerprint(folder)
        self.num_train_sequences = epoch_windows(self.num_train, config.seq_len)

    @property
    def num_train(self) -> int:
        """Training tokens."""
        return len(self._tokens)

    @property
    def tokenizer(self) -> TextTokenizer:
        path = self.folder / FILE
        return FileTokenizer(path, str(path)) if path.exists() else ByteTokenizer()

    def train_batch(self, step: int, batch_size: int, seed: int) -> Batch:
        length = self.config.seq_len
        starts = take_from_epochs(
            step,
            batch_size,
            epoch_windows(self.num_train, length),
            lambda epoch: window_starts(seed, epoch, self.num_train, length),
        )
        windows = self._tokens[starts[:, None] + np.arange(length + 1)].astype(np.int32)
        return {"inputs": windows[:, :-1], "labels": windows[:, 1:]}

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.config, self.folder)


def _split(folder: Path, name: str) -> Split:
    arrays = {field: np.load(folder / f"{name}_{field}.npy", mmap_mode="r") for field in FIELDS}
    return Split(**arrays)
