"""What each sweep adds to a scaling fit: its best confirmed find, and how sure that choice and score are."""

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


@dataclass(frozen=True)
class Interval:
    """A value with its 95% interval."""

    middle: float
    low: float
    high: float

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True, kw_only=True)
class PowerLaw:
    """A fitted law and its bootstrap draws; logarithms are natural.

    Args:
        centre: mean of ln x, where `level` is ln y.
        exponents: one per draw, as `levels` and `spreads`.
        spreads: standard deviation of ln y of a further point around the law.
        seed: of the draws that `at` makes.
    """

    exponent: float
    level: float
    centre: float
    exponents: np.ndarray
    levels: np.ndarray
    spreads: np.ndarray
    seed: int

    @property
    def exponent_interval(self) -> Interval:
        return _interval(self.exponent, self.exponents)

    def at(self, x: float) -> Interval:
        """What a further sweep at x would find: the law's value, and the interval of a single new point."""
        away = np.log(x) - self.centre
        noise = np.random.default_rng(self.seed).standard_normal(len(self.exponents))
        draws = self.levels + self.exponents * away + self.spreads * noise
        found = _interval(self.level + self.exponent * away, draws)
        return Interval(*(float(np.exp(value)) for value in (found.middle, found.low, found.high)))


def fit(x: np.ndarray, y: np.ndarray, replicates: np.ndarray, seed: int = 0) -> PowerLaw:
    """Least squares in logarithms; intervals from the replicates and from the scatter around the law.

    The replicates bring the noise of each point. Where the points lie further from the law than that noise
    explains, every draw moves them by the rest: normal, with a spread as uncertain as k - 2 degrees of
    freedom leave it.

    Args:
        x: of k >= 3 points, above 0, at least two of them different.
        y: above 0.
        replicates: draws by k: y as further experiments would have found it, above 0.
        seed: of the draws.
    """
    k = len(x)
    assert k >= 3 and (y > 0).all() and (replicates > 0).all()
    rng = np.random.default_rng(seed)
    log_x, log_y, log_draws = np.log(x), np.log(y), np.log(replicates)
    centre = float(log_x.mean())
    away = log_x - centre
    exponent, level = float(away @ log_y / (away @ away)), float(log_y.mean())
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


def _interval(middle: float, draws: np.ndarray) -> Interval:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(middle), float(min(low, middle)), float(max(high, middle)))


ERROR, WIDTH = "error", "width"
AXES = ("parameters", "training FLOPs")

_Combine = Callable[[Iterable[int]], int]
MADE_OF: Mapping[str, Sequence[tuple[tuple[str, ...], _Combine]]] = {
    "depth": [(("H_layers", "L_layers"), sum), (("n_layers",), sum)],
    "cycles": [(("H_cycles", "L_cycles"), math.prod)],
}
"""Shapes of a find, by the fields that make them; the first whose fields the model has is taken."""


@dataclass(frozen=True, kw_only=True)
class BestConfiguration:
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
    finds: list[BestConfiguration]
    best: BestConfiguration
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


def read(folder: SweepFolder, name: str = "") -> Point | None:
    """A sweep's point, by that name; None where no find has two completed confirmations."""
    metadata = folder.metadata
    metric, maximizes = metadata.goal.test_metric, metadata.goal.direction == "maximize"
    finds = [
        found
        for arm in folder.comparisons.arms
        if not arm.is_baseline and (found := _find(arm, metric, maximizes)) is not None
    ]
    if not finds:
        return None
    budget = "no budget" if metadata.max_params is None else f"{metadata.max_params:,} parameters"
    ranked = sorted(finds, key=lambda find: metadata.goal.get_sort_key(float(find.objectives.mean())))
    return Point(
        label=f"{name or metadata.name}, {budget}",
        finds=finds,
        best=ranked[0],
        maximizes=maximizes,
        least_error=get_score_resolution(metric, metadata),
        most_error=1.0 if maximizes else math.inf,
        error_name=f"1 - {metric}" if maximizes else metric,
        presets={preset.name: preset.params for preset in metadata.presets if preset.params is not None},
    )


def _find(arm: Arm, metric: str, maximizes: bool) -> BestConfiguration | None:
    objectives, scores = arm.scores["objective"], arm.scores.get(metric, {})
    seeds = sorted(objectives.keys() & scores.keys())
    if len(seeds) < 2 or arm.train_flops is None:
        return None
    found = np.array([scores[seed] for seed in seeds])
    return BestConfiguration(
        name=arm.name,
        axes=dict(zip(AXES, (float(arm.params), arm.train_flops))),
        shape=_shape(arm.config),
        objectives=np.array([objectives[seed] for seed in seeds]),
        errors=1 - found if maximizes else found,
    )


