"""Which points dominate which, the Pareto front and its hypervolume.

A point is a vector in which less is better everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Point = Sequence[float]


def dominates(one: Point, other: Point) -> bool:
    """Return whether `one` is nowhere worse than `other`, and somewhere better.

    >>> dominates([1, 2], [1, 3]), dominates([1, 2], [1, 2]), dominates([1, 2], [0, 3])
    (True, False, False)
    """
    return is_as_good(one, other) and tuple(one) != tuple(other)


def is_as_good(one: Point, other: Point) -> bool:
    """Return whether `one` is nowhere worse than `other`.

    >>> is_as_good([1, 2], [1, 2])
    True
    """
    return all(a <= b for a, b in zip(one, other, strict=True))


def find_front(points: Sequence[Point]) -> list[int]:
    """Return the indices of the points that no other dominates, in their order; of equal points all.

    >>> find_front([[1, 3], [2, 2], [2, 3], [3, 1]])
    [0, 1, 3]
    """
    if not points:
        return []
    array = np.asarray(points, dtype=float)
    kept = []
    for index, point in enumerate(array):
        as_good = (array <= point).all(axis=1)
        if not (as_good & (array < point).any(axis=1)).any():
            kept.append(index)
    return kept


def compute_hypervolume(points: Sequence[Point]) -> float:
    """Return the share of the unit box that the points dominate, exact up to rounding.

    Args:
        points: 0 is the ideal of a coordinate, 1 the reference point's; a point that is not below 1 everywhere adds
            nothing.

    >>> compute_hypervolume([[0.5, 0.5], [0.25, 0.75], [0.0, 1.0]])
    0.3125
    """
    inside = [[max(x, 0.0) for x in point] for point in points if all(x < 1 for x in point)]
    return _slice_volume(np.asarray([inside[i] for i in find_front(inside)], dtype=float)) if inside else 0.0


def select_widest(points: Sequence[Point], most: int) -> list[int]:
    """Return the indices of up to `most` points of the front: each adds most hypervolume to those before it.

    Of points that add the same, the earlier comes first.

    >>> select_widest([[0.1, 0.9], [0.5, 0.5], [0.2, 0.8]], most=2)
    [1, 2]
    """
    left, chosen = find_front(points), list[int]()
    while left and len(chosen) < most:
        volumes = [compute_hypervolume([points[i] for i in (*chosen, one)]) for one in left]
        chosen.append(left.pop(volumes.index(max(volumes))))
    return chosen


def _slice_volume(points: np.ndarray) -> float:
    """Return the hypervolume by slices along the last coordinate.

    Args:
        points: float [n, k] within the unit box, n >= 1, none of which dominates another.
    """
    if points.shape[1] == 1:
        return 1.0 - float(points.min())
    points = points[np.argsort(points[:, -1], kind="stable")]
    depths = np.diff(points[:, -1], append=1.0)
    return sum(
        float(depth) * _slice_volume(points[: i + 1, :-1]) for i, depth in enumerate(depths) if depth > 0
    )
