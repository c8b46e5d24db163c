"""The options of the task `text`: causal language modelling of any text, in bytes or in a tokenizer's tokens."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from hrm.config.validation import Rule, at_least, between, check, each, one_of
from hrm.data.base import Dataset, Progress, TaskConfig, make_absolute

DOCUMENTS = ("file", "paragraph", "line")
BYTES, BPE = "bytes", "bpe"
NUM_SPECIALS = 2
"""Padding and end of document, the first two tokens of our own tokenizers."""
BYTE_VOCABULARY = NUM_SPECIALS + 256
VOCABULARIES = {BYTES: BYTE_VOCABULARY, BPE: 4096}
"""Tokens of our own tokenizers."""


@dataclass(frozen=True, kw_only=True)
class TextConfig(TaskConfig):
    """Running text, divided into train, validation and test by whole documents.

    Raises:
        ConfigError: a value is out of range, or two exclude each other.
    """

    family: ClassVar[str] = "text"
    summary: ClassVar[str] = (
        "real English (38 plays), or any text: files, or a data set of the Hugging Face hub"
    )

    name: str = "text"
    text: str | None = None
    """A text file, or a pattern such as `books/**/*.txt`; also .json and .jsonl with a text field, optionally
    compressed as .gz. Null without `dataset` is 38 plays from a pinned package."""
    dataset: str | None = None
    """Name of a data set of the Hugging Face hub, such as allenai/c4. It is streamed, and cached once prepared."""
    dataset_config: str | None = None
    """Configuration of the data set, such as en."""
    dataset_split: str = "train"
    """Split of the data set that is read. Validation and test are taken from it."""
    text_field: str = "text"
    """The field that holds the text, in JSON and on the hub."""
    subset_percent: float = 100.0
    """Percentage of the files that is read. Of the last file only a share of its documents may be read."""
    document: str = "file"
    """One document of a plain text file: the whole `file`, a `paragraph` or a `line`."""
    tokenizer: str = BYTES
    """`bytes`; `bpe`, trained on the training part; a tokenizer.json; or a tokenizer of the hub (t5-small)."""
    vocab_size: int | None = None
    """Tokens of the model's vocabulary, at least as many as the tokenizer has; null is as many, 4096 for `bpe`."""
    seq_len: int = 128
    """Tokens of a sequence, the context."""
    valid_fraction: float = 0.05
    """Share of the text held out for validation, at least one document."""
    test_fraction: float = 0.05
    """Share of the text that only the verdict reads, at least one document."""
    valid_sequences: int = 128
    """Most sequences of validation, spread evenly over its text."""
    test_sequences: int = 512
    """Most sequences of the test, spread evenly over its text."""
    data_seed: int = 0
    """Determines which documents are held out. A run's own seed only determines the order of training."""

    def __post_init__(self) -> None:
        check(self, RULES, "task")
        if self.text is not None:
            make_absolute(self, "text")
        if self.tokenizer.endswith(".json"):
            make_absolute(self, "tokenizer")

    @property
    def least_vocab_size(self) -> int:
        """Tokens that the tokenizer has at least, as far as the options tell."""
        return BYTE_VOCABULARY if self.tokenizer in VOCABULARIES else 1

    @property
    def known_vocab_size(self) -> int | None:
        """The vocabulary as far as the options tell; None if only a tokenizer's file does."""
        return VOCABULARIES.get(self.tokenizer) if self.vocab_size is None else self.vocab_size

    @property
    def files(self) -> list[Path]:
        """The files that `text` matches, sorted; the name of a file is no pattern."""
        assert self.text is not None
        if Path(self.text).exists():
            return [Path(self.text)]
        return sorted(path for path in map(Path, glob.glob(self.text, recursive=True)) if path.is_file())

    def prepare(self, progress: Progress | None = None) -> Path:
        from hrm.data.text.task import prepare_text

        return prepare_text(self, progress)

    def open(self, folder: Path) -> Dataset:
        from hrm.data.text.task import TextDataset

        return TextDataset(self, folder)

    def get_model_fields(self) -> dict[str, int] | None:
        vocab_size = self.known_vocab_size
        return None if vocab_size is None else {"vocab_size": vocab_size, "seq_len": self.seq_len}


RULES = (
    *each(["name"], lambda value: value == "text", "must be 'text'"),
    Rule(
        "text",
        lambda c: c.text is None or c.dataset is None,
        lambda c: f"must be null with task.dataset={c.dataset}",
    ),
    *each(
        ["text", "dataset", "dataset_config"], lambda value: value != "", "must not be empty; null is none"
    ),
    *each(["dataset_split", "text_field", "tokenizer"], bool, "must not be empty"),
    *each(["subset_percent"], lambda value: 0 < value <= 100, "must lie in 0..100, 0 excluded"),
    *one_of(DOCUMENTS, "document"),
    *at_least(1, "seq_len", "valid_sequences", "test_sequences"),
    *between(0, 0.5, "valid_fraction", "test_fraction"),
    *at_least(0, "data_seed"),
    Rule(
        "vocab_size",
        lambda c: c.vocab_size is None or c.vocab_size >= c.least_vocab_size,
        lambda c: f"must be at least {c.least_vocab_size} for {c.tokenizer}",
    ),
)
