"""Seconds that the report of a large sweep takes: `python benchmarks/report_time.py [--trials 1000] [--repeat 5]`.

The sweep is a real plan on a fake clock with synthetic learning curves; its report is the whole command
`python -m sweeps.report DIR`, from a cold start, imports and all.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import machine
from benchmarks.simulator import Simulator
from benchmarks.synthetic_curves import SyntheticCurves
from hrm.data.registry import open_task
from hrm.data.sudoku.task import Sudoku6Config
from sweeps.analysis.statistics import TEST_NAME
from sweeps.config import BudgetConfig, SweepConfig
from sweeps.events import Job, Validation
from sweeps.results.metadata import build_metadata, write_metadata
from sweeps.results.tables import TableWriter
from sweeps.scheduler.scheduler import Scheduler
from sweeps.scheduler.trial_runner import TrialRunner
from sweeps.space.candidates import Candidates
from sweeps.space.space import load_space

ROOT = Path(__file__).parents[1]
SLOTS = 4
SEGMENT = {"tokens": [2] * 36, "confidence": [0.5] * 36, "halting": 0.5}
SOLVED = {"inputs": [1, 2] * 18, "labels": [2] * 36, "segments": [SEGMENT] * 4}
ANSWERS: dict[str, Any] = {"blank_token": 1, "examples": [SOLVED] * 2}
"""A confirmed model's answers to two puzzles."""


def main(arguments: Sequence[str]) -> None:
    """Print how long the report of a sweep takes, and how large its page is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=1000, help="of the search")
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        make_sweep(out, options.trials)
        seconds = [measure_seconds(out) for _ in range(options.repeat)]
        size = (out / "report.html").stat().st_size / 1e6
    print(machine.describe())
    low, high = min(seconds), max(seconds)
    spread = f"median {statistics.median(seconds):.1f} s, {low:.1f} to {high:.1f} s, n = {len(seconds)}"
    print(f"{options.trials} search trials: {spread}; the page has {size:.1f} MB")


def make_sweep(out: Path, num_trials: int) -> None:
    """Write to `out` what a sweep with that many search trials leaves: tables, curves and answers."""
    puzzles = Sudoku6Config(train_puzzles=64, valid_puzzles=32, test_puzzles=32)
    config = SweepConfig(
        space=load_space("depth_vs_width"),
        task=dataclasses.asdict(puzzles),
        budget=BudgetConfig(max_params="tiny_demo", min_params=0.8),
        sampler={"name": "random"},
        num_trials=num_trials,
    )
    dataset = open_task(puzzles)
    candidates = Candidates(config, dataset.model_fields)
    plan = Scheduler(config, candidates, None, SLOTS)
    metadata = build_metadata(config, candidates, plan, dataset, ["space=depth_vs_width"], TEST_NAME)
    write_metadata(metadata, out)
    tables = TableWriter(out, metadata, plan.trial_numbers.get)
    Simulator(TrialRunner(plan, [tables]), train, SLOTS).run()
    tables.close()


def train(job: Job, index: int) -> Validation:
    """Return the job's validation at an index, from 1."""
    validation = SyntheticCurves(0)(job, index)
    last = index == job.run.train.num_reports
    return dataclasses.replace(validation, answers=ANSWERS) if job.keep_model and last else validation


def measure_seconds(out: Path) -> float:
    """Measure the seconds of one cold start."""
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "sweeps.report", str(out)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - started


if __name__ == "__main__":
    main(sys.argv[1:])
