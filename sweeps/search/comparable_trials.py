"""Pruning with several objectives: by the first, against the trials that are no worse in all others.

Optuna's pruners compare one value a trial, and Optuna takes no reports in a study of several objectives. So what a
trial had reached at each mark lies in its own attributes, and a pruner is shown a study of the first objective alone,
in which there are only the trial's rivals: those that were no worse in every other objective at the same mark. What
it prunes is dominated there; a small model is never stopped for learning less than larger ones.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from sweeps.search.objectives import Objectives
from sweeps.search.pareto_front import is_as_good

_PREFIX = "mark:"


def write_marks(storage: BaseStorage, trial: FrozenTrial, values: Mapping[int, Sequence[float]]) -> None:
    """Keeps the objectives by mark (see `sweeps.search.rungs`) of a running trial; what was kept before stands."""
    told = marks_of(trial)
    for mark, reached in values.items():
        if mark not in told:
            storage.set_trial_system_attr(trial._trial_id, f"{_PREFIX}{mark}", list(reached))


def marks_of(trial: FrozenTrial) -> dict[int, list[float]]:
    """The objectives by mark."""
    attributes = trial.system_attrs.items()
    return {int(name.removeprefix(_PREFIX)): value for name, value in attributes if name.startswith(_PREFIX)}


def of_first_objective(trial: FrozenTrial) -> FrozenTrial:
    """The trial as one of a study that has the first objective only."""
    shown = copy.copy(trial)
    shown.intermediate_values = {mark: values[0] for mark, values in marks_of(trial).items()}
    shown.values = None if trial.values is None else trial.values[:1]
    return shown


def is_comparable(other: FrozenTrial, trial: FrozenTrial, objectives: Objectives) -> bool:
    """Whether another trial was no worse in every objective but the first at the trial's last mark."""
    mine, theirs = marks_of(trial), marks_of(other)
    last = max(mine, default=0)
    if last not in mine or last not in theirs:
        return False
    return is_as_good(objectives.point(theirs[last])[1:], objectives.point(mine[last])[1:])
