"""Scaling laws: how the best configuration of several sweeps changes with its size, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hrm.models.registry import get_family
from sweeps.analysis.comparison import Arm, get_score_resolution
from sweeps.analysis.sweep_folder import SweepFolder

DRAWS = 2000
LEVEL = 0.95
MIN_POINTS = 3
MIN_SPAN = 2.0
"""Largest over smallest x below which nothing is fitted."""
NEGLIGIBLE = 1e-9
"""Exponents below it come from rounding: a quantity that is the same in every sweep has no trend."""
ERROR, WIDTH = "error", "width"
PARAMETERS, TRAINING_FLOPS = AXES = ("parameters", "training FLOPs")

_Combine = Callable[[Iterable[int]], int]
SHAPES: Mapping[str, Sequence[tuple[tuple[str, ...], _Combine]]] = {
    "depth": [(("H_layers", "L_layers"), sum), (("n_layers",), sum)],
    "cycles": [(("H_cycles", "L_cycles"), math.prod)],
}
"""Shapes of a configuration by the model fields that make them; the first whose fields the model has is taken."""


@dataclass(frozen=True)
class Interval:
    """A value with its 95% interval."""

    middle: float
    low: float
    high: float

    def contains(self, value: float) -> bool:
        """Return whether the value lies within the interval."""
        return self.low <= value <= self.high


@dataclass(frozen=True, kw_only=True)
class PowerLaw:
    """A fitted law y = a x^b and its bootstrap draws; logarithms are natural."""

    exponent: float
    level: float
    """ln y at `centre`."""
    centre: float
    """Mean of ln x."""
    exponents: np.ndarray
    """One per draw, as `levels` and `spreads`."""
    levels: np.ndarray
    spreads: np.ndarray
    """Standard deviation of ln y of a further point around the law."""
    seed: int
    """Of the draws that `predict` makes."""

    @property
    def exponent_interval(self) -> Interval:
        """The exponent with its interval."""
        return _build_interval(self.exponent, self.exponents)

    def predict(self, x: float) -> Interval:
        """Return the law's value at x with the interval in which a further sweep is expected."""
        away = np.log(x) - self.centre
        noise = np.random.default_rng(self.seed).standard_normal(len(self.exponents))
        draws = self.levels + self.exponents * away + self.spreads * noise
        found = _build_interval(self.level + self.exponent * away, draws)
        return Interval(*(float(np.exp(value)) for value in (found.middle, found.low, found.high)))


def fit_power_law(x: np.ndarray, y: np.ndarray, replicates: np.ndarray, seed: int = 0) -> PowerLaw:
    """Fit y = a x^b by least squares in logarithms, with intervals from the replicates and the scatter.

    Args:
        x: of k >= 3 points, above 0, at least two of them different.
        y: above 0.
        replicates: draws by k: y as further experiments would have found it, above 0.
        seed: of the draws.

    Example:
        >>> x = np.array([1.0, 2.0, 4.0, 8.0])
        >>> law = fit_power_law(x, 3 * x**-0.5, np.tile(3 * x**-0.5, (100, 1)))
        >>> f"exponent {law.exponent:.2f}, at x = 100: {law.predict(100).middle:.2f}"
        'exponent -0.50, at x = 100: 0.30'
    """
    k = len(x)
    assert k >= 3 and (y > 0).all() and (replicates > 0).all()
    rng = np.random.default_rng(seed)
    log_x, log_y, log_draws = np.log(x), np.log(y), np.log(replicates)
    centre = float(log_x.mean())
    away = log_x - centre
    exponent, level = float(away @ log_y / (away @ away)), float(log_y.mean())
    # The replicates bring the noise of each point. Where the points lie further from the law than that noise
    # explains, every draw moves them by the rest: normal, with a standard deviation as uncertain as k - 2 degrees
    # of freedom leave it (scaled inverse chi).
    explained = float(log_draws.var(axis=0).mean())
    seen = float(np.sum((log_y - level - exponent * away) ** 2)) / (k - 2)
    rest = np.sqrt(max(0.0, seen - explained)) * np.sqrt((k - 2) / rng.chisquare(k - 2, len(log_draws)))
    moved = log_draws + rest[:, None] * rng.standard_normal(log_draws.shape)
    return PowerLaw(
        exponent=exponent,
        level=level,
        centre=centre,
        exponents=moved @ away / (away @ away),
        levels=moved.mean(axis=1),
        spreads=np.sqrt(rest**2 + explained),
        seed=seed + 1,
    )


