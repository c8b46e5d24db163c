"""Importance of the dimensions by two methods, which ask different questions and may disagree."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from sweeps.results.schema import PARAMETER_PREFIX
from sweeps.search.objective import Direction
from sweeps.verdict.effects import MIN_TRIALS, Evidence

METHODS = {
    "PED-ANOVA": "how much the values of the best tenth differ from those of all trials",
    "fANOVA": "the share of a random forest's variance that the dimension explains alone",
}
"""Name to the question that it answers."""
TREES, DEPTH = 16, 8
"""Of the forest: full-grown trees cost ten times the time on 1,000 trials, for shares that differ by 0.02."""


def importances(
    evidence: Evidence, names: Sequence[str], direction: Direction
) -> dict[str, dict[str, float]] | None:
    """Method, then dimension, to its share; a method's shares sum to 1. None where too few trials tell.

    Args:
        evidence: the trials at their common report.
        names: searched values of the space that vary.
        direction: of the objective.
    """
    if len(evidence.rows) < MIN_TRIALS or len(names) < 2 or float(np.ptp(evidence.scores)) == 0:
        return None
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction=direction)
    distributions = {
        name: _distribution([row[PARAMETER_PREFIX + name] for row in evidence.rows]) for name in names
    }
    study.add_trials([
        optuna.trial.create_trial(
            params={name: row[PARAMETER_PREFIX + name] for name in names},
            distributions=distributions,
            value=float(score),
        )
        for row, score in zip(evidence.rows, evidence.scores)
    ])  # fmt: skip
    evaluators = {
        "PED-ANOVA": PedAnovaImportanceEvaluator(),
        "fANOVA": FanovaImportanceEvaluator(n_trees=TREES, max_depth=DEPTH, seed=0),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {
            method: optuna.importance.get_param_importances(study, evaluator=evaluator, params=list(names))
            for method, evaluator in evaluators.items()
        }
    return {
        method: {name: float(shares.get(name, 0.0)) for name in names} for method, shares in found.items()
    }


def _distribution(values: Sequence[Any]) -> Any:
    """A distribution that holds all the values: of numbers their range, else a choice among them."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if any(isinstance(value, bool | str) for value in values):
        return CategoricalDistribution(sorted(set(values)))
    low, high = min(values), max(values)
    if all(isinstance(value, int) for value in values):
        return IntDistribution(low, high)
    return FloatDistribution(low, high, log=low > 0 and high / low >= 10)
