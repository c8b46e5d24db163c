"""What it helps to teach samplers the budget: `python benchmarks/taught_samplers.py`.

Whole searches of a space that cannot be enumerated, on a fake clock and made-up learning curves whose best lies at
the edge of the budget; each seed is a world of its own, the same for all. Each sampler searches untaught, then
taught. Prints, of all but the first trials, how many proposals a suggestion rejects as infeasible and how often all
of them were, so that a uniform draw took their place; and the accuracy of the best configuration without noise, with
its standard error over the seeds.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.simulator import Simulator
from benchmarks.synthetic_curves import SyntheticCurves
from sweeps.config import BaselineConfig, BudgetConfig, ConfirmConfig, SweepConfig, SweepTrainConfig
from sweeps.events import Job
from sweeps.scheduler.scheduler import Scheduler
from sweeps.scheduler.trial_runner import TrialRunner
from sweeps.search.constrained_sampler import REJECTED
from sweeps.search.samplers import SAMPLERS
from sweeps.space.candidates import Candidates

MODEL_FIELDS = {"vocab_size": 11, "seq_len": 36, "num_puzzle_identifiers": 1}
SPACE: dict[str, Any] = {
    "name": "expansions",
    "question": "How much feed-forward, and how many layers?",
    "parameters": {
        "H_layers": {"int": [1, 4]},
        "L_layers": {"int": [1, 4]},
        "expansion": {"float": [1, 8]},
        "lr": {"log": [1e-4, 1e-2]},
    },
    "fixed": {"hidden_size": 80, "num_heads": 5, "H_cycles": 1, "L_cycles": 1, "mlp_multiple": 1},
}
MAX_PARAMS = 360_000
"""About two fifths of the space fit."""
FIRST = 10
"""Trials that are not counted: every startup is over by then."""
SLOTS = 2
TAUGHT = ("tpe", "gp")


class GrowingCurves(SyntheticCurves):
    """Of two equal shapes, the one with more parameters is better."""

    def ceiling(self, job: Job) -> float:
        return super().ceiling(job) * (job.num_params / MAX_PARAMS) ** 0.5


@dataclass(frozen=True)
class Search:
    """What came of one search; the first two per suggestion."""

    rejected: float
    replaced: float
    best: float


def search(candidates: Candidates, config: SweepConfig) -> Search:
    """One search in the world of its seed."""
    curves = GrowingCurves(world=config.seed)
    plan = Scheduler(config, candidates, None, SLOTS)
    Simulator(TrialRunner(plan), curves, SLOTS).run()
    trials = plan.study.optuna_study.trials[FIRST:]
    rejected = [len(trial.user_attrs.get(REJECTED, ())) for trial in trials]
    draws = SAMPLERS[config.sampler["name"]].draws
    return Search(
        rejected=float(np.mean(rejected)),
        replaced=float(np.mean([num == draws for num in rejected])),
        best=max(curves.ceiling(trial.job) for trial in plan.state.trials.values()),
    )


def configured(sampler: str, num_trials: int, seed: int) -> SweepConfig:
    return SweepConfig(
        space=SPACE,
        task={"name": "sudoku6"},
        train=SweepTrainConfig(steps=200, num_reports=5),
        num_trials=num_trials,
        seed=seed,
        sampler={"name": sampler},
        pruner={"name": "none"},
        budget=BudgetConfig(max_params=str(MAX_PARAMS)),
        baseline=BaselineConfig(presets=[]),
        confirm=ConfirmConfig(finalists=0),
    )


def ignore_rejections(num_startup: int, candidates: Candidates, trials: Any, rejected: Any) -> Any:
    """Return the study's trials: rejections are counted, but not shown to the sampler."""
    return trials


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samplers", nargs="+", default=["gp"], choices=["gp", "tpe", "nsgaii"])
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=6)
    args = parser.parse_args()
    candidates = Candidates(configured("random", args.trials, 0), MODEL_FIELDS)
    print(
        f"{args.trials} trials, {args.seeds} seeds\n| sampler | | rejected | replaced | best |\n|---|---|---|---|---|"
    )
    for sampler in args.samplers:
        entry = SAMPLERS[sampler]
        feedbacks: dict[str, Any] = {"untaught": ignore_rejections}
        if sampler in TAUGHT:
            feedbacks["taught"] = entry.feedback
        for name, feedback in feedbacks.items():
            with mock.patch.dict(SAMPLERS, {sampler: entry._replace(feedback=feedback)}):
                found = [
                    search(candidates, configured(sampler, args.trials, seed)) for seed in range(args.seeds)
                ]
            best = [one.best for one in found]
            print(
                f"| {sampler} | {name} | {np.mean([one.rejected for one in found]):.2f} "
                f"| {np.mean([one.replaced for one in found]):.1%} "
                f"| {np.mean(best):.4f} ± {np.std(best, ddof=1) / len(best) ** 0.5:.4f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
