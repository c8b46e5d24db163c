"""A study's trials as a table, in which those that have ended are kept: nothing changes them any more.

To look at ten thousand trials takes longer than what a sampler computes of them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial

STATE, VALUE, PARAMETERS = 0, 1, 2
"""Columns; behind these the other parameters."""


class TrialTable:
    """The table of a growing list of trials.

    Args:
        space: parameters that all trials have.
    """

    def __init__(self, space: Mapping[str, BaseDistribution]) -> None:
        self.space = space
        self._ended: list[FrozenTrial] = []
        self._rows = read([], space)

    def of(self, trials: list[FrozenTrial]) -> np.ndarray:
        """See `read`."""
        known = len(self._ended)
        if trials[:known] != self._ended:  # which looks into no trial that is one of these
            known, self._rows = 0, self._rows[:0]
        new = trials[known:]
        rows = np.vstack([self._rows, read(new, self.space)])
        num_ended = known + len(list(itertools.takewhile(lambda trial: trial.state.is_finished(), new)))
        self._ended, self._rows = trials[:num_ended], rows[:num_ended]
        return rows


def read(trials: Sequence[FrozenTrial], space: Mapping[str, BaseDistribution]) -> np.ndarray:
    """A row for each trial: its state, its first value (NaN where it has none) and its parameters, as Optuna
    represents them."""
    states = [trial.state for trial in trials]
    values = [math.nan if trial.values is None else trial.values[0] for trial in trials]
    known = [trial.params for trial in trials]
    columns = [_internal(each, [params[name] for params in known]) for name, each in space.items()]
    return np.array([states, values, *columns], dtype=float).T


def parameters(table: np.ndarray, space: Mapping[str, BaseDistribution]) -> dict[str, np.ndarray]:
    """The parameters of a table of that space."""
    return dict(zip(space, table[:, PARAMETERS:].T, strict=True))


def _internal(space: BaseDistribution, values: list[Any]) -> list[float]:
    if isinstance(space, CategoricalDistribution):
        return [space.to_internal_repr(value) for value in values]
    return values