@dataclass(frozen=True, kw_only=True)
class ConfirmedConfiguration:
    """A finalist on its fresh seeds."""

    name: str
    axes: dict[str, float]
    """Parameters and training FLOPs of one run."""
    shape: dict[str, float]
    """Depth, width, cycles: those that its family has."""
    objectives: np.ndarray
    """One per seed."""
    errors: np.ndarray
    """On the test split, one per seed in the same order: 1 minus an accuracy, or a loss."""

    def resample(self, rng: np.random.Generator, draws: int) -> tuple[np.ndarray, np.ndarray]:
        """Return means of objective and error over resampled seeds, one per draw.

        Resamples of n seeds spread too little by the factor sqrt((n - 1) / n), so their deviations are stretched.
        """
        n = len(self.errors)
        picked = rng.integers(n, size=(draws, n))
        stretch = math.sqrt(n / (n - 1))

        def average(scores: np.ndarray) -> np.ndarray:
            return scores.mean() + stretch * (scores[picked].mean(axis=1) - scores.mean())

        return average(self.objectives), average(self.errors)


@dataclass(frozen=True, kw_only=True)
class ScalingPoint:
    """One sweep: its finalists, and which is the best."""

    label: str
    finalists: list[ConfirmedConfiguration]
    best: ConfirmedConfiguration
    maximizes: bool
    """Whether a higher objective is better."""
    least_error: float
    """The smallest error above 0 that the test split can show."""
    most_error: float
    """1 if the error is 1 minus an accuracy; infinity for a loss."""
    error_name: str
    presets: dict[str, int]
    """Parameters of every preset that can be built for the task, by name."""

    @property
    def values(self) -> dict[str, float]:
        """The best configuration's error and shape."""
        return {ERROR: max(float(self.best.errors.mean()), self.least_error), **self.best.shape}

    def draw_replicates(self, draws: int, seed: int) -> dict[str, np.ndarray]:
        """Return `values` as the same sweep would have found them on other fresh seeds, one per draw.

        Resamples the seeds of every finalist and chooses the best again, so that doubt about which configuration
        is the best becomes doubt about its shape.
        """
        rng = np.random.default_rng(seed)
        objectives, errors = map(np.stack, zip(*(one.resample(rng, draws) for one in self.finalists)))
        chosen = (objectives if self.maximizes else -objectives).argmax(axis=0)
        shapes = {
            name: np.array([one.shape[name] for one in self.finalists])[chosen] for name in self.best.shape
        }
        return {ERROR: np.maximum(errors[chosen, np.arange(draws)], self.least_error), **shapes}


def build_point(folder: SweepFolder, name: str = "") -> ScalingPoint | None:
    """Return a sweep's point; None if no finalist has two completed confirmations.

    Args:
        folder: of the sweep.
        name: in place of the space's.
    """
    metadata = folder.metadata
    metric, maximizes = metadata.goal.test_metric, metadata.goal.direction == "maximize"
    finalists = [
        found
        for arm in folder.comparisons.arms
        if not arm.is_baseline and (found := _read_confirmed(arm, metric, maximizes)) is not None
    ]
    if not finalists:
        return None
    budget = "no budget" if metadata.max_params is None else f"{metadata.max_params:,} parameters"
    return ScalingPoint(
        label=f"{name or metadata.name}, {budget}",
        finalists=finalists,
        best=min(finalists, key=lambda one: metadata.goal.get_sort_key(float(one.objectives.mean()))),
        maximizes=maximizes,
        least_error=get_score_resolution(metric, metadata),
        most_error=1.0 if maximizes else math.inf,
        error_name=f"1 - {metric}" if maximizes else metric,
        presets={preset.name: preset.params for preset in metadata.presets if preset.params is not None},
    )


@dataclass(frozen=True, kw_only=True)
class ScalingFit:
    """One quantity against one axis."""

    quantity: str
    axis: str
    x: np.ndarray
    y: np.ndarray
    law: PowerLaw | None
    """None if nothing can be fitted, for the reason in `why_not`."""
    why_not: str = ""
    held_out: Interval | None = None
    """The largest sweep, predicted by the law of the others; None if too few others remain."""
    least: float = 0.0
    """Lower bound of the quantity: there is no half of a layer."""
    most: float = math.inf
    """Upper bound of the quantity."""

    def predict(self, x: float) -> Interval:
        """Return what a further sweep at x is expected to find."""
        assert self.law is not None
        return _clamp(self.law.predict(x), self.least, self.most)

    @property
    def largest(self) -> float:
        """The quantity in the largest sweep."""
        return float(self.y[self.x.argmax()])

    @property
    def may_extrapolate(self) -> bool:
        """False if the law has already failed at the largest sweep."""
        return self.held_out is None or self.held_out.contains(self.largest)

    @property
    def trend(self) -> str:
        """`grows` or `falls` if the exponent's interval leaves out 0, else `no trend can be told`."""
        assert self.law is not None
        found = self.law.exponent_interval
        if found.low > NEGLIGIBLE:
            return "grows"
        return "falls" if found.high < -NEGLIGIBLE else "no trend can be told"


