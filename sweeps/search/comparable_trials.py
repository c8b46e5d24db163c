"""Pruning with several objectives: by the first, against the trials that are no worse in all others.

Optuna's pruners compare one value per trial, and Optuna takes no reports in a study of several objectives. So the
objectives at each report are kept in the trial's own attributes, and a pruner is shown a study of the first objective
alone that holds only comparable trials: those that were no worse in every other objective at the same report. What it
prunes is dominated there; a small model is never stopped for learning less than larger ones.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from sweeps.search.objectives import Objectives
from sweeps.search.pareto_front import is_as_good

_PREFIX = "mark:"
"""How the attributes begin that hold the objectives at a report; journals of earlier versions have them too."""


def write_values(storage: BaseStorage, trial: FrozenTrial, values: Mapping[int, Sequence[float]]) -> None:
    """Store the objectives of a running trial by step, except for steps that it has already."""
    stored = read_values(trial)
    for step, at_step in values.items():
        if step not in stored:
            storage.set_trial_system_attr(trial._trial_id, f"{_PREFIX}{step}", list(at_step))


def read_values(trial: FrozenTrial) -> dict[int, list[float]]:
    """Return the objectives of a trial by step."""
    attributes = trial.system_attrs.items()
    return {int(name.removeprefix(_PREFIX)): value for name, value in attributes if name.startswith(_PREFIX)}


def show_first_objective(trial: FrozenTrial) -> FrozenTrial:
    """Return the trial as one of a study that has the first objective only."""
    shown = copy.copy(trial)
    shown.intermediate_values = {step: values[0] for step, values in read_values(trial).items()}
    shown.values = None if trial.values is None else trial.values[:1]
    return shown


def is_comparable(other: FrozenTrial, trial: FrozenTrial, objectives: Objectives) -> bool:
    """Return whether another trial was no worse in every objective but the first at the trial's last step."""
    mine, theirs = read_values(trial), read_values(other)
    last = max(mine, default=0)
    if last not in mine or last not in theirs:
        return False
    return is_as_good(objectives.point(theirs[last])[1:], objectives.point(mine[last])[1:])
