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
import torch
import yaml

from hrm.config.command_line import run_cli
from hrm.config.run_config import load_run_config
from hrm.data.registry import open_task
from hrm.models.puzzle.checkpoint_names import load_official
from hrm.training.trainer import Trainer
from sweeps.execution.resources import Machine
from sweeps.report.__main__ import main as rebuild
from sweeps.results.tables import read_trials
from tests.sweeps.door_cases import call, contents
from tests.sweeps.processes import group_members, start

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


@pytest.mark.ray
@pytest.mark.timeout(600)
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
        "best.pt",
        "report.md",
        "report.html",
        "sweep.json",
        "curves",
    }
    assert json.loads((found / "sweep.json").read_text())["command"] == [
        "space=mine.yaml",
        f"max_concurrent={Machine.detect().num_cpus}",
    ]
    winner = load_run_config(found / "best.yaml")
    load_official(
        Trainer(winner, open_task(winner.task)).model, torch.load(found / "best.pt", weights_only=True)
    )
    # Nobody but us has spoken.
    ours = r"(preparing data|mine on sudoku4: .*|writing to .*|\[\d+/\d+\] job \d+ .*)"
    assert [line for line in err.splitlines() if not re.fullmatch(ours, line)] == []
    assert "Traceback" not in out
    assert "ray" not in out.lower()
    assert f"Report: {Path('found') / 'report.html'}" in out
    assert group_members(process.pid) == []
    assert not (found / "checkpoints").exists()
    assert contents(here) - {f"found/{path}" for path in contents(found)} == {"found", "mine.yaml"}
    assert duckdb.sql(f"select count(*) from '{found}/trials.parquet'").fetchall() == [(6,)]


@pytest.mark.ray
@pytest.mark.timeout(600)
def test_ctrl_c_once_ends_cleanly_and_says_how_to_go_on(here: Path) -> None:
    process = start("space=mine.yaml", "out=found", "train.steps=100", "train.num_reports=10", "num_trials=3")
    found = here / "found"
    deadline = time.monotonic() + 200
    while not list((found / "curves").glob("*.parquet")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.2)
    os.kill(process.pid, signal.SIGSTOP)  # so that it is not over before its report has been made
    assert run_cli(rebuild, [str(found)]) == 0
    assert "The sweep is not over" in (found / "report.md").read_text()
    os.kill(process.pid, signal.SIGCONT)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=90)
    assert process.returncode == 130, err
    assert "The sweep is not over" not in (found / "report.md").read_text()
    before = read_trials(found).to_pylist()
    assert not any(str(row["error"]).startswith("interrupted") for row in before)
    assert "was interrupted" in (found / "report.md").read_text()
    assert "Report: " in out and "python run_sweep.py resume=found" in out
    assert "Traceback" not in err
    assert group_members(process.pid) == []

    process = start("resume=found", "extend=1")
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    rows = read_trials(found).to_pylist()
    after = {row["number"]: row for row in rows}
    for row in before:
        assert {name: after[row["number"]][name] for name in row} == row, "what had ended stands"
    assert [row["kind"] for row in rows].count("search") == 4
    assert "was interrupted" not in (found / "report.md").read_text()
    assert yaml.safe_load((found / "config.yaml").read_text())["num_trials"] == 4


def test_a_second_ctrl_c_stops_at_once(tmp_path: Path) -> None:
    code = (
        "import os, signal, time\n"
        "from hrm.system.signals import StopSignals, exit_on_second_signal\n"
        "with exit_on_second_signal('stopped at once; to resume: found'), StopSignals():\n"
        "    os.kill(os.getpid(), signal.SIGINT); print('going on', flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGINT); time.sleep(60)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.returncode == 130 and done.stdout == "going on\n"
    assert "stopped at once; to resume: found" in done.stderr


def test_a_second_signal_stops_at_once_while_ray_ends(tmp_path: Path) -> None:
    code = (
        "import os, signal, time\n"
        "from hrm.system.signals import exit_on_second_signal\n"
        "try:\n"
        "    with exit_on_second_signal('stopped at once; to resume: found'):\n"
        "        raise KeyboardInterrupt\n"
        "finally:\n"
        "    os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.returncode == 143
    assert "stopped at once; to resume: found" in done.stderr


def test_a_dry_run_trains_and_writes_nothing(here: Path) -> None:
    ended = call("space=mine.yaml", "dry_run=true")
    assert ended.code == 0, ended.err
    assert "Where do the layers go?" in ended.out
    assert contents(here) == {"mine.yaml"}


def test_help_names_every_choice() -> None:
    ended = call("--help")
    assert ended.code == 0
    for word in (
        "depth_vs_width",
        "cycles",
        "expansion",
        "h_update_period",
        "full",
        "sudoku4",
        "sudoku9",
        "tiny_demo",
        "base_default",
        "tpe",
        "qmc",
        "hyperband",
        "percentile",
        "budget.max_params",
        "task.clues",
        "train.steps",
        "n_startup_trials=null",
        "--multirun",
    ):
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
