"""A small real space and ready sweeps of it, for the tests of the search."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import optuna

from benchmarks.simulator import Simulation, Simulator, Slowness, Train
from benchmarks.synthetic_curves import SyntheticCurves
from sweeps.config import BaselineConfig, BudgetConfig, ConfirmConfig, SweepConfig, SweepTrainConfig
from sweeps.events import Job, SessionStarted, Validation
from sweeps.scheduler.scheduler import Scheduler
from sweeps.scheduler.state import SweepState
from sweeps.scheduler.trial_runner import TrialRunner
from sweeps.search.pruners import PRUNERS
from sweeps.space.candidates import Candidates

MODEL_FIELDS = {"vocab_size": 11, "seq_len": 36, "num_puzzle_identifiers": 1}

SPACE: dict[str, Any] = {
    "name": "small",
    "question": "Where do the layers go?",
    "parameters": {
        "H_layers": {"int": [1, 4]},
        "L_layers": [1, 2, 3, 4],
        "lr": {"log": [1e-4, 1e-2], "num": 5},
    },
    "fixed": {"hidden_size": 80, "num_heads": 5, "H_cycles": 1, "L_cycles": 1, "mlp_multiple": 32},
}
"""Feasible are 4 to 6 layers in all: 10 shapes of 16, 50 trials."""

CONTINUOUS_SPACE: dict[str, Any] = SPACE | {
    "name": "continuous",
    "parameters": SPACE["parameters"] | {"lr": {"log": [1e-4, 1e-2]}},
}

UNLISTED_SPACE: dict[str, Any] = {
    "name": "unlisted",
    "question": "How much feed-forward, and how many layers?",
    "parameters": {
        "H_layers": {"int": [1, 4]},
        "L_layers": {"int": [1, 4]},
        "expansion": {"float": [1, 8]},
        "lr": {"log": [1e-4, 1e-2]},
    },
    "fixed": SPACE["fixed"] | {"mlp_multiple": 1},
}
"""Its shapes are continuous, so that they cannot be enumerated; two fifths are feasible."""

TINY_SPACE: dict[str, Any] = {
    "name": "tiny",
    "question": "Where do the layers go, quickly?",
    "parameters": {"H_layers": [2, 3], "lr": [1e-3, 3e-3]},
    "fixed": SPACE["fixed"] | {"L_layers": 2},
}

PRESET_SPACE: dict[str, Any] = {
    "name": "preset",
    "question": "Which learning rate suits the Tiny Demo preset?",
    "parameters": {"H_layers": [1, 2], "lr": [1e-3, 3e-3]},
    "fixed": {"hidden_size": 128, "num_heads": 4, "L_layers": 1, "H_cycles": 1, "L_cycles": 1},
}
"""Only the preset's own architecture fits."""

PRUNER_SECTIONS = {name: {"name": name} | ({"lower": 0.2} if name == "threshold" else {}) for name in PRUNERS}
"""Every pruner with the least options that it needs."""

NO_BASELINES = BaselineConfig(presets=[])
NO_CONFIRMATION = ConfirmConfig(finalists=0)


def sweep_config(**overrides: Any) -> SweepConfig:
    values: dict[str, Any] = {
        "space": SPACE,
        "task": {"name": "sudoku6"},
        "train": SweepTrainConfig(steps=200, num_reports=5),
        "num_trials": 10,
        "budget": BudgetConfig(max_params="tiny_demo", min_params=0.6),
    }
    return SweepConfig(**(values | overrides))


def candidates_of(config: SweepConfig) -> Candidates:
    """The candidates of one of the spaces above, made once."""
    return _candidates(config.space["name"], config.train.num_reports)


@functools.cache
def _candidates(name: str, num_reports: int) -> Candidates:
    space = next(
        space
        for space in (SPACE, TINY_SPACE, PRESET_SPACE, CONTINUOUS_SPACE, UNLISTED_SPACE)
        if space["name"] == name
    )
    train = SweepTrainConfig(steps=200, num_reports=num_reports)
    return Candidates(sweep_config(space=space, train=train), MODEL_FIELDS)


def make_plan(slots: int = 1, journal: Path | None = None, **overrides: Any) -> Scheduler:
    config = sweep_config(**overrides)
    return Scheduler(config, candidates_of(config), journal, slots)


def simulate(
    plan: Scheduler, slots: int = 1, train: Train | None = None, slowness: Slowness | None = None
) -> Simulation:
    return Simulator(TrialRunner(plan), train or SyntheticCurves(world=1), slots, slowness).run()


class HasState(Protocol):
    state: SweepState


class Outcome(NamedTuple):
    """How a trial ended, and what it had reported."""

    status: str
    error: str | None
    reports: tuple[Validation, ...]


def jobs_of(plan: HasState) -> dict[int, Job]:
    """Return all jobs by number, in the order of starting."""
    return {number: trial.job for number, trial in plan.state.trials.items()}


def outcomes_of(plan: HasState) -> dict[int, Outcome]:
    """Return how the trials ended, by number."""
    return {
        number: Outcome(trial.ended.status, trial.ended.error, tuple(trial.validations))
        for number, trial in plan.state.trials.items()
        if trial.ended
    }


def extend(plan: Scheduler, config: SweepConfig) -> None:
    """Go on with the limits of another configuration, as a resumed sweep does."""
    for one in (plan._config, config) if plan.state.session is None else (config,):
        plan.apply(SessionStarted(limits=one.limits, slots=1, memory_bytes=None))


def decisions(plan: Scheduler) -> list[tuple[Any, ...]]:
    """Return all that was decided and learned: every job in full, how it ended and what it reported, by number."""
    jobs, outcomes = jobs_of(plan), outcomes_of(plan)
    return [(jobs[number], outcomes[number], plan.trial_numbers.get(number)) for number in sorted(jobs)]


def study_of(plan: Scheduler) -> optuna.Study:
    """Optuna's own view of the search."""
    return plan.study.optuna_study


def search_jobs(plan: Scheduler) -> list[int]:
    """Numbers of the search jobs, in the order of starting."""
    return [trial.number for trial in plan.state.of_kind("search")]
