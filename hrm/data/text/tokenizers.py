"""From text to tokens and back: bytes, a byte-pair encoding trained on the corpus, or one from a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hrm.config.errors import DataError
from hrm.data import hub
from hrm.data.cache import get_or_build
from hrm.data.text.config import BPE, BYTE_VOCABULARY, BYTES, NUM_SPECIALS, TextConfig

VERSION = 1
"""Goes up when the same corpus would give another encoding; caches hold it."""
PAD, END = "<|pad|>", "<|end|>"
KNOWN_ENDS = (END, "</s>", "<|endoftext|>", "<|end_of_text|>", "<eos>", "<|im_end|>", "[SEP]")
"""What tokenizers call the end of a document; the first that a tokenizer has is its own."""
FILE = "tokenizer.json"


class TextTokenizer(ABC):
    """Tokens of a text. Documents are divided by the token `end`."""

    size: int
    """Tokens that it may give: 0 to `size` - 1."""
    end: int
    """The token at the end of a document."""

    @abstractmethod
    def encode(self, text: bytes) -> tuple[np.ndarray, np.ndarray]:
        """A document in UTF-8 as tokens, and the bytes of text that each stands for.

        Returns:
            Two int64 arrays [n]; the bytes add up to those of the text.
        """

    @abstractmethod
    def decode(self, tokens: Sequence[int]) -> str:
        """Text of tokens; specials are left out, bytes that make no character are shown as �."""


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
        return np.array(encoded.ids, np.int64), _bytes_between(last, words)

    def decode(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode([int(token) for token in tokens], skip_special_tokens=True))


def _bytes_between(ends: np.ndarray, text: str) -> np.ndarray:
    """Bytes from the end of one token to that of the next; what no token covers goes to the one after it.

    Args:
        ends: where each token ends in the text, in characters, int64 [n].
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
    """The file of the tokenizer that a config names; None for bytes and for an encoding of the corpus.

    Raises:
        DataError: it is missing, or the hub cannot be reached.
    """
    if config.tokenizer in (BYTES, BPE):
        return None
    path = Path(config.tokenizer) if config.tokenizer.endswith(".json") else _from_hub(config.tokenizer)
    if not path.is_file():
        raise DataError("task.tokenizer", config.tokenizer, "no such file")
    return path


def train_tokenizer_file(config: TextConfig, train_key: dict[str, Any], train_texts: Iterable[bytes]) -> Path:
    """The file of the encoding of a corpus, trained on the first call.

    Args:
        config: of the task; its tokenizer is `bpe`.
        train_key: what decides the training part of the corpus, as JSON values.
        train_texts: its documents, in UTF-8; read only when no cache holds the encoding.
    """
    size = config.counted_vocab_size
    assert size is not None
    key = {"version": VERSION, "vocab_size": size, **train_key}
    return get_or_build("text_bpe", key, lambda folder: train_bpe(train_texts, size, folder / FILE)) / FILE


def read_tokenizer(config: TextConfig, file: Path | None) -> TextTokenizer:
    """The tokenizer in its file; of bytes without one.

    Raises:
        DataError: the file is malformed, or the tokenizer larger than `task.vocab_size`.
    """
    if file is None:
        return ByteTokenizer()
    tokenizer = FileTokenizer(file, config.tokenizer)
    if config.vocab_size is not None and tokenizer.size > config.vocab_size:
        raise DataError("task.vocab_size", config.vocab_size,
                        f"the tokenizer {config.tokenizer} has {tokenizer.size:,} tokens",
                        f"Give task.vocab_size={tokenizer.size} or more, or null")  # fmt: skip
    return tokenizer


def train_bpe(texts: Iterable[bytes], vocab_size: int, path: Path) -> None:
    """Trains a byte-level byte-pair encoding and writes its tokenizer.json.

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


def _from_hub(name: str) -> Path:
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError, HTTPError

    try:
        kept = try_to_load_from_cache(name, FILE)
        if isinstance(kept, str):
            return Path(kept)
        hint = "Use task.tokenizer=bytes or bpe, or the path of a tokenizer.json"
        hub.check_reachable("models", name, "task.tokenizer", hint)
        return Path(hf_hub_download(name, FILE))
    except HFValidationError:
        rule = "must be bytes, bpe, a tokenizer.json, or a model's name on the hub"
    except (HTTPError, OSError) as error:
        rule = f"the hub gives no {FILE} of it: {' '.join(str(error).split())[:200]}"
    raise DataError("task.tokenizer", name, rule)
