"""`python -m hrm.generate` on a run of `python -m hrm.train`."""

from __future__ import annotations

from pathlib import Path

import pytest

from hrm import generate, train
from hrm.config.command_line import run_cli
from hrm.config.validation import MAX_SEED
from tests.hrm.data.text_cases import write_files


@pytest.fixture(scope="module")
def run(data_cache: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model that has learned to repeat `abcdefgh` by heart."""
    folder = tmp_path_factory.mktemp("generate")
    pattern = write_files(folder / "texts", ["abcdefgh" * 60 + str(number) for number in range(6)])
    out = folder / "run"
    options = [
        "family=text",
        f"task.text={pattern}",
        "task.seq_len=24",
        "n_embd=32",
        "n_head=2",
        "n_layers=1",
    ]
    options += [
        "halt_max_steps=2",
        "forward_dtype=float32",
        "dropout=0",
        "train.steps=120",
        "train.batch_size=8",
    ]
    options += ["train.lr=0.01", "train.num_reports=1", "device=cpu", "threads=1", f"out={out}"]
    assert run_cli(train.main, options) == 0
    return out


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run_cli(generate.main, arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_it_goes_on_as_it_has_learned(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, f"run={run}", "prompt=abcdefghab", "max_new_tokens=10")
    assert (code, out) == (0, "abcdefghabcdefghabcd\n")


def test_a_seed_decides_what_is_drawn(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = [f"run={run}", "prompt=abc", "temperature=3"]
    drawn = [call(capsys, *options, f"seed={seed}")[1] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["prompt=abcdefghabcdefghabcdefghabcdefgh"], "has 32 tokens, and the context of 24"),
        (["prompt=a", "max_new_tokens=40"], "max_new_tokens"),
        (["prompt=a", "top_p=0"], "top_p"),
        (["prompt=a", "seed=-1"], "seed: given -1; must lie in 0.."),
        (["prompt=a", f"seed={MAX_SEED}"], "seed"),
        (["promt=a"], "Did you mean 'prompt'?"),
    ],
)
def test_bad_input(run: Path, options: list[str], part: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, f"run={run}", *options)
    assert (code, out, err.count("\n")) == (2, "", 1) and part in err


def test_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, "prompt=a")[2].startswith("error: run: given ''; must be the folder")
    assert call(capsys, f"run={tmp_path}", "prompt=a")[0] == 2
