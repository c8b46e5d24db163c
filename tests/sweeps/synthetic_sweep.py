"""A sweep's folder as a real one leaves it, made in a second.

The plan, its candidates, the dispatcher and the tables are real; learning curves are made up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks.simulator import Simulator
from hrm.data.base import Batch, Dataset, Split
from sweeps.analysis.statistics import TEST_NAME
from sweeps.callbacks.base import Callback
from sweeps.config import BaselineConfig, BudgetConfig, ConfirmConfig, SweepConfig, SweepTrainConfig
from sweeps.events import Job, Validation
from sweeps.report.blocks import Figure, Report, Widget
from sweeps.report.charts.chart import Chart
from sweeps.results.metadata import SweepMetadata, build_metadata, write_metadata
from sweeps.results.schema import CURVE_COLUMNS, TRIAL_COLUMNS, build_table
from sweeps.results.tables import TableWriter, read_curves, read_trials
from sweeps.scheduler.scheduler import Scheduler
from sweeps.scheduler.trial_runner import TrialRunner
from sweeps.space.candidates import Candidates

SPACE: dict[str, Any] = {
    "name": "depth_vs_width",
    "question": "Deep or wide at the Tiny Demo preset's size?",
    "parameters": {
        "H_layers": {"int": [1, 8]},
        "L_layers": {"int": [1, 8]},
        "lr": {"log": [1e-4, 1e-2], "num": 5},
    },
    "derived": {"hidden_size": "fill", "num_heads": "hidden_size // head_size"},
    "fixed": {"H_cycles": 1, "L_cycles": 1, "mlp_multiple": 32},
}
MODEL_FIELDS = {"vocab_size": 11, "seq_len": 36, "num_puzzle_identifiers": 1}

Curve = Callable[[Job, float], float]
"""Blank-cell accuracy of a job at a fraction of its run; may raise."""
ListenerFactory = Callable[[SweepMetadata, Scheduler], Callback]


class Puzzles(Dataset):
    """A data set by its sizes alone."""

    name = "sudoku6"
    model_fields = MODEL_FIELDS
    fingerprint = "0123456789abcdef"
    supports_verdict = True

    def __init__(self, num_valid: int = 400, num_test: int = 1000) -> None:
        self.valid, self.test = _split(num_valid), _split(num_test)

    def get_train_batch(self, step: int, batch_size: int, seed: int) -> Batch:
        raise AssertionError("curves are made up here, nothing is trained")


def plausible(job: Job, fraction: float) -> float:
    """Best with few wide layers and a middling rate, with a spread between seeds."""
    depth = job.run.model.H_layers + job.run.model.L_layers
    ceiling = 0.9 - 0.035 * abs(depth - 5) - 0.09 * abs(math.log10(job.run.train.lr / 2e-3))
    luck = np.random.default_rng([job.run.seed, depth]).normal(0, 0.012)
    return float(np.clip(0.3 + (ceiling + luck - 0.3) * (1 - math.exp(-4 * fraction)), 0, 1))


def sweep_config(**overrides: Any) -> SweepConfig:
    values: dict[str, Any] = {
        "space": SPACE,
        "task": {"name": "sudoku6"},
        "train": SweepTrainConfig(steps=600, num_reports=10),
        "num_trials": 24,
        "sampler": {"name": "random"},
        "budget": BudgetConfig(max_params="tiny_demo", min_params=0.8),
        "confirm": ConfirmConfig(finalists=2, seeds=3),
        "baseline": BaselineConfig(presets=None, trials=3),
    }
    return SweepConfig(**(values | overrides))


def run_sweep(
    out: Path,
    curve: Curve = plausible,
    listeners: ListenerFactory | None = None,
    dataset: Dataset | None = None,
    **overrides: Any,
) -> Path:
    """Runs a made-up sweep in two slots; returns its folder."""
    config, dataset = sweep_config(**overrides), dataset or Puzzles()
    candidates = Candidates(config, dataset.model_fields)
    plan = Scheduler(config, candidates, None, slots=2)
    metadata = build_metadata(config, candidates, plan, dataset, ["space=depth_vs_width"], TEST_NAME)
    out.mkdir(parents=True, exist_ok=True)
    write_metadata(metadata, out)
    told = [TableWriter(out, metadata, plan.trial_numbers.get)]
    told += [listeners(metadata, plan)] if listeners else []
    drive(TrialRunner(plan, told), curve)
    for listener in told:
        listener.close()
    return out


def multiply(out: Path, num: int) -> None:
    """Repeats the search trials of a folder, until there are `num`, through the real schema."""
    rows = read_trials(out).to_pylist()
    curves: dict[int, list[dict[str, Any]]] = {}
    for point in read_curves(out).to_pylist():
        curves.setdefault(point["number"], []).append(point)
    search = [row for row in rows if row["kind"] == "search"]
    rng = np.random.default_rng(0)
    first = max(row["number"] for row in rows) + 1
    for i in range(num - len(search)):
        source, shift = search[i % len(search)], float(rng.normal(0, 0.02))
        number, trial = first + i, len(search) + i
        rows.append({**source, "number": number, "trial": trial, "arm": f"trial {trial}",
                     "objective": source["objective"] + shift})  # fmt: skip
        points = [
            {**point, "number": number}
            | {name: point[name] + shift for name in ("objective", "valid/blank_accuracy")}
            for point in curves[source["number"]]
        ]
        pq.write_table(build_table(CURVE_COLUMNS, points), out / "curves" / f"{number}.parquet")
    pq.write_table(build_table(TRIAL_COLUMNS, rows), out / "trials.parquet")


def collect_charts(report: Report) -> dict[str, Chart]:
    """Return the charts of a report by name, those that Markdown shows instead of a widget included."""
    blocks = [block for section in report.sections for block in section.blocks]
    blocks += [inner for block in blocks if isinstance(block, Widget) for inner in block.instead]
    return {block.name: block.chart for block in blocks if isinstance(block, Figure)}


def drive(dispatcher: TrialRunner, curve: Curve) -> None:
    """Runs the jobs in two slots."""
    Simulator(dispatcher, lambda job, index: make_report(job, index, curve), slots=2).run()


def make_report(job: Job, index: int, curve: Curve = plausible) -> Validation:
    """The job's report at an index, from 1."""
    step = job.run.train.list_report_steps()[index - 1]
    blank = curve(job, step / job.run.train.steps)
    metrics: dict[str, float | None] = {"train/loss": 2.5 * (1 - blank), "train/lm_loss": None}
    metrics |= {"valid/" + name: value for name, value in _scores(blank).items()}
    if job.read_test and index == job.run.train.num_reports:
        metrics |= {"test/" + name: value for name, value in _scores(blank - 0.01).items()}
    flops = job.flops_per_step * step
    last = index == job.run.train.num_reports
    answers = made_up_answers(job) if last and job.keep_model else None
    return Validation(index=index, step=step, train_flops=flops, train_seconds=flops / 2e10,
                  eval_seconds=0.1 * index, metrics=metrics, answers=answers)  # fmt: skip


