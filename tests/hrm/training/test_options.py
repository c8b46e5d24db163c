"""What the door `python -m hrm.train` says it takes, and its one message where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from hrm.config.command_line import run_cli
from hrm.train import main
from tests.hrm.conftest import TASK_OPTIONS

pytestmark = pytest.mark.usefixtures("data_cache")


def _door(*arguments: str) -> int:
    return run_cli(main, arguments)


def test_help_lists_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert _door("--help") == 0
    text = capsys.readouterr().out
    assert _door() == 0
    assert capsys.readouterr().out == text
    listed = (
        "tiny_demo sudoku4 sudoku6 PATH resume=DIR seed=0 train.lr=0.0001 model.hidden_size=512 task.clues="
    )
    for wanted in (
        *listed.split(),
        "model.h_update_period=null",
        "Task, task=PATH.csv:\n  task.train_puzzles=1000",
        "those of sudoku4, but task.clues=18 task.valid_puzzles=256 task.test_puzzles=1000\n",
        "task.min_rating=null",
        "task.valid_fraction=0.1",
        "text_tiny_50m",
        "model.n_embd=384",
        "Peak learning rate of AdamATan2",
    ):
        assert wanted in text
    assert max(map(len, text.splitlines())) <= 110


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["preset=tiny_dem"], "preset: given 'tiny_dem'; must be one of"),
        (["task=sudoku5"], "task: given 'sudoku5'; must be one of"),
        (["hiden_size=3"], "Did you mean 'hidden_size'?"),
        (["hidden_size=100", "num_heads=7"], "must divide hidden_size=100"),
        (["hidden_size=36", "num_heads=4"], "must be even for RoPE"),
        (["train.steps=0"], "train.steps: given 0; must be at least 1"),
        (["lr=-1"], "train.lr: given -1.0; must be above 0"),
        (["steps"], "command line: given 'steps'; must read name=value"),
        (["--steps=3"], "must read name=value"),
        (["read_test=perhaps"], "read_test: given 'perhaps'; must be true or false"),
        (["config=missing.yaml"], "missing.yaml: given 'no such file'"),
        (["resume=nowhere"], "nowhere: given 'no checkpoint'"),
        (
            ["resume=nowhere", "lr=1"],
            "lr: given 1; only out, read_test, push_to_hub, device, threads may be given with resume",
        ),
        (["resume=nowhere", "preset=tiny_demo"], "at most one of preset, config, resume may be given"),
        (["task=/no/such/folder"], "/no/such/folder"),
        (["device=tpu"], "must be one of: auto, cuda, mps, cpu"),
        ([*TASK_OPTIONS, "vocab_size=12"], "vocab_size: given 12; must be 11, as the task's data decide"),
    ],
)
def test_one_message_and_nothing_started(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _door(*arguments) == 2
    captured = capsys.readouterr()
    (line,) = (line for line in captured.err.splitlines() if line != "preparing data")
    assert line.startswith("error: ") and message in line
    assert captured.out == ""
    assert list(tmp_path.iterdir()) == []


def test_an_out_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert _door(*TASK_OPTIONS, f"out={tmp_path / 'file' / 'run'}") == 2
    assert "must be a folder that can be created" in capsys.readouterr().err
