"""A corpus on disk: distinct documents one after another, and which split each belongs to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from hrm.config.errors import DataError
from hrm.data.cache import compute_fingerprint, get_or_build
from hrm.data.sampling import draw_random_bits
from hrm.data.text.config import TextConfig
from hrm.data.text.sources import describe_source, read_documents

VERSION = 1
"""Goes up when the same source would give other documents; caches hold it."""
SPLITS = ("train", "valid", "test")
HELD_OUT = ("valid", "test")
_TEXT, _ENDS, _KEYS = "text.bin", "ends.npy", "keys.npy"
_EVERY = 1000
"""Documents between two words of progress."""

Progress = Callable[[int, int], None]


class Corpus:
    """Documents that `write_corpus` wrote, read in place.

    Attributes:
        ends: where each document ends in the text, int64 [D], bytes.
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

    def document(self, number: int) -> bytes:
        """One document in UTF-8."""
        start = int(self.ends[number - 1]) if number else 0
        return self._text[start : int(self.ends[number])].tobytes()


def open_corpus(config: TextConfig, progress: Progress | None = None) -> Corpus:
    """The documents of a source, read on the first call.

    Raises:
        DataError: the source is missing, no text, or holds none.
    """
    key = {"version": VERSION, **describe_source(config)}
    return Corpus(get_or_build("text_corpus", key, lambda folder: _write(config, folder, progress)))


def _write(config: TextConfig, folder: Path, progress: Progress | None) -> None:
    """Writes each different document once: a copy in another split would be text that crosses."""
    ends, keys, end = [], [], 0
    seen: set[int] = set()
    with (folder / _TEXT).open("wb") as file:
        for number, text in enumerate(read_documents(config)):
            content = text.encode("utf-8", "replace")
            key = int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")
            if key in seen:
                continue
            seen.add(key)
            end += file.write(content)
            ends.append(end)
            keys.append(key)
            if progress and number % _EVERY == 0:
                progress(number, number + _EVERY)
    if not ends:
        where = config.dataset or config.text or "task text"
        raise DataError(where, "no text", "must hold at least three documents, one for each split")
    np.save(folder / _ENDS, np.array(ends, np.int64))
    np.save(folder / _KEYS, np.array(keys, np.uint64))


def split_documents(corpus: Corpus, config: TextConfig) -> dict[str, np.ndarray]:
    """The documents of each split, in a random order that `data_seed` and their content decide.

    Validation and test take documents until they hold their share of the bytes; one that would take a split
    far beyond its share is passed over. The rest is for training.

    Returns:
        Of each of `SPLITS` the numbers of its documents.

    Raises:
        DataError: there are too few documents.
    """
    order = np.argsort(draw_random_bits(config.data_seed, corpus.keys), kind="stable")
    sizes = corpus.sizes
    total = int(sizes.sum())
    shares = {"valid": config.valid_fraction * total, "test": config.test_fraction * total}
    chosen: dict[str, list[int]] = {name: [] for name in SPLITS}
    held = dict.fromkeys(HELD_OUT, 0)
    for number in order.tolist():
        size = int(sizes[number])
        roomy = [name for name in HELD_OUT if held[name] + size / 2 <= shares[name]]
        name = min(roomy, key=lambda name: held[name] / shares[name], default="train")
        chosen[name].append(number)
        if name != "train":
            held[name] += size
    for name in HELD_OUT:
        if not chosen[name] and len(chosen["train"]) > 1:
            smallest = min(chosen["train"], key=lambda number: int(sizes[number]))
            chosen["train"].remove(smallest)
            chosen[name].append(smallest)
    empty = [name for name in SPLITS if not chosen[name]]
    if empty:
        raise DataError(
            f"task text: {len(corpus)} document(s)", ", ".join(empty),
            "a split would be empty: text is divided by whole documents, so there must be at least three",
            "Give more files, or cut them with task.document=paragraph",
        )  # fmt: skip
    return {name: np.array(numbers, np.int64) for name, numbers in chosen.items()}


def iterate_documents(corpus: Corpus, numbers: np.ndarray) -> Iterator[bytes]:
    """These documents, in the given order."""
    return (corpus.document(int(number)) for number in numbers)