def made_up_answers(job: Job) -> dict[str, Any]:
    """Two solved grids with half of their cells blank; each segment fills a quarter of these rightly."""
    side = 6
    solution = np.array(
        [[(row * 2 + row // 3 + column) % side + 2 for column in range(side)] for row in range(side)]
    )
    labels = solution.ravel().tolist()
    inputs = [1 if i % 2 else label for i, label in enumerate(labels)]
    segments = [
        {"tokens": [label if i % 8 < 2 * k or not i % 2 else 2 for i, label in enumerate(labels)],
         "confidence": [0.5] * len(labels), "halting": 0.25 * k}
        for k in range(1, job.run.model.H_layers + 2)
    ]  # fmt: skip
    return {"blank_token": 1, "examples": [{"inputs": inputs, "labels": labels, "segments": segments}] * 2}


def _scores(blank: float) -> dict[str, float | None]:
    return {"blank_accuracy": blank, "cell_accuracy": 0.5 + blank / 2, "exact_accuracy": max(blank, 0) ** 6,
            "loss": 2 * (1 - blank)}  # fmt: skip


def _split(size: int) -> Split:
    tokens = np.zeros((size, 36), np.int32)
    return Split(inputs=tokens, labels=tokens, puzzle_identifiers=np.zeros(size, np.int32), blank_token=1)
