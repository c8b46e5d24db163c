"""A corpus on disk: distinct documents one after another, and their division into splits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hrm.config.errors import DataError
from hrm.data.base import Progress
from hrm.data.cache import compute_fingerprint, get_or_build
from hrm.data.sampling import draw_random_bits
from hrm.data.text.config import TextConfig
from hrm.data.text.sources import describe_source, read_documents

VERSION = 1
"""Increased when the same source would give other documents; part of the cache's key."""
SPLITS = ("train", "valid", "test")
HELD_OUT = ("valid", "test")
_TEXT, _ENDS, _KEYS = "text.bin", "ends.npy", "keys.npy"
_PROGRESS_INTERVAL = 1000
"""Documents between two calls of `progress`."""


class Corpus:
    """Documents in a folder of the cache, read in place.

    Attributes:
        ends: the end of each document in the text, int64 [D], bytes.
        keys: a hash of each document's content, uint64 [D], all different.
        fingerprint: hash of the whole content.
    """

    def __init__(self, folder: Path) -> None:
        self._text = np.memmap(folder / _TEXT, np.uint8, mode="r")
        self.ends: np.ndarray = np.load(folder / _ENDS)
        self.keys: np.ndarray = np.load(folder / _KEYS)
        self.fingerprint = compute_fingerprint(folder)

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def sizes(self) -> np.ndarray:
        """Bytes of each document, int64 [D]."""
        return np.diff(self.ends, prepend=0)

    def read(self, numbers: np.ndarray) -> Iterator[bytes]:
        """Yield documents by their numbers, in UTF-8."""
        for number in numbers.tolist():
            start = int(self.ends[number - 1]) if number else 0
            yield self._text[start : int(self.ends[number])].tobytes()


def open_corpus(config: TextConfig, progress: Progress | None = None) -> Corpus:
    """Open the documents of a source, which are read on the first call.

    Raises:
        DataError: the source is missing, no text, or empty.
    """
    key = {"version": VERSION, **describe_source(config)}
    return Corpus(get_or_build("text_corpus", key, lambda folder: _write_corpus(config, folder, progress)))


def _write_corpus(config: TextConfig, folder: Path, progress: Progress | None) -> None:
    """Write each different document once: a copy could be in another split, and text must not cross."""
    ends: dict[int, int] = {}
    end = 0
    with (folder / _TEXT).open("wb") as file:
        for number, text in enumerate(read_documents(config)):
            content = text.encode("utf-8", "replace")
            key = int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")
            if key in ends:
                continue
            end += file.write(content)
            ends[key] = end
            if progress and number % _PROGRESS_INTERVAL == 0:
                progress(number, number + _PROGRESS_INTERVAL)
    if not ends:
        where = config.dataset or config.text or "task text"
        raise DataError(where, "no text", "must hold at least three documents, one for each split")
    np.save(folder / _ENDS, np.array(list(ends.values()), np.int64))
    np.save(folder / _KEYS, np.array(list(ends), np.uint64))


def split_documents(corpus: Corpus, config: TextConfig) -> dict[str, np.ndarray]:
    """Divide the documents, in a random order that `data_seed` and their content decide.

    Validation and test take documents until they hold their share of the bytes; a document that would take a split
    far beyond its share is skipped. The rest is for training.

    Returns:
        For each of `SPLITS` the numbers of its documents.

    Raises:
        DataError: there are too few documents.
    """
    order = np.argsort(draw_random_bits(config.data_seed, corpus.keys), kind="stable")
    sizes = corpus.sizes.tolist()
    total = sum(sizes)
    shares = {"valid": config.valid_fraction * total, "test": config.test_fraction * total}
    chosen: dict[str, list[int]] = {name: [] for name in SPLITS}
    filled = dict.fromkeys(SPLITS, 0)
    for number in order.tolist():
        open_splits = [name for name in HELD_OUT if filled[name] + sizes[number] / 2 <= shares[name]]
        name = min(open_splits, key=lambda name: filled[name] / shares[name], default="train")
        chosen[name].append(number)
        filled[name] += sizes[number]
    for name in HELD_OUT:
        if not chosen[name] and len(chosen["train"]) > 1:
            smallest = min(chosen["train"], key=lambda number: sizes[number])
            chosen["train"].remove(smallest)
            chosen[name].append(smallest)
    empty = [name for name in SPLITS if not chosen[name]]
    if empty:
        where = f"task text: {len(corpus)} document(s)"
        rule = "a split would be empty: text is divided by whole documents, so there must be at least three"
        hint = "Give more files, or cut them with task.document=paragraph"
        raise DataError(where, ", ".join(empty), rule, hint)
    return {name: np.array(numbers, np.int64) for name, numbers in chosen.items()}
