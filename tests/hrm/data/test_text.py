"""The text task: whole documents in one split, packed without loss, read again as they were."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hrm.config.errors import DataError
from hrm.data.base import InMemoryDataset
from hrm.data.cache import CACHE_VARIABLE
from hrm.data.registry import open_task
from hrm.data.text.config import TextConfig
from hrm.data.text.task import TextDataset, count_epoch_windows
from hrm.data.text.tokenizers import ByteTokenizer
from tests.hrm.data.text_cases import numbered, open_text, write_files

pytestmark = pytest.mark.usefixtures("data_cache")


def names(data: TextDataset, tokens: np.ndarray) -> set[str]:
    """The documents of `numbered` that appear in sequences of tokens."""
    return {word for row in tokens.tolist() for word in re.findall(r"d\d{3}", data.tokenizer.decode(row))}


def epoch(data: TextDataset, seed: int = 0) -> np.ndarray:
    """Every training sequence of a first epoch, with its last label."""
    batch = data.get_train_batch(0, count_epoch_windows(data.num_train, data.config.seq_len), seed)
    return np.concatenate([batch["inputs"], batch["labels"][:, -1:]], axis=1)


@pytest.mark.parametrize("tokenizer", ["bytes", "bpe"])
@pytest.mark.parametrize("seed", [0, 1])
def test_no_text_crosses_from_split_to_split(tmp_path: Path, tokenizer: str, seed: int) -> None:
    texts = [numbered(number) for number in range(30)]
    texts += texts[:15]  # copies: of equal documents only one is kept
    pattern = write_files(tmp_path, texts)
    data = open_text(pattern, tokenizer=tokenizer, data_seed=seed, valid_sequences=500, test_sequences=500)
    train, valid, test = (
        names(data, tokens) for tokens in (epoch(data), data.valid.inputs, data.test.inputs)
    )
    assert len(train) >= 15 and len(valid) >= 4 and len(test) >= 4
    assert not (train & valid or train & test or valid & test)
    assert len(train | valid | test) == 30


def test_another_data_seed_holds_out_other_documents(tmp_path: Path) -> None:
    pattern = write_files(tmp_path, [numbered(number) for number in range(20)])
    held = [
        frozenset(names(data, data.test.inputs))
        for data in (open_text(pattern, data_seed=s) for s in range(4))
    ]
    assert len(set(held)) > 1


def test_held_out_shares_are_those_asked_for(tmp_path: Path) -> None:
    pattern = write_files(tmp_path, [numbered(number) for number in range(40)])
    data = open_text(pattern, valid_fraction=0.1, test_fraction=0.3, valid_sequences=999, test_sequences=999)
    assert len(names(data, data.valid.inputs)) == 4
    assert len(names(data, data.test.inputs)) == 12


def test_one_large_document_does_not_end_up_held_out(tmp_path: Path) -> None:
    texts = [numbered(0, 4000), *(numbered(number) for number in range(1, 4))]
    for seed in range(6):
        data = open_text(write_files(tmp_path, texts), data_seed=seed)
        assert "d000" in names(data, epoch(data))
        assert len(data.valid) >= 1 and len(data.test) >= 1


@pytest.mark.parametrize("tokenizer", ["bytes", "bpe"])
def test_labels_are_the_next_tokens_and_their_bytes_are_counted(tmp_path: Path, tokenizer: str) -> None:
    texts = [f"naïve — {number} 𝄞 text. " * 12 for number in range(9)]
    data = open_text(write_files(tmp_path, texts), tokenizer=tokenizer, valid_sequences=999)
    batch = data.get_train_batch(0, 8, 0)
    for inputs, labels in ((batch["inputs"], batch["labels"]), (data.valid.inputs, data.valid.labels)):
        assert inputs.dtype == labels.dtype == np.int32
        assert (inputs[:, 1:] == labels[:, :-1]).all()
        assert min(inputs.min(), labels.min()) >= 0 and labels.max() < data.model_fields["vocab_size"]
    assert data.valid.label_bytes is not None
    joined = "".join(data.tokenizer.decode(row) for row in data.valid.labels.tolist())
    cut = joined.count("�")  # a character that the end of a sequence cuts in two
    assert int(data.valid.label_bytes.sum()) == pytest.approx(len(joined.encode()), abs=4 * cut + 4)


def test_windows_cover_the_held_out_text_once(tmp_path: Path) -> None:
    texts = [numbered(number) for number in range(10)]
    data = open_text(write_files(tmp_path, texts), valid_sequences=999)
    assert (data.valid.inputs[1:, 0] == data.valid.labels[:-1, -1]).all()
    assert data.valid.inputs[0, 0] == ByteTokenizer.end
    few = open_text(str(tmp_path / "*.txt"), valid_sequences=3)
    rows = {tuple(row) for row in data.valid.inputs.tolist()}
    assert len(few.valid) == 3 and {tuple(row) for row in few.valid.inputs.tolist()} <= rows


def test_an_epoch_shows_each_sequence_once_and_the_next_starts_elsewhere(tmp_path: Path) -> None:
    text = "".join(chr(0x4E00 + number) for number in range(3000))  # no character comes twice
    data = open_text(write_files(tmp_path, [text, numbered(1), numbered(2)]), seq_len=30)
    count = count_epoch_windows(data.num_train, 30)
    first, second = (data.get_train_batch(step, count, 5)["inputs"] for step in (0, 1))
    assert len({tuple(row) for row in first.tolist()}) == count
    assert {tuple(row) for row in first.tolist()} != {tuple(row) for row in second.tolist()}


def test_batches_are_functions_of_step_size_and_seed(tmp_path: Path) -> None:
    pattern = write_files(tmp_path, [numbered(number) for number in range(10)])
    data, again = open_text(pattern), open_text(pattern)
    for step in (7, 0, 300):
        assert (
            data.get_train_batch(step, 5, 2)["inputs"] == again.get_train_batch(step, 5, 2)["inputs"]
        ).all()
    halves = np.concatenate([data.get_train_batch(step, 4, 2)["inputs"] for step in (0, 1)])
    assert (data.get_train_batch(0, 8, 2)["inputs"] == halves).all()
    assert (data.get_train_batch(0, 8, 2)["inputs"] != data.get_train_batch(0, 8, 3)["inputs"]).any()


def test_pickles_as_a_reference_not_as_data(tmp_path: Path) -> None:
    data = open_text(write_files(tmp_path, [numbered(number) for number in range(10)]))
    pickled = pickle.dumps(data)
    copy = pickle.loads(pickled)
    assert len(pickled) < 2000 and copy.fingerprint == data.fingerprint
    assert (copy.get_train_batch(3, 4, 1)["inputs"] == data.get_train_batch(3, 4, 1)["inputs"]).all()
    assert isinstance(data.valid.inputs, np.memmap)


def test_carried_it_needs_no_file(tmp_path: Path) -> None:
    data = open_text(write_files(tmp_path, [numbered(number) for number in range(10)]))
    assert isinstance(data, TextDataset)
    pickled = pickle.dumps(InMemoryDataset(data))
    assert len(pickled) > data.num_train
    copy = pickle.loads(pickled).dataset
    copy.folder = tmp_path / "nowhere"
    assert (copy.get_train_batch(3, 4, 1)["inputs"] == data.get_train_batch(3, 4, 1)["inputs"]).all()
    assert (copy.test.label_bytes == data.test.label_bytes).all()


def test_the_plays_that_come_along_are_plain_english() -> None:
    data = open_task(TextConfig(valid_sequences=8, test_sequences=8))
    assert isinstance(data, TextDataset) and data.num_train > 4_000_000
    text = data.tokenizer.decode(data.get_train_batch(0, 64, 0)["inputs"].ravel().tolist())
    assert not set("*_#\\") & set(text)
    assert len(re.findall(r"\bthe\b", text)) > 10
    assert data.config.get_model_fields() == data.model_fields


def test_json_lines_gzip_and_paragraphs_are_read_alike(tmp_path: Path) -> None:
    texts = [numbered(number) for number in range(6)]
    plain = open_text(write_files(tmp_path / "plain", texts))
    rows = "".join(json.dumps({"body": text, "id": number}) + "\n" for number, text in enumerate(texts))
    (tmp_path / "rows.jsonl").write_text(rows)
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(rows.encode()))
    for name in ("rows.jsonl", "rows.jsonl.gz"):
        data = open_text(str(tmp_path / name), text_field="body")
        assert data.fingerprint == plain.fingerprint
    (tmp_path / "book.txt").write_text("\n\n".join(texts))
    book = open_text(str(tmp_path / "book.txt"), document="paragraph")
    assert len(names(book, epoch(book)) | names(book, book.valid.inputs) | names(book, book.test.inputs)) == 6


def test_a_percentage_takes_files_first_and_rows_of_the_last(tmp_path: Path) -> None:
    pattern = write_files(tmp_path, [numbered(number) for number in range(20)])
    half = open_text(pattern, subset_percent=50, valid_sequences=999, test_sequences=999)
    seen = names(half, epoch(half)) | names(half, half.valid.inputs) | names(half, half.test.inputs)
    assert seen == {f"d{number:03}" for number in range(10)}
    (tmp_path / "lines.txt").write_text("\n".join(numbered(number) for number in range(400)))
    tenth = open_text(str(tmp_path / "lines.txt"), document="line", subset_percent=10, valid_sequences=999)
    kept = names(tenth, epoch(tenth))
    assert 10 < len(kept) < 60 and max(kept) > "d200"


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    pattern = write_files(tmp_path, [numbered(number) for number in range(8)])
    data = open_text(pattern)
    (tmp_path / "000.txt").write_text(numbered(77))
    os.utime(tmp_path / "000.txt", ns=(1, 1))
    assert open_text(pattern).fingerprint != data.fingerprint


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


@pytest.mark.parametrize("spoil", [flipped, truncated])
def test_a_spoiled_cache_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[bytes], bytes]
) -> None:
    """Whichever file it is: of the documents, of the encoding trained on them, of the packed text."""
    pattern = write_files(tmp_path / "texts", [numbered(number) for number in range(8)])
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "sound"))
    sound = open_text(pattern, tokenizer="bpe")
    files = [path.relative_to(tmp_path / "sound") for path in (tmp_path / "sound").rglob("*.*")]
    assert {
        "text.bin",
        "ends.npy",
        "keys.npy",
        "tokenizer.json",
        "train.bin",
        "valid_inputs.npy",
        "about.json",
        "checksums.json",
    } <= {file.name for file in files}
    for number, file in enumerate(files):
        cache = tmp_path / f"spoiled{number}"
        shutil.copytree(tmp_path / "sound", cache)
        (cache / file).write_bytes(spoil((cache / file).read_bytes()))
        monkeypatch.setenv(CACHE_VARIABLE, str(cache))
        again = open_text(pattern, tokenizer="bpe")
        assert again.fingerprint == sound.fingerprint, file
        assert (epoch(again) == epoch(sound)).all(), file
        assert len(list(cache.iterdir())) == 4, file  # the spoiled copy stays, and a sound one beside it


@pytest.mark.parametrize(
    ("texts", "options", "parts"),
    [
        ([numbered(0)], {}, ["1 document(s)", "at least three", "task.document=paragraph"]),
        ([numbered(0), numbered(1)], {}, ["2 document(s)", "would be empty"]),
        (["", " \n"], {}, ["no text"]),
        (["one", "two", "three"], {}, ["train split", "tokens", "task.seq_len=16"]),
        ([numbered(0, 900), "two", "three"], {}, ["valid split", "tokens", "task.seq_len=16"]),
    ],
    ids=["one", "two", "empty", "short", "short valid"],
)
def test_too_little_text(
    tmp_path: Path, texts: list[str], options: dict[str, object], parts: list[str]
) -> None:
    with pytest.raises(DataError) as error:
        open_text(write_files(tmp_path, texts), **options)
    assert [part for part in parts if part not in str(error.value)] == []


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"plain\0binary", "zero byte at 5"),
        (b"caf\xe9 " * 9, "from 3 on that are no UTF-8"),
        (b"end\xc3", "no UTF-8"),
    ],
)
def test_binary_files(tmp_path: Path, content: bytes, part: str) -> None:
    pattern = write_files(tmp_path, [numbered(number) for number in range(5)])
    (tmp_path / "bad.txt").write_bytes(content)
    with pytest.raises(DataError, match=r"bad\.txt.*UTF-8") as error:
        open_text(pattern)
    assert part in str(error.value)


def test_files_that_are_not_there_or_not_alike(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file matches"):
        open_text(str(tmp_path / "*.txt"))
    with pytest.raises(DataError, match=r"is a folder.*task\.text=.*/\*\.txt\?"):
        open_text(str(tmp_path))
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n')
    with pytest.raises(DataError, match="all plain text or all JSON"):
        open_text(str(tmp_path / "a.*"))
    with pytest.raises(DataError, match=r"text_field.*'body'.*they have: text"):
        open_text(str(tmp_path / "a.jsonl"), text_field="body")
    (tmp_path / "b.jsonl").write_text("{broken")
    with pytest.raises(DataError, match=r"b\.jsonl"):
        open_text(str(tmp_path / "b.jsonl"))
