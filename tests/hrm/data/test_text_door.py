"""What a user of text may get wrong, through the door of training: one message, exit code 2, nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest

from hrm import train
from hrm.config.command_line import run_cli
from tests.hrm.data.text_cases import numbered, write_files

BOOKS = "task.text=books/*.txt"


@pytest.fixture(autouse=True)
def _books(data_cache: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands the user in a folder with eight small books, one that is none, and no network."""
    write_files(tmp_path / "books", [numbered(number) for number in range(8)])
    (tmp_path / "binary.txt").write_bytes(b"\x89PNG\0\1\2")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["task.text=missing.txt"], ["task.text", "missing.txt", "no such file"]),
        (["task.text=binary.txt"], ["binary.txt", "UTF-8"]),
        (["task.text=books/000.txt"], ["would be empty", "at least three", "task.document=paragraph"]),
        ([BOOKS, "task.seq_len=512"], ["valid split", "shorter than one sequence", "task.seq_len=512"]),
        ([BOOKS, "task.tokenizer=bpe", "task.vocab_size=99"], ["task.vocab_size: given 99", "at least 258"]),
        ([BOOKS, "task.tokenizer=missing.json"], ["task.tokenizer", "missing.json", "no such file"]),
        ([BOOKS, "task.tokenizer=not-kept"], ["task.tokenizer", "cannot be reached", "bytes or bpe"]),
        (["task.dataset=allenai/c4"], ["task.dataset", "cannot be reached", "task.text=PATH"]),
        ([BOOKS, "task.seq_len=16", "n_head=5"], ["model.n_head: given 5", "must divide n_embd=384"]),
        ([BOOKS, "task.dataset=allenai/c4"], ["task.text", "must be null with task.dataset"]),
    ],
    ids=lambda value: value[-1],
)
def test_one_message(
    options: list[str], parts: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = set(tmp_path.rglob("*"))
    assert run_cli(train.main, ["family=text", *options]) == 2
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if line != "preparing data"]
    assert out == "" and len(lines) == 1 and lines[0].startswith("error: ")
    assert [part for part in parts if part not in lines[0]] == []
    assert set(tmp_path.rglob("*")) == before
