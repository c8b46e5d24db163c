"""Tokenizers: bytes, a byte-pair encoding trained on the corpus, or a tokenizer from a file or the hub."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hrm.config.errors import DataError
from hrm.data.cache import get_or_build
from hrm.data.text.config import BYTE_VOCABULARY, NUM_SPECIALS, VOCABULARIES, TextConfig
from hrm.data.text.sources import check_reachable

VERSION = 1
"""Increased when the same corpus would give another encoding; part of the cache's key."""
PAD, END = "<|pad|>", "<|end|>"
KNOWN_ENDS = (END, "</s>", "<|endoftext|>", "<|end_of_text|>", "<eos>", "<|im_end|>", "[SEP]")
"""Names of the end of a document in various tokenizers; the first one that a tokenizer has is used."""
FILE = "tokenizer.json"


class TextTokenizer(ABC):
    """Converts text to tokens and back. Documents are separated by the token `end`."""

    size: int
    """Its tokens are 0 to `size` - 1."""
    end: int
    """The token at the end of a document."""

    @abstractmethod
    def encode(self, text: bytes) -> tuple[np.ndarray, np.ndarray]:
        """Return the tokens of a document in UTF-8, and the bytes of text that each stands for.

        Returns:
            Two int64 arrays [n]; the bytes add up to those of the text.
        """

    @abstractmethod
    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens without special tokens; bytes that make no character become �."""


class ByteTokenizer(TextTokenizer):
    """PAD 0, END 1, byte b is token b + 2."""

    size = BYTE_VOCABULARY
    end = 1

    def encode(self, text: bytes) -> tuple[np.ndarray, np.ndarray]:
        tokens = np.frombuffer(text, np.uint8).astype(np.int64) + NUM_SPECIALS
        return tokens, np.ones(len(tokens), np.int64)

    def decode(self, tokens: Sequence[int]) -> str:
        own = (token - NUM_SPECIALS for token in tokens if NUM_SPECIALS <= token < self.size)
        return bytes(own).decode("utf-8", "replace")


class FileTokenizer(TextTokenizer):
    """A tokenizer.json of the `tokenizers` library.

    Raises:
        DataError: the file is no tokenizer, or has no token for the end of a document.
    """

    def __init__(self, path: Path, where: str) -> None:
        from tokenizers import Tokenizer

        try:
            self._tokenizer: Any = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing narrower
            reason = " ".join(str(error).split())
            raise DataError("task.tokenizer", where, f"is no tokenizer.json: {reason}") from None
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.size = max(self._tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1
        ends = [self._tokenizer.token_to_id(name) for name in KNOWN_ENDS]
        known = [token for token in ends if token is not None]
        if not known:
            raise DataError(
                "task.tokenizer", where, f"must have a token for the end: {', '.join(KNOWN_ENDS)}"
            )
        self.end = known[0]

    def encode(self, text: bytes) -> tuple[np.ndarray, np.ndarray]:
        words = text.decode()
        encoded = self._tokenizer.encode(words, add_special_tokens=False)
        last = np.array([end for _, end in encoded.offsets], np.int64)
        return np.array(encoded.ids, np.int64), _count_bytes(last, words)

    def decode(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode([int(token) for token in tokens], skip_special_tokens=True))


def _count_bytes(ends: np.ndarray, text: str) -> np.ndarray:
    """Return the bytes from the end of one token to that of the next; what no token covers counts for the next one.

    Args:
        ends: the end of each token in the text, in characters, int64 [n].
    """
    if not len(ends):
        return ends
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    widths = 1 + (codes >= 0x80).astype(np.int64) + (codes >= 0x800) + (codes >= 0x10000)
    byte_ends = np.concatenate([[0], np.cumsum(widths)])
    stops = np.maximum.accumulate(byte_ends[ends])
    stops[-1] = byte_ends[-1]
    return np.diff(stops, prepend=0)


def find_tokenizer_file(config: TextConfig) -> Path | None:
    """Return the file of the tokenizer that a config names; None for bytes and for an encoding of the corpus.

    Raises:
        DataError: it is missing, or the hub cannot be reached.
    """
    if config.tokenizer in VOCABULARIES:
        return None
    is_file = config.tokenizer.endswith(".json")
    path = Path(config.tokenizer) if is_file else _download_tokenizer(config.tokenizer)
    if not path.is_file():
        raise DataError("task.tokenizer", config.tokenizer, "no such file")
    return path


def train_tokenizer_file(config: TextConfig, train_key: dict[str, Any], train_texts: Iterable[bytes]) -> Path:
    """Return the file of the encoding of a corpus, which is trained on the first call.

    Args:
        config: of the task; its tokenizer is `bpe`.
        train_key: everything that decides the training part of the corpus, as JSON values.
        train_texts: its documents, in UTF-8; read only when no cache holds the encoding.
    """
    size = config.known_vocab_size
    assert size is not None
    key = {"version": VERSION, "vocab_size": size, **train_key}
    return get_or_build("text_bpe", key, lambda folder: train_bpe(train_texts, size, folder / FILE)) / FILE


def read_tokenizer(config: TextConfig, file: Path | None) -> TextTokenizer:
    """Read a tokenizer from its file; without one it is that of bytes.

    Raises:
        DataError: the file is malformed, or the tokenizer larger than `task.vocab_size`.
    """
    if file is None:
        return ByteTokenizer()
    tokenizer = FileTokenizer(file, config.tokenizer)
    if config.vocab_size is not None and tokenizer.size > config.vocab_size:
        rule = f"the tokenizer {config.tokenizer} has {tokenizer.size:,} tokens"
        hint = f"Give task.vocab_size={tokenizer.size} or more, or null"
        raise DataError("task.vocab_size", config.vocab_size, rule, hint)
    return tokenizer


def train_bpe(texts: Iterable[bytes], vocab_size: int, path: Path) -> None:
    """Train a byte-level byte-pair encoding and write its tokenizer.json.

    Every byte is a token, so no text is unknown. Equal texts give equal files.

    Args:
        texts: documents in UTF-8.
        vocab_size: most tokens; a small corpus may yield fewer.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((text.decode() for text in texts), trainer)
    tokenizer.save(str(path))


def _download_tokenizer(name: str) -> Path:
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError, HTTPError

    try:
        cached = try_to_load_from_cache(name, FILE)
        if isinstance(cached, str):
            return Path(cached)
        hint = "Use task.tokenizer=bytes or bpe, or the path of a tokenizer.json"
        check_reachable("model", name, "task.tokenizer", hint)
        return Path(hf_hub_download(name, FILE))
    except HFValidationError:
        rule = "must be bytes, bpe, a tokenizer.json, or a model's name on the hub"
    except (HTTPError, OSError) as error:
        rule = f"the hub gives no {FILE} of it: {' '.join(str(error).split())[:200]}"
    raise DataError("task.tokenizer", name, rule)