def fit_scaling_laws(points: Sequence[ScalingPoint]) -> list[ScalingFit]:
    """Return a fit of each quantity against each axis, or the reason why there is none.

    Args:
        points: one per sweep.

    Example:
        >>> def build_example(size: int) -> ScalingPoint:
        ...     one = ConfirmedConfiguration(
        ...         name="trial 1", axes={"parameters": size, "training FLOPs": 7.0}, shape={},
        ...         objectives=np.full(3, 0.5), errors=np.full(3, size**-0.5))
        ...     return ScalingPoint(label="", finalists=[one], best=one, maximizes=True, least_error=0.001,
        ...                         most_error=1.0, error_name="1 - accuracy", presets={})
        >>> fits = fit_scaling_laws([build_example(size) for size in (100, 200, 400, 800)])
        >>> for fit in fits:
        ...     print(f"{fit.quantity} against {fit.axis}: {fit.trend if fit.law else fit.why_not}")
        error against parameters: falls
        error against training FLOPs: the sweeps span less than a factor of 2
    """
    ordered = sorted(points, key=lambda point: point.best.axes[PARAMETERS])
    replicates = [point.draw_replicates(DRAWS, seed=i) for i, point in enumerate(ordered)]
    return [
        _fit(ordered, replicates, quantity, axis) for quantity in _list_quantities(ordered) for axis in AXES
    ]


def _build_interval(middle: float, draws: np.ndarray) -> Interval:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(middle), float(min(low, middle)), float(max(high, middle)))


def _clamp(found: Interval, least: float, most: float) -> Interval:
    return Interval(*(min(max(value, least), most) for value in (found.middle, found.low, found.high)))


def _read_confirmed(arm: Arm, metric: str, maximizes: bool) -> ConfirmedConfiguration | None:
    objectives, scores = arm.scores["objective"], arm.scores.get(metric, {})
    seeds = sorted(objectives.keys() & scores.keys())
    if len(seeds) < 2 or arm.train_flops is None:
        return None
    found = np.array([scores[seed] for seed in seeds])
    return ConfirmedConfiguration(
        name=arm.name,
        axes={PARAMETERS: float(arm.params), TRAINING_FLOPS: arm.train_flops},
        shape=_read_shape(arm.config),
        objectives=np.array([objectives[seed] for seed in seeds]),
        errors=1 - found if maximizes else found,
    )


def _read_shape(config: Mapping[str, Any]) -> dict[str, float]:
    model = config["model"]
    shape = {WIDTH: float(model[get_family(config["family"]).width])}
    for name, ways in SHAPES.items():
        for fields, combine in ways:
            if all(field in model for field in fields):
                shape[name] = float(combine(model[field] for field in fields))
                break
    return shape


def _list_quantities(points: Sequence[ScalingPoint]) -> Iterator[str]:
    """Yield the error, then the shapes that all sweeps have and that some search could choose."""
    yield ERROR
    for name in points[0].best.shape:
        finalists = [one for point in points for one in point.finalists]
        if all(name in one.shape for one in finalists) and len({one.shape[name] for one in finalists}) > 1:
            yield name


def _fit(
    points: Sequence[ScalingPoint], drawn: Sequence[dict[str, np.ndarray]], quantity: str, axis: str
) -> ScalingFit:
    x = np.array([point.best.axes[axis] for point in points])
    y = np.array([point.values[quantity] for point in points])
    replicates = np.stack([draws[quantity] for draws in drawn], axis=1)
    if why_not := _explain_no_fit(x):
        return ScalingFit(quantity=quantity, axis=axis, x=x, y=y, law=None, why_not=why_not)
    last = int(x.argmax())
    rest = np.arange(len(x)) != last
    least, most = (0.0, points[0].most_error) if quantity == ERROR else (1.0, math.inf)
    held_out = None
    if not _explain_no_fit(x[rest]):
        others = fit_power_law(x[rest], y[rest], replicates[:, rest])
        held_out = _clamp(others.predict(x[last]), least, most)
    law = fit_power_law(x, y, replicates)
    return ScalingFit(
        quantity=quantity, axis=axis, x=x, y=y, law=law, held_out=held_out, least=least, most=most
    )


def _explain_no_fit(x: np.ndarray) -> str:
    """Return the reason why nothing can be fitted; empty if something can."""
    if len(x) < MIN_POINTS:
        return f"a law takes {MIN_POINTS} sweeps or more"
    if x.max() < MIN_SPAN * x.min():
        return f"the sweeps span less than a factor of {MIN_SPAN:g}"
    return ""
