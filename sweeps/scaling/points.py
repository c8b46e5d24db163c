"""What each sweep adds to a scaling fit: its best confirmed find, and how sure that choice and score are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hrm.families import family
from sweeps.report.folder import Folder
from sweeps.verdict.arms import Arm
from sweeps.verdict.compare import score_resolution

ERROR, WIDTH = "error", "width"
AXES = ("parameters", "training FLOPs")

_Combine = Callable[[Iterable[int]], int]
MADE_OF: Mapping[str, Sequence[tuple[tuple[str, ...], _Combine]]] = {
    "depth": [(("H_layers", "L_layers"), sum), (("n_layers",), sum)],
    "cycles": [(("H_cycles", "L_cycles"), math.prod)],
}
"""Shapes of a find, by the fields that make them; the first whose fields the model has is taken."""


@dataclass(frozen=True, kw_only=True)
class Find:
    """A finalist on its fresh seeds."""

    name: str
    axes: dict[str, float]
    """Parameters and training FLOPs of one run."""
    shape: dict[str, float]
    """Depth, width, cycles: those that its family has."""
    objectives: np.ndarray
    """One per seed."""
    errors: np.ndarray
    """One per seed, in the same order: 1 minus an accuracy, else the loss itself; on the test split."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One sweep: its finds, and which is the best."""

    label: str
    finds: list[Find]
    best: Find
    maximizes: bool
    """Whether a higher objective is better."""
    least_error: float
    """The smallest error above none that the test split can show."""
    most_error: float
    """1 where the error is 1 minus an accuracy; infinity for a loss."""
    error_name: str
    presets: dict[str, int]
    """Parameters of every preset that can be built for the task, by name."""

    @property
    def values(self) -> dict[str, float]:
        """Of the best find, by quantity."""
        return {ERROR: max(float(self.best.errors.mean()), self.least_error), **self.best.shape}

    def replicates(self, draws: int, seed: int) -> dict[str, np.ndarray]:
        """`values`, as the same sweep would have found them on other fresh seeds: one per draw.

        Resamples the seeds of every finalist and chooses the best again. What a resample lies off the mean is
        stretched by sqrt(n / (n - 1)), for resamples of n seeds spread that much too little.
        """
        rng = np.random.default_rng(seed)
        means = [_resampled(find, rng, draws) for find in self.finds]
        objectives = np.stack([objective for objective, _ in means])
        chosen = (objectives if self.maximizes else -objectives).argmax(axis=0)
        errors = np.stack([error for _, error in means])[chosen, np.arange(draws)]
        shapes = {
            name: np.array([find.shape[name] for find in self.finds])[chosen] for name in self.best.shape
        }
        return {ERROR: np.maximum(errors, self.least_error), **shapes}


def read(folder: Folder, name: str = "") -> Point | None:
    """A sweep's point, by that name; None where no find has two completed confirmations."""
    context = folder.context
    metric, maximizes = context.goal.test_metric, context.goal.direction == "maximize"
    finds = [
        found
        for arm in folder.comparisons.arms
        if not arm.is_baseline and (found := _find(arm, metric, maximizes)) is not None
    ]
    if not finds:
        return None
    budget = "no budget" if context.max_params is None else f"{context.max_params:,} parameters"
    ranked = sorted(finds, key=lambda find: context.goal.best_first(float(find.objectives.mean())))
    return Point(
        label=f"{name or context.name}, {budget}",
        finds=finds,
        best=ranked[0],
        maximizes=maximizes,
        least_error=score_resolution(metric, context),
        most_error=1.0 if maximizes else math.inf,
        error_name=f"1 - {metric}" if maximizes else metric,
        presets={preset.name: preset.params for preset in context.presets if preset.params is not None},
    )


def _find(arm: Arm, metric: str, maximizes: bool) -> Find | None:
    objectives, scores = arm.scores["objective"], arm.scores.get(metric, {})
    seeds = sorted(objectives.keys() & scores.keys())
    if len(seeds) < 2 or arm.train_flops is None:
        return None
    found = np.array([scores[seed] for seed in seeds])
    return Find(
        name=arm.name,
        axes=dict(zip(AXES, (float(arm.params), arm.train_flops))),
        shape=_shape(arm.config),
        objectives=np.array([objectives[seed] for seed in seeds]),
        errors=1 - found if maximizes else found,
    )


def _shape(config: Mapping[str, Any]) -> dict[str, float]:
    model = config["model"]
    shape = {WIDTH: float(model[family(config["family"]).lattice.width])}
    for name, ways in MADE_OF.items():
        for fields, combine in ways:
            if all(field in model for field in fields):
                shape[name] = float(combine(model[field] for field in fields))
                break
    return shape


def _resampled(find: Find, rng: np.random.Generator, draws: int) -> tuple[np.ndarray, np.ndarray]:
    n = len(find.errors)
    picked = rng.integers(n, size=(draws, n))
    stretch = math.sqrt(n / (n - 1))

    def mean(scores: np.ndarray) -> np.ndarray:
        return scores.mean() + stretch * (scores[picked].mean(axis=1) - scores.mean())

    return mean(find.objectives), mean(find.errors)
