"""Tables of stored learning curves, and sweeps that replay them on a fake clock, for several benchmarks.

A table is a space, `NAME.yaml` beside this file, and the curves of all its configurations on several seeds, in
`NAME.parquet`. The YAML is an ordinary search space: a sweep makes the curves.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from scipy import stats

from benchmarks.simulator import Simulator
from benchmarks.stored_curves import SPENT, Cell, StoredCurves
from sweeps.config import (
    BaselineConfig,
    BudgetConfig,
    ConfirmConfig,
    StopConfig,
    SweepConfig,
    SweepTrainConfig,
)
from sweeps.events import EVENT_LOG
from sweeps.results.schema import PARAMETER_PREFIX
from sweeps.results.tables import read_curves, read_trials
from sweeps.scheduler.scheduler import Scheduler
from sweeps.scheduler.trial_runner import TrialRunner
from sweeps.search.objectives import Objective
from sweeps.space.candidates import Candidates
from sweeps.space.space import load_space

HERE = Path(__file__).parent
ROUNDING = 1e-9


@dataclass(frozen=True)
class Replay:
    """Sweeps of one table.

    Args:
        name: of its files.
        model_fields: what the task's data decide of the model.
    """

    name: str
    model_fields: Mapping[str, int]

    @cached_property
    def space(self) -> dict[str, Any]:
        """The YAML file."""
        return load_space(str(self._yaml))

    @property
    def path(self) -> Path:
        """The file of the curves."""
        return HERE / f"{self.name}.parquet"

    @cached_property
    def candidates(self) -> Candidates:
        """The configurations."""
        return Candidates(self.build_config(), self.model_fields)

    @cached_property
    def table(self) -> StoredCurves:
        """The stored curves."""
        return StoredCurves(self.path, self.candidates)

    def make_table(self, out: Path) -> None:
        """Train all that the table holds by a sweep in `out`, and write it. After a kill, the same call resumes."""
        asked = [f"resume={out}"] if (out / EVENT_LOG).exists() else [f"space={self._yaml}", f"out={out}"]
        subprocess.run([sys.executable, HERE.parent / "run_sweep.py", *asked], check=True)
        write_curves(out, list(self.space["parameters"]), self.path)

    @property
    def _yaml(self) -> Path:
        return HERE / f"{self.name}.yaml"

    @property
    def objective(self) -> Objective:
        """The objective of the sweeps."""
        return Objective.parse(self.space["run"]["objective"])

    @cached_property
    def _best(self) -> float:
        """The best configuration's mean, where less is better."""
        metric = self.objective.metric
        return min(
            self.objective.get_sort_key(self.table.compute_mean_end(one, metric)) for one in self.table.runs
        )

    def build_config(self, **overrides: Any) -> SweepConfig:
        """Return a sweep of the space, as its file has it."""
        run = self.space["run"]
        values: dict[str, Any] = {
            "space": {name: value for name, value in self.space.items() if name != "run"},
            "family": run.get("family", "puzzle"),
            "task": run["task"],
            "model": run["model"],
            "train": SweepTrainConfig(**run["train"]),
            "budget": BudgetConfig(**run["budget"]),
            "objective": run["objective"],
        }
        return SweepConfig(**values | overrides)

    def simulate(self, policy: Mapping[str, Any], budget: float, seed: int) -> Scheduler:
        """Run a sweep to its end: one slot, no baselines, no confirmations.

        Args:
            policy: fields of `SweepConfig`.
            budget: training FLOPs, in whole runs.
        """
        config = self.build_config(
            **{"num_trials": len(self.table.runs)} | dict(policy),
            baseline=BaselineConfig(presets=[]),
            confirm=ConfirmConfig(finalists=0),
            stop=StopConfig(flops=int(budget * self.table.run_flops)),
            seed=seed,
        )
        scheduler = Scheduler(config, self.candidates, None, slots=1)
        Simulator(TrialRunner(scheduler, []), self.table.build_lookup(seed), slots=1).run()
        return scheduler

    def draw_order(self, seed: int) -> list[Cell]:
        """Return the order in which a random search of that seed tries all configurations."""
        policy = {"sampler": {"name": "random"}, "pruner": {"name": "none"}}
        everything = self.simulate(policy, len(self.table.runs), seed)
        return [self.table.find_cell(trial.job.params) for trial in everything.state.trials.values()]

    def get_value(self, cell: Cell, seed: int, report: int = 0) -> float:
        """Return what a sweep of that seed sees of a configuration at a validation, counted from 1; 0 is the last."""
        seen = self.table.runs[cell][self.table.choose_run(cell, seed)][report - 1].metrics[
            self.objective.metric
        ]
        assert seen is not None
        return seen

    def get_sort_key(self, cell: Cell, seed: int, report: int = 0) -> float:
        """Return the value as a sort key."""
        return self.objective.get_sort_key(self.get_value(cell, seed, report))

    def compute_regret(self, cell: Cell, seed: int) -> float:
        """Return how far a sweep's pick is behind the best configuration's mean.

        By the mean of the runs that the sweep has not seen, so that a lucky run is no merit.
        """
        pick = self.table.compute_mean_end(
            cell, self.objective.metric, without=self.table.choose_run(cell, seed)
        )
        return self.objective.get_sort_key(pick) - self._best

    def train_all_then_best(
        self, order: Sequence[Cell], reports: int, budget: float, seed: int
    ) -> tuple[list[Cell], list[Cell]]:
        """Run the trivial baseline: all that the budget allows for that many validations, then the best to the end.

        Returns:
            The configurations that were tried, and those that were trained to the end, best first.
        """
        head = reports / len(self.table.runs[order[0]][0])
        num = min(len(order), int((budget - (1 - head)) / head + ROUNDING))
        go_on = int((budget - num * head) / (1 - head) + ROUNDING)
        tried = list(order[:num])
        best = sorted(tried, key=lambda one: self.get_sort_key(one, seed, reports))[:go_on]
        return tried, best


def write_curves(out: Path, searched: Sequence[str], path: Path) -> None:
    """Write the curves of the sweep in a folder as a table.

    Args:
        searched: names of the space's parameters.
        path: of the table.
    """
    trials = read_trials(out).select(["number", "seed", *(f"{PARAMETER_PREFIX}{name}" for name in searched)])
    curves = read_curves(out)
    metrics = [name for name in curves.column_names if name.startswith("valid/")]
    joined = (
        curves.select(["number", *SPENT, *metrics])
        .join(trials, "number")
        .sort_by([("number", "ascending"), ("index", "ascending")])
    )
    names = [name.removeprefix(PARAMETER_PREFIX) for name in joined.column_names]
    pq.write_table(joined.rename_columns(names).drop_columns("number"), path, compression="zstd")


def compute_half_interval(values: Sequence[float] | np.ndarray) -> float:
    """Return half of a 95% interval of the mean (Student's t)."""
    return float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))


def compute_paired_p(gaps: Sequence[float] | np.ndarray) -> float:
    """Return the two-sided p-value of a t-test that paired differences have mean 0; 1 if all of them are 0."""
    return float(stats.ttest_1samp(gaps, 0.0).pvalue) if np.any(gaps) else 1.0
