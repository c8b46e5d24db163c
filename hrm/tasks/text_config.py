"""The options of the text task."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path

from hrm.tasks.options import require

DOCUMENTS = ("file", "paragraph", "line")
BYTES, BPE = "bytes", "bpe"
NUM_SPECIALS = 2
"""Padding and end of document, the first two tokens of our own tokenizers."""
BYTE_VOCABULARY = NUM_SPECIALS + 256
BPE_VOCABULARY = 4096


@dataclass(frozen=True, kw_only=True)
class TextConfig:
    """Running text, divided into train, validation and test by whole documents.

    Raises:
        ConfigError: a value is out of range, or two exclude each other.
    """

    name: str = "text"
    text: str | None = None
    """A text file, or a pattern such as books/**/*.txt; also .json and .jsonl with a field of text, packed
    with .gz or not. Null with no `dataset`: 38 plays that come with a pinned package."""
    dataset: str | None = None
    """A data set of the Hugging Face hub by name, such as allenai/c4; streamed, and kept once prepared."""
    dataset_config: str | None = None
    """Its configuration, such as en."""
    dataset_split: str = "train"
    """The hub's split that is read; validation and test are divided off it here."""
    text_field: str = "text"
    """The field that holds the text, in JSON and on the hub."""
    subset_percent: float = 100.0
    """Share of the files that is read, and within the last share of the documents."""
    document: str = "file"
    """What is one document of a plain text file: the whole `file`, a `paragraph` or a `line`."""
    tokenizer: str = BYTES
    """`bytes`; `bpe`, trained on the training part; a tokenizer.json; or a tokenizer of the hub (t5-small)."""
    vocab_size: int | None = None
    """Tokens of the model's vocabulary, at least the tokenizer's; null: its own, of `bpe` 4096."""
    seq_len: int = 128
    """Tokens of a sequence, the context."""
    valid_fraction: float = 0.05
    """Share of the text held out for validation, at least one document."""
    test_fraction: float = 0.05
    valid_sequences: int = 128
    """Most sequences of validation, spread evenly over its text."""
    test_sequences: int = 512
    data_seed: int = 0
    """Decides which documents are held out; a run's own seed only decides the order of training."""

    def __post_init__(self) -> None:
        require(self, "name", self.name == "text", "must be 'text'")
        require(self, "text", self.text is None or self.dataset is None,
                f"must be null beside task.dataset={self.dataset}")  # fmt: skip
        for name in ("text", "dataset", "dataset_config"):
            require(self, name, getattr(self, name) != "", "must not be empty; null is none")
        for name in ("dataset_split", "text_field", "tokenizer"):
            require(self, name, bool(getattr(self, name)), "must not be empty")
        if self.text is not None:
            object.__setattr__(self, "text", str(Path(self.text).expanduser().absolute()))
        if self.tokenizer.endswith(".json"):
            object.__setattr__(self, "tokenizer", str(Path(self.tokenizer).expanduser().absolute()))
        require(self, "subset_percent", 0 < self.subset_percent <= 100, "must lie in 0..100, 0 excluded")
        require(self, "document", self.document in DOCUMENTS, f"must be one of: {', '.join(DOCUMENTS)}")
        for name in ("seq_len", "valid_sequences", "test_sequences"):
            require(self, name, getattr(self, name) >= 1, "must be at least 1")
        for name in ("valid_fraction", "test_fraction"):
            require(self, name, 0 < getattr(self, name) < 0.5, "must lie between 0 and 0.5")
        require(self, "data_seed", self.data_seed >= 0, "must be 0 or more")
        if self.vocab_size is not None:
            least = BYTE_VOCABULARY if self.tokenizer in (BYTES, BPE) else 1
            require(
                self, "vocab_size", self.vocab_size >= least, f"must be at least {least} for {self.tokenizer}"
            )

    @property
    def counted_vocab_size(self) -> int | None:
        """The vocabulary as far as the options tell it; None where only a tokenizer's file does."""
        own = {BYTES: BYTE_VOCABULARY, BPE: BPE_VOCABULARY}
        return own.get(self.tokenizer) if self.vocab_size is None else self.vocab_size

    @property
    def files(self) -> list[Path]:
        """The files that `text` means, sorted; a name that is a file is no pattern."""
        assert self.text is not None
        if Path(self.text).exists():
            return [Path(self.text)]
        return sorted(path for path in map(Path, glob.glob(self.text, recursive=True)) if path.is_file())
