"""The task `text`: causal language modelling of real text, in bytes or in any tokenizer's tokens."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hrm.config.errors import DataError
from hrm.data.base import Batch, Dataset, Split, TaskKind
from hrm.data.cache import compute_fingerprint, get_or_build, hash_file
from hrm.data.sampling import create_epoch_generator, take_from_epochs
from hrm.data.text.config import BPE, TextConfig
from hrm.data.text.corpus import HELD_OUT, Corpus, iterate_documents, open_corpus, split_documents
from hrm.data.text.tokenizers import (
    FILE,
    ByteTokenizer,
    FileTokenizer,
    TextTokenizer,
    find_tokenizer_file,
    read_tokenizer,
    train_tokenizer_file,
)

TRAIN = "train.bin"
ABOUT = "about.json"
"""`vocab_size`, and of the training stream `dtype` and `num_tokens`."""
FIELDS = ("inputs", "labels", "label_bytes")


def count_windows(num_tokens: int, seq_len: int) -> int:
    """Sequences that a stream of tokens holds, each with the token after it as its last label."""
    return (num_tokens - 1) // seq_len


@lru_cache(maxsize=4)
def shuffle_windows(seed: int, epoch: int, num_tokens: int, seq_len: int) -> np.ndarray:
    """Where the sequences of an epoch start, in the order in which they are seen; int64 [windows].

    They lie side by side from a random place on, another in each epoch, so that every token stands at every
    position of a sequence in the long run.
    """
    count = count_epoch_windows(num_tokens, seq_len)
    rng = create_epoch_generator(seed, epoch)
    first = rng.integers(0, num_tokens - 1 - count * seq_len, endpoint=True)
    starts = first + seq_len * rng.permutation(count)
    starts.flags.writeable = False
    return starts


def count_epoch_windows(num_tokens: int, seq_len: int) -> int:
    """Sequences of an epoch: one fewer than fit, where there are more, leaves room for a random start."""
    return max(1, count_windows(num_tokens, seq_len) - 1)


class TextDataset(Dataset):
    """What `hrm.data.text.task.prepare` wrote.

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
        self.fingerprint = compute_fingerprint(folder)
        self.num_train_sequences = count_epoch_windows(self.num_train, config.seq_len)

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

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.config, self.folder)


def _split(folder: Path, name: str) -> Split:
    arrays = {field: np.load(folder / f"{name}_{field}.npy", mmap_mode="r") for field in FIELDS}
    return Split(**arrays)


VERSION = 1
"""Goes up when the same documents would be packed in another way; caches hold it."""


def prepare(config: TextConfig, progress: Callable[[int, int], None] | None = None) -> Path:
    """Reads, divides, tokenizes and packs the text on the first call.

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
        file = train_tokenizer_file(config, division, iterate_documents(corpus, splits["train"]))
    tokenizer = read_tokenizer(config, file)
    key = {
        "version": VERSION,
        **division,
        "tokenizer": config.tokenizer if file is None else hash_file(file),
        "vocab_size": config.counted_vocab_size or tokenizer.size,
        "sizes": [config.seq_len, config.valid_sequences, config.test_sequences],
    }

    def build(folder: Path) -> None:
        if file is not None:
            (folder / FILE).write_bytes(file.read_bytes())
        vocab_size = config.counted_vocab_size or tokenizer.size
        dtype = np.dtype(np.uint16 if vocab_size <= 2**16 else np.uint32)
        num_tokens = _write_train(corpus, splits["train"], tokenizer, dtype, folder / TRAIN, progress)
        _check_length("train", num_tokens, config)
        for name, most in zip(HELD_OUT, (config.valid_sequences, config.test_sequences)):
            arrays = _held_out(name, corpus, splits[name], tokenizer, config, most)
            for field, array in zip(FIELDS, arrays):
                np.save(folder / f"{name}_{field}.npy", array)
        about = {"vocab_size": vocab_size, "dtype": dtype.str, "num_tokens": num_tokens}
        (folder / ABOUT).write_text(json.dumps(about))

    return get_or_build("text", key, build)


def _stream(
    corpus: Corpus, numbers: np.ndarray, tokenizer: TextTokenizer
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Tokens and their bytes, document by document: an end before the first and after each."""
    end = np.array([tokenizer.end], np.int64)
    nothing = np.zeros(1, np.int64)
    yield end, nothing
    for text in iterate_documents(corpus, numbers):
        tokens, sizes = tokenizer.encode(text)
        yield np.concatenate([tokens, end]), np.concatenate([sizes, nothing])


def _write_train(
    corpus: Corpus,
    numbers: np.ndarray,
    tokenizer: TextTokenizer,
    dtype: np.dtype[Any],
    path: Path,
    progress: Callable[[int, int], None] | None,
) -> int:
    """Writes the training stream; returns its tokens."""
    num_tokens = 0
    with path.open("wb") as file:
        for done, (tokens, _) in enumerate(_stream(corpus, numbers, tokenizer)):
            file.write(tokens.astype(dtype).tobytes())
            num_tokens += len(tokens)
            if progress:
                progress(done, len(numbers))
    return num_tokens


def _held_out(
    name: str, corpus: Corpus, numbers: np.ndarray, tokenizer: TextTokenizer, config: TextConfig, most: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs, labels and bytes of labels of an evaluated split: at most so many sequences, spread evenly.

    What is left at the end and fills no sequence is not evaluated.
    """
    parts = list(_stream(corpus, numbers, tokenizer))
    tokens, sizes = (np.concatenate(column) for column in zip(*parts))
    _check_length(name, len(tokens), config)
    windows = count_windows(len(tokens), config.seq_len)
    chosen = np.linspace(0, windows - 1, min(most, windows)).round().astype(np.int64)
    positions = chosen[:, None] * config.seq_len + np.arange(config.seq_len)
    label_bytes = sizes[positions + 1].sum(axis=1)
    return (
        tokens[positions].astype(np.int32),
        tokens[positions + 1].astype(np.int32),
        label_bytes.astype(np.int32),
    )


def _check_length(name: str, num_tokens: int, config: TextConfig) -> None:
    if count_windows(num_tokens, config.seq_len) < 1:
        raise DataError(
            f"task text: {name} split", f"{num_tokens:,} tokens",
            f"is shorter than one sequence of task.seq_len={config.seq_len} and the token after it",
            "Give more text or a smaller task.seq_len",
        )  # fmt: skip


def _counted_fields(config: TextConfig) -> dict[str, int] | None:
    vocab_size = config.counted_vocab_size
    return None if vocab_size is None else {"vocab_size": vocab_size, "seq_len": config.seq_len}


TEXT = TaskKind(
    config_class=TextConfig,
    family="text",
    prepare=prepare,
    open=TextDataset,
    summary="real English (38 plays), or any text: files, or a data set of the Hugging Face hub",
    counted_fields=_counted_fields,
)