def _shape(config: Mapping[str, Any]) -> dict[str, float]:
    model = config["model"]
    shape = {WIDTH: float(model[get_family(config["family"]).width])}
    for name, ways in MADE_OF.items():
        for fields, combine in ways:
            if all(field in model for field in fields):
                shape[name] = float(combine(model[field] for field in fields))
                break
    return shape


def _resampled(
    find: BestConfiguration, rng: np.random.Generator, draws: int
) -> tuple[np.ndarray, np.ndarray]:
    n = len(find.errors)
    picked = rng.integers(n, size=(draws, n))
    stretch = math.sqrt(n / (n - 1))

    def mean(scores: np.ndarray) -> np.ndarray:
        return scores.mean() + stretch * (scores[picked].mean(axis=1) - scores.mean())

    return mean(find.objectives), mean(find.errors)


MIN_POINTS = 3
MIN_SPAN = 2.0
"""Largest over smallest x below which nothing is fitted."""


@dataclass(frozen=True, kw_only=True)
class HeldOutSweep:
    """The largest sweep, foretold by a law that has not seen it."""

    x: float
    predicted: Interval
    seen: float

    @property
    def holds(self) -> bool:
        return self.predicted.holds(self.seen)


@dataclass(frozen=True, kw_only=True)
class Fit:
    """One quantity against one axis."""

    quantity: str
    axis: str
    x: np.ndarray
    y: np.ndarray
    law: PowerLaw | None
    """None where nothing can be fitted, for the reason in `why_not`."""
    why_not: str = ""
    left_out: HeldOutSweep | None = None
    """None where too few sweeps would remain."""
    least: float = 0.0
    """What the quantity cannot fall below: there is no half of a layer."""
    most: float = math.inf
    """What it cannot exceed."""

    def at(self, x: float) -> Interval:
        """What a further sweep at x would find."""
        assert self.law is not None
        return _bounded(self.law.at(x), self.least, self.most)

    @property
    def may_extrapolate(self) -> bool:
        """Not where the law has failed at the largest sweep already."""
        return self.left_out is None or self.left_out.holds

    @property
    def trend(self) -> str:
        """`grows`, `falls`, or `no trend can be told`: whether the exponent's interval leaves out 0."""
        assert self.law is not None
        found = self.law.exponent_interval
        if found.low > 0:
            return "grows"
        return "falls" if found.high < 0 else "no trend can be told"


def study(points: Sequence[Point]) -> list[Fit]:
    """Every fit that the sweeps allow, and the reasons of those that they do not."""
    ordered = sorted(points, key=lambda point: point.best.axes[AXES[0]])
    drawn = [point.replicates(DRAWS, seed=i) for i, point in enumerate(ordered)]
    return [_fit(ordered, drawn, quantity, axis) for quantity in _quantities(ordered) for axis in AXES]


def _quantities(points: Sequence[Point]) -> Iterator[str]:
    """The error, then the shapes that all sweeps have and that some search could choose."""
    yield ERROR
    names = [name for name in points[0].best.shape if all(name in point.best.shape for point in points)]
    for name in names:
        if len({find.shape[name] for point in points for find in point.finds}) > 1:
            yield name


def _fit(points: Sequence[Point], drawn: Sequence[dict[str, np.ndarray]], quantity: str, axis: str) -> Fit:
    x = np.array([point.best.axes[axis] for point in points])
    y = np.array([point.values[quantity] for point in points])
    replicates = np.stack([draws[quantity] for draws in drawn], axis=1)
    if why_not := _why_not(x):
        return Fit(quantity=quantity, axis=axis, x=x, y=y, law=None, why_not=why_not)
    last = int(x.argmax())
    rest = np.arange(len(x)) != last
    least, most = (0.0, points[0].most_error) if quantity == ERROR else (1.0, math.inf)
    left_out = None
    if not _why_not(x[rest]):
        predicted = _bounded(fit(x[rest], y[rest], replicates[:, rest]).at(x[last]), least, most)
        left_out = HeldOutSweep(x=float(x[last]), predicted=predicted, seen=float(y[last]))
    law = fit(x, y, replicates)
    return Fit(quantity=quantity, axis=axis, x=x, y=y, law=law, left_out=left_out, least=least, most=most)


def _bounded(found: Interval, least: float, most: float) -> Interval:
    return Interval(*(min(max(value, least), most) for value in (found.middle, found.low, found.high)))


def _why_not(x: np.ndarray) -> str:
    if len(x) < MIN_POINTS:
        return f"a law takes {MIN_POINTS} sweeps or more"
    if x.max() < MIN_SPAN * x.min():
        return f"the sweeps span less than a factor of {MIN_SPAN:g}"
    return ""
