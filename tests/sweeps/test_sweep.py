"""The program as a user runs it: a whole sweep, an interrupted one, a dry run, several in a row."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from sweeps.results.tables import read_trials
from tests.sweeps.door_cases import call, contents

ROOT = Path(__file__).resolve().parents[2]
SPACE = """\
question: Where do the layers go?
parameters:
  H_layers: [1, 2]
  lr: [1.0e-3, 1.0e+30]
fixed: {hidden_size: 16, num_heads: 2, L_layers: 1, H_cycles: 1, L_cycles: 1, mlp_multiple: 16}
run:
  task: {name: sudoku4, train_puzzles: 32, valid_puzzles: 16, test_puzzles: 16}
  train: {steps: 8, num_reports: 4, batch_size: 8, equal: steps}
  model: {halt_max_steps: 1, forward_dtype: float32}
  budget: {max_params: 100k}
  sampler: grid
  num_trials: 4
  confirm: {finalists: 1, seeds: 2}
  wandb: {mode: disabled}
"""
"""No preset fits the budget, and half of the trials diverge."""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the user stands in; it holds a space."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(SPACE)
    return tmp_path


def start(*arguments: str) -> subprocess.Popen[str]:
    # A group of its own, as a shell gives it: Ctrl-C reaches Ray's processes too.
    return subprocess.Popen(
        [sys.executable, str(ROOT / "run_sweep.py"), *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def group_members(leader: int) -> list[str]:
    listed = subprocess.run(["ps", "-eo", "pgid=,args="], capture_output=True, text=True, check=True)
    rows = [line.split(None, 1) for line in listed.stdout.splitlines()]
    return [args for group, args in rows if int(group) == leader]


@pytest.mark.ray
@pytest.mark.timeout(300)
def test_a_sweep_with_failing_trials_from_start_to_report(here: Path) -> None:
    process = start("space=mine.yaml", "out=found")
    out, err = process.communicate(timeout=280)
    assert process.returncode == 0, err
    found = here / "found"
    rows = read_trials(found).to_pylist()
    assert [(row["kind"], row["status"]) for row in rows if row["kind"] == "confirm"] == [
        ("confirm", "completed")
    ] * 2
    search = [row for row in rows if row["kind"] == "search"]
    assert [row["number"] for row in rows] == list(range(6))
    assert len(search) == 4
    for row in search:
        if row["p.lr"] > 1:
            assert row["status"] == "failed"
            assert row["error"].startswith("Diverged: ")
        else:
            assert row["status"] in ("completed", "pruned")
        assert json.loads(row["config"])["threads"] == 1
    assert contents(found) >= {
        "config.yaml",
        "study.journal",
        "best.yaml",
        "report.md",
        "report.html",
        "sweep.json",
        "curves",
    }
    assert json.loads((found / "sweep.json").read_text())["command"] == ["space=mine.yaml"]
    # Nobody but us has spoken.
    ours = r"(preparing data|mine on sudoku4: .*|writing to .*|\[\d+/\d+\] job \d+ .*)"
    assert [line for line in err.splitlines() if not re.fullmatch(ours, line)] == []
    assert "Traceback" not in out
    assert "ray" not in out.lower()
    assert f"Report: {Path('found') / 'report.html'}" in out
    assert group_members(process.pid) == []
    assert contents(here) - {f"found/{path}" for path in contents(found)} == {"found", "mine.yaml"}
    assert duckdb.sql(f"select count(*) from '{found}/trials.parquet'").fetchall() == [(6,)]


@pytest.mark.ray
@pytest.mark.timeout(300)
def test_ctrl_c_once_ends_cleanly_with_what_was_found(here: Path) -> None:
    process = start("space=mine.yaml", "out=found", "train.steps=1500", "train.num_reports=50")
    deadline = time.monotonic() + 200
    while not list((here / "found" / "curves").glob("*.parquet")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=90)
    assert process.returncode == 130, err
    rows = read_trials(here / "found").to_pylist()
    interrupted = [row for row in rows if str(row["error"]).startswith("interrupted")]
    assert 1 <= len(interrupted) <= 2
    assert all(row["status"] == "failed" for row in interrupted)
    assert "was interrupted" in (here / "found" / "report.md").read_text()
    assert "Report: " in out
    assert "Traceback" not in err
    assert group_members(process.pid) == []


def test_a_dry_run_trains_and_writes_nothing(here: Path) -> None:
    ended = call("space=mine.yaml", "dry_run=true")
    assert ended.code == 0, ended.err
    assert "Where do the layers go?" in ended.out
    assert contents(here) == {"mine.yaml"}


def test_help_names_every_choice() -> None:
    ended = call("--help")
    assert ended.code == 0
    for word in (
        "depth_vs_width", "cycles", "expansion", "h_update_period", "full", "sudoku4", "sudoku9", "tiny_demo",
        "base_default", "tpe", "qmc", "hyperband", "percentile", "budget.max_params", "task.clues",
        "train.steps", "n_startup_trials=null", "--multirun",
    ):  # fmt: skip
        assert word in ended.out
    assert "At the Tiny Demo preset's size" in ended.out


def test_what_the_command_line_says_wins_over_the_space_and_that_over_the_defaults(here: Path) -> None:
    shown = call("space=mine.yaml", "--cfg", "job", "train.steps=6", "task.valid_puzzles=8")
    assert shown.code == 0, shown.err
    assert "steps: 6" in shown.out
    assert "num_reports: 4" in shown.out
    assert "valid_puzzles: 8" in shown.out
    assert "train_puzzles: 32" in shown.out
    assert "weight_decay: 0.1" in shown.out


def test_a_space_s_task_options_do_not_reach_another_task(here: Path) -> None:
    shown = call("space=mine.yaml", "task=sudoku6", "--cfg", "job")
    assert "name: sudoku6" in shown.out
    assert "train_puzzles: 1000" in shown.out
    assert "train_puzzles: 32" not in shown.out


def test_several_sweeps_in_a_row(here: Path) -> None:
    ended = call("-m", "space=mine.yaml,cycles", "task=sudoku4", "dry_run=true")
    assert ended.code == 0, ended.err
    assert "Where do the layers go?" in ended.out
    assert "How many H and L cycles" in ended.out


def test_one_faulty_sweep_among_several_is_reported_and_the_others_run(here: Path) -> None:
    ended = call("-m", "space=mine.yaml", "dry_run=true", "num_trials=0,4")
    assert ended.code == 2
    assert ended.err.count("error: num_trials: given 0") == 1
    assert "Where do the layers go?" in ended.out
