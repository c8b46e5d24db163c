"""Tokenizers: nothing is lost, bytes are counted, what does not fit is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrm.config.errors import ConfigError, DataError
from hrm.data.text.config import BYTE_VOCABULARY, TextConfig
from hrm.data.text.tokenizers import ByteTokenizer, FileTokenizer, TextTokenizer, train_bpe
from tests.hrm.data.text_cases import numbered, open_text, write_files


@pytest.fixture(scope="module")
def bpe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bpe") / "tokenizer.json"
    train_bpe([b"the cat sat on the mat, the cat sat. " * 20], 300, path)
    return path


@given(text=st.text(), which=st.sampled_from(["bytes", "bpe"]))
def test_text_comes_back_and_its_bytes_add_up(text: str, which: str, bpe: Path) -> None:
    tokenizer: TextTokenizer = ByteTokenizer() if which == "bytes" else FileTokenizer(bpe, "bpe")
    tokens, sizes = tokenizer.encode(text.encode())
    assert tokenizer.decode(tokens.tolist()) == text
    assert len(sizes) == len(tokens) and int(sizes.sum()) == len(text.encode())
    assert all(0 <= token < tokenizer.size for token in tokens.tolist())
    assert tokenizer.end not in tokens


def test_bytes_are_shifted_by_the_specials() -> None:
    tokens, sizes = ByteTokenizer().encode("é".encode())
    assert tokens.tolist() == [0xC3 + 2, 0xA9 + 2] and sizes.tolist() == [1, 1]
    assert ByteTokenizer.size == BYTE_VOCABULARY == 258
    assert ByteTokenizer().decode([0, 1, ord("a") + 2, 0xC3 + 2, 300]) == "a�"


def test_an_encoding_merges_what_comes_often(bpe: Path) -> None:
    tokens, sizes = FileTokenizer(bpe, "bpe").encode(b"the cat sat")
    assert sizes.tolist() == [3, 4, 4] and len(tokens) == 3


def test_equal_text_gives_equal_encodings(tmp_path: Path) -> None:
    for name in ("a", "b"):
        train_bpe([numbered(1).encode(), numbered(2).encode()], 280, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_held_out_text_has_no_part_in_the_encoding(data_cache: str, tmp_path: Path) -> None:
    texts = [
        f"{word} " * 60 for word in ("alpha", "bravo", "gamma", "delta", "omega", "kappa", "sigma", "theta")
    ]
    data = open_text(write_files(tmp_path, texts), tokenizer="bpe", vocab_size=400)
    for split, whole in ((data.valid, False), (data.test, False)):
        word = data.tokenizer.decode(split.inputs[0].tolist()).split()[1]
        assert (len(data.tokenizer.encode(f" {word}".encode())[0]) == 1) is whole
    batch = data.get_train_batch(0, 1, 0)["inputs"][0]
    seen = data.tokenizer.decode(batch.tolist()).split()[1]
    assert len(data.tokenizer.encode(f" {seen}".encode())[0]) == 1


def test_a_tokenizer_of_a_file(data_cache: str, tmp_path: Path, bpe: Path) -> None:
    pattern = write_files(tmp_path, [numbered(number) for number in range(8)])
    data = open_text(pattern, tokenizer=str(bpe))
    assert data.model_fields["vocab_size"] == FileTokenizer(bpe, "bpe").size
    assert open_text(pattern, tokenizer=str(bpe), vocab_size=32128).model_fields["vocab_size"] == 32128
    with pytest.raises(DataError, match=r"vocab_size: given 200; the tokenizer .* has \d+ tokens"):
        open_text(pattern, tokenizer=str(bpe), vocab_size=200)
    with pytest.raises(DataError, match="no such file"):
        open_text(pattern, tokenizer=str(tmp_path / "missing.json"))
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(DataError, match=r"bad\.json.*is no tokenizer\.json"):
        open_text(pattern, tokenizer=str(tmp_path / "bad.json"))


@pytest.mark.parametrize("tokenizer", ["bytes", "bpe"])
def test_a_vocabulary_that_is_too_small_for_bytes(tokenizer: str) -> None:
    with pytest.raises(ConfigError, match=r"task\.vocab_size: given 257; must be at least 258"):
        TextConfig(tokenizer=tokenizer, vocab_size=257)
