"""The points of a lattice in the order of their distance from a given one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sweeps.space.parameters import Parameter
from sweeps.space.shapes import sizes_of

FIRST_BLOCK = 256
"""Points sorted at first; most searches end among them."""


def squared_distances(
    points: np.ndarray, parameters: Mapping[str, Parameter], params: Mapping[str, Any]
) -> np.ndarray:
    """Of each lattice index in `points` from `params`: every parameter's grid spans a length of 1."""
    total = np.zeros(len(points))
    if not parameters:
        return total
    places = np.unravel_index(points, sizes_of(parameters))
    for (name, parameter), place in zip(parameters.items(), places, strict=True):
        total += _along_grid(parameter, params[name])[place] ** 2
    return total


def nearest_first(
    distances: np.ndarray, others: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[int, int]]:
    """All pairs of a position in `distances` and one in `others`, by their sum; ties in random order.

    Few of very many are sorted unless more are asked for.
    """
    block, done = FIRST_BLOCK, -1.0
    while True:
        size = min(block, len(distances))
        near = np.argpartition(distances, size - 1)[:size] if size < len(distances) else np.arange(size)
        # A pair is in its final place only if nothing outside the block can come before or tie with it.
        horizon = distances[near].max() + others.min() if size < len(distances) else np.inf
        sums = (distances[near, None] + others[None, :]).ravel()
        order = np.lexsort((rng.random(len(sums)), sums))
        for at in order[(sums[order] > done) & (sums[order] < horizon)]:
            yield int(near[at // len(others)]), int(at % len(others))
        if horizon == np.inf:
            return
        block, done = block * 16, max(done, float(sums[sums < horizon].max(initial=done)))


def _along_grid(parameter: Parameter, value: Any) -> np.ndarray:
    """Distance of each grid value from `value`: steps over the grid's length, or 0 and 1 without an order."""
    grid = parameter.grid
    assert grid is not None
    if not parameter.is_numeric:
        return np.array([float(each != value or type(each) is not type(value)) for each in grid])
    numbers = np.asarray(grid, dtype=np.float64)
    ranks = np.argsort(np.argsort(numbers, kind="stable"), kind="stable")
    start = ranks[np.argmin(np.abs(numbers - value))]
    return np.abs(ranks - start) / max(len(numbers) - 1, 1)
