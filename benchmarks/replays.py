"""What the benchmarks that replay stored learning curves share: the tables, and sweeps of them on a fake clock.

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
from sweeps.results.schema import PARAMETER_PREFIX
from sweeps.results.tables import read_curves, read_trials
from sweeps.scheduler.event_log import FILE_NAME
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
        """Of the curves."""
        return HERE / f"{self.name}.parquet"

    @cached_property
    def candidates(self) -> Candidates:
        """The configurations."""
        return Candidates(self.config(), self.model_fields)

    @cached_property
    def table(self) -> StoredCurves:
        """The curves that come along."""
        return StoredCurves(self.path, self.candidates)

    def make(self, out: Path) -> None:
        """Trains all that the table holds by a sweep in `out`, and writes it. Killed, the same call goes on."""
        asked = [f"resume={out}"] if (out / FILE_NAME).exists() else [f"space={self._yaml}", f"out={out}"]
        subprocess.run([sys.executable, HERE.parent / "run_sweep.py", *asked], check=True)
        pack(out, list(self.space["parameters"]), self.path)

    @property
    def _yaml(self) -> Path:
        return HERE / f"{self.name}.yaml"

    @property
    def objective(self) -> Objective:
        """What is searched."""
        return Objective.parse(self.space["run"]["objective"])

    @cached_property
    def _best(self) -> float:
        """Mean of the best configuration, smaller being better."""
        metric = self.objective.metric
        return min(self.objective.get_sort_key(self.table.mean_end(one, metric)) for one in self.table.runs)

    def config(self, **overrides: Any) -> SweepConfig:
        """A sweep of the space, as its file has it."""
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
        """A sweep run to its end: one slot, no baselines, no confirmations.

        Args:
            policy: fields of `SweepConfig`.
            budget: training FLOPs, in whole runs.
        """
        config = self.config(
            **{"num_trials": len(self.table.runs)} | dict(policy),
            baseline=BaselineConfig(presets=[]),
            confirm=ConfirmConfig(finalists=0),
            stop=StopConfig(flops=int(budget * self.table.run_flops)),
            seed=seed,
        )
        plan = Scheduler(config, self.candidates, None, slots=1)
        Simulator(TrialRunner(plan, []), self.table.train(seed), slots=1).run()
        return plan

    def order(self, seed: int) -> list[Cell]:
        """In which order a random search of that seed comes to all configurations."""
        policy = {"sampler": {"name": "random"}, "pruner": {"name": "none"}}
        everything = self.simulate(policy, len(self.table.runs), seed)
        return [self.table.cell(trial.job.params) for trial in everything.state.trials.values()]

    def value(self, cell: Cell, seed: int, report: int = 0) -> float:
        """What a sweep of that seed sees of a configuration at a report, counted from 1; 0 is the last."""
        seen = self.table.runs[cell][self.table.met(cell, seed)][report - 1].metrics[self.objective.metric]
        assert seen is not None
        return seen

    def get_sort_key(self, cell: Cell, seed: int, report: int = 0) -> float:
        """`value` as a sort key."""
        return self.objective.get_sort_key(self.value(cell, seed, report))

    def regret(self, cell: Cell, seed: int) -> float:
        """How far a sweep's pick lies behind the best configuration's mean; by the mean of the runs that the
        sweep has not met, so that a lucky run is no merit."""
        pick = self.table.mean_end(cell, self.objective.metric, without=self.table.met(cell, seed))
        return self.objective.get_sort_key(pick) - self._best

    def first_all(
        self, order: Sequence[Cell], reports: int, budget: float, seed: int
    ) -> tuple[list[Cell], list[Cell]]:
        """The trivial baseline: all that the budget allows for so many reports, then the best of them to the end.

        Returns:
            What was tried, and what of it went on, best first.
        """
        head = reports / len(self.table.runs[order[0]][0])
        num = min(len(order), int((budget - (1 - head)) / head + ROUNDING))
        go_on = int((budget - num * head) / (1 - head) + ROUNDING)
        tried = list(order[:num])
        best = sorted(tried, key=lambda one: self.get_sort_key(one, seed, reports))[:go_on]
        return tried, best


def pack(out: Path, searched: Sequence[str], path: Path) -> None:
    """Writes the curves of the sweep in a folder as a table.

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


def half_interval(values: Sequence[float] | np.ndarray) -> float:
    """Half of a 95% interval of the mean (Student's t)."""
    return float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))


def paired_p(gaps: Sequence[float] | np.ndarray) -> float:
    """Two-sided, of a t-test that paired differences are 0 in the mean; 1 where all of them are 0."""
    return float(stats.ttest_1samp(gaps, 0.0).pvalue) if np.any(gaps) else 1.0
