"""The data of the task `text`: documents divided into splits, tokenized and packed into sequences."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hrm.config.errors import DataError
from hrm.data.base import Batch, Dataset, Progress, load_split, save_split
from hrm.data.cache import compute_fingerprint, get_or_build, hash_file
from hrm.data.sampling import create_epoch_generator, take_from_epochs
from hrm.data.text.config import BPE, TextConfig
from hrm.data.text.corpus import HELD_OUT, Corpus, open_corpus, split_documents
from hrm.data.text.tokenizers import (
    FILE,
    ByteTokenizer,
    FileTokenizer,
    TextTokenizer,
    find_tokenizer_file,
    read_tokenizer,
    train_tokenizer_file,
)

VERSION = 1
"""Increased when the same documents would be packed in another way; part of the cache's key."""
TRAIN = "train.bin"
ABOUT = "about.json"
"""`vocab_size`, and of the training stream `dtype` and `num_tokens`."""


def count_windows(num_tokens: int, seq_len: int) -> int:
    """Return how many sequences a stream of tokens holds, each with the token after it as its last label."""
    return (num_tokens - 1) // seq_len


def count_epoch_windows(num_tokens: int, seq_len: int) -> int:
    """Return the sequences of an epoch: where there are several, one is left out to leave room for a random start."""
    return max(1, count_windows(num_tokens, seq_len) - 1)


@lru_cache(maxsize=4)
def shuffle_windows(seed: int, epoch: int, num_tokens: int, seq_len: int) -> np.ndarray:
    """Return the starts of an epoch's sequences, in the order in which they are seen; int64 [windows].

    They follow each other from a random place on, which differs between epochs, so that every token is at every
    position of a sequence in the long run.
    """
    count = count_epoch_windows(num_tokens, seq_len)
    rng = create_epoch_generator(seed, epoch)
    first = rng.integers(0, num_tokens - 1 - count * seq_len, endpoint=True)
    starts = first + seq_len * rng.permutation(count)
    starts.flags.writeable = False
    return starts


class TextDataset(Dataset):
    """A set that `prepare_text` wrote."""

    supports_verdict = True

    def __init__(self, config: TextConfig, folder: Path) -> None:
        self.config, self.folder, self.name = config, folder, config.name
        about = json.loads((folder / ABOUT).read_text())
        self._tokens = np.memmap(folder / TRAIN, about["dtype"], mode="r")
        self.model_fields = {"vocab_size": about["vocab_size"], "seq_len": config.seq_len}
        self.valid, self.test = (load_split(folder, name) for name in HELD_OUT)
        self.fingerprint = compute_fingerprint(folder)
        self.num_train_sequences = count_epoch_windows(self.num_train, config.seq_len)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.config, self.folder)

    @property
    def num_train(self) -> int:
        """Training tokens."""
        return len(self._tokens)

    @property
    def tokenizer(self) -> TextTokenizer:
        path = self.folder / FILE
        return FileTokenizer(path, str(path)) if path.exists() else ByteTokenizer()

    def get_train_batch(self, step: int, batch_size: int, seed: int) -> Batch:
        length = self.config.seq_len
        starts = take_from_epochs(
            step,
            batch_size,
            count_epoch_windows(self.num_train, length),
            lambda epoch: shuffle_windows(seed, epoch, self.num_train, length),
        )
        windows = self._tokens[starts[:, None] + np.arange(length + 1)].astype(np.int32)
        return {"inputs": windows[:, :-1], "labels": windows[:, 1:]}


def prepare_text(config: TextConfig, progress: Progress | None = None) -> Path:
    """Read, divide, tokenize and pack the text on the first call.

    Raises:
        DataError: the text, the tokenizer or the network is missing or malformed, or there is too little text.
    """
    file = find_tokenizer_file(config)
    corpus = open_corpus(config, progress)
    division = {
        "corpus": corpus.fingerprint,
        "held_out": [config.valid_fraction, config.test_fraction, config.data_seed],
    }
    splits = split_documents(corpus, config)
    if config.tokenizer == BPE:
        file = train_tokenizer_file(config, division, corpus.read(splits["train"]))
    tokenizer = read_tokenizer(config, file)
    vocab_size = config.known_vocab_size or tokenizer.size
    key = {
        "version": VERSION,
        **division,
        "tokenizer": config.tokenizer if file is None else hash_file(file),
        "vocab_size": vocab_size,
        "sizes": [config.seq_len, config.valid_sequences, config.test_sequences],
    }

    def build(folder: Path) -> None:
        if file is not None:
            (folder / FILE).write_bytes(file.read_bytes())
        dtype = np.dtype(np.uint16 if vocab_size <= 2**16 else np.uint32)
        num_tokens = 0
        with (folder / TRAIN).open("wb") as stream:
            for done, (tokens, _) in enumerate(_tokenize(corpus, splits["train"], tokenizer)):
                stream.write(tokens.astype(dtype).tobytes())
                num_tokens += len(tokens)
                if progress:
                    progress(done, len(splits["train"]))
        _check_length("train", num_tokens, config)
        for name, most in zip(HELD_OUT, (config.valid_sequences, config.test_sequences)):
            arrays = _pack_sequences(name, corpus, splits[name], tokenizer, config, most)
            save_split(folder, name, **arrays)
        about = {"vocab_size": vocab_size, "dtype": dtype.str, "num_tokens": num_tokens}
        (folder / ABOUT).write_text(json.dumps(about))

    return get_or_build("text", key, build)


def _tokenize(
    corpus: Corpus, numbers: np.ndarray, tokenizer: TextTokenizer
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield tokens and their bytes, document by document: an end token before the first and after each."""
    end, no_bytes = np.array([tokenizer.end], np.int64), np.zeros(1, np.int64)
    yield end, no_bytes
    for text in corpus.read(numbers):
        tokens, sizes = tokenizer.encode(text)
        yield np.concatenate([tokens, end]), np.concatenate([sizes, no_bytes])


def _pack_sequences(
    name: str, corpus: Corpus, numbers: np.ndarray, tokenizer: TextTokenizer, config: TextConfig, most: int
) -> dict[str, np.ndarray]:
    """Return the arrays of an evaluated split: at most `most` sequences, spread evenly.

    Tokens at the end that fill no sequence are not evaluated.
    """
    parts = list(_tokenize(corpus, numbers, tokenizer))
    tokens, sizes = (np.concatenate(column) for column in zip(*parts))
    _check_length(name, len(tokens), config)
    windows = count_windows(len(tokens), config.seq_len)
    chosen = np.linspace(0, windows - 1, min(most, windows)).round().astype(np.int64)
    positions = chosen[:, None] * config.seq_len + np.arange(config.seq_len)
    arrays = {
        "inputs": tokens[positions],
        "labels": tokens[positions + 1],
        "label_bytes": sizes[positions + 1].sum(axis=1),
    }
    return {field: array.astype(np.int32) for field, array in arrays.items()}


def _check_length(name: str, num_tokens: int, config: TextConfig) -> None:
    if count_windows(num_tokens, config.seq_len) < 1:
        rule = f"is shorter than one sequence of task.seq_len={config.seq_len} and the token after it"
        hint = "Give more text or a smaller task.seq_len"
        raise DataError(f"task text: {name} split", f"{num_tokens:,} tokens", rule, hint)
