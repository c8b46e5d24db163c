"""What several objectives make of a set of points: who dominates whom, the front, its hypervolume.

A point is a vector in which less is better everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Point = Sequence[float]


def dominates(one: Point, other: Point) -> bool:
    """Whether `one` is nowhere worse than `other`, and somewhere better."""
    return is_as_good(one, other) and tuple(one) != tuple(other)


def is_as_good(one: Point, other: Point) -> bool:
    """Whether `one` is nowhere worse than `other`."""
    return all(a <= b for a, b in zip(one, other, strict=True))


def front(points: Sequence[Point]) -> list[int]:
    """Places of the points that no other dominates, in their order; of equal points all."""
    if not points:
        return []
    array = np.asarray(points, dtype=float)
    kept = []
    for place, point in enumerate(array):
        as_good = (array <= point).all(axis=1)
        if not (as_good & (array < point).any(axis=1)).any():
            kept.append(place)
    return kept


def hypervolume(points: Sequence[Point]) -> float:
    """The share of the unit box that the points dominate, exact up to rounding.

    Args:
        points: 0 is the ideal of a coordinate, 1 the reference point's; what is not below 1 everywhere adds
            nothing.
    """
    inside = [[max(x, 0.0) for x in point] for point in points if all(x < 1 for x in point)]
    return _volume(np.asarray([inside[place] for place in front(inside)], dtype=float)) if inside else 0.0


def widest_first(points: Sequence[Point], most: int) -> list[int]:
    """Places of up to `most` points of the front: always the one that adds most hypervolume to those before.

    Of points that add the same, the earlier comes first.
    """
    left, chosen = front(points), list[int]()
    while left and len(chosen) < most:
        volumes = [hypervolume([points[place] for place in (*chosen, one)]) for one in left]
        chosen.append(left.pop(volumes.index(max(volumes))))
    return chosen


def _volume(points: np.ndarray) -> float:
    """By slices along the last coordinate (float [n, k] within the unit box, n >= 1)."""
    if points.shape[1] == 1:
        return 1.0 - float(points.min())
    points = points[np.argsort(points[:, -1], kind="stable")]
    depths = np.diff(points[:, -1], append=1.0)
    return sum(float(depth) * _volume(points[: i + 1, :-1]) for i, depth in enumerate(depths) if depth > 0)
