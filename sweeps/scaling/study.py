"""The fits of several sweeps: every quantity against every axis, each tested on the largest sweep left out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sweeps.scaling.points import AXES, ERROR, Point
from sweeps.scaling.power_law import DRAWS, Interval, PowerLaw, fit

MIN_POINTS = 3
MIN_SPAN = 2.0
"""Largest over smallest x below which nothing is fitted."""


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """The largest sweep, foretold by a law that has not seen it."""

    x: float
    foretold: Interval
    seen: float

    @property
    def holds(self) -> bool:
        return self.foretold.holds(self.seen)


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
    left_out: LeftOut | None = None
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
        foretold = _bounded(fit(x[rest], y[rest], replicates[:, rest]).at(x[last]), least, most)
        left_out = LeftOut(x=float(x[last]), foretold=foretold, seen=float(y[last]))
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
