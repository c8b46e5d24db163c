"""All points of a finite space that decide a model, in chunks: which are feasible, which distinct."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sweeps.space.constraints import distinct
from sweeps.space.feasibility import FeasibilityChecker, FeasibilityResult
from sweeps.space.parameters import Parameter

LARGEST_LATTICE = 10_000_000
"""Points that are enumerated; larger lattices are sampled, as continuous spaces are."""
CHUNK = 2**18
"""Points judged at once: bounds the memory, large enough for numpy's speed."""

NUM_PROBES = 20_000
"""Points drawn to see whether a continuous space has anything feasible."""
MOST_CORNER_RANGES = 12
"""Of so many ranges all corners are probed, which hold the smallest model of nearly every space."""


def num_points(parameters: Mapping[str, Parameter]) -> int | None:
    """Points of the lattice; None where a range is continuous."""
    if any(parameter.grid is None for parameter in parameters.values()):
        return None
    return math.prod(len(parameter.grid or ()) for parameter in parameters.values())


@dataclass(frozen=True)
class Shapes:
    """The feasible points of a lattice, by their index in lattice order (the last parameter moves fastest).

    Args:
        feasible: every feasible point, ascending.
        distinct: the first point of each feasible model (with the training values judged), ascending.
        figures: of each distinct point, by measure.
        num_architectures, num_feasible_architectures: distinct among the valid and the feasible points.
    """

    feasible: np.ndarray
    distinct: np.ndarray
    figures: dict[str, np.ndarray]
    num_architectures: int
    num_feasible_architectures: int


def point(parameters: Mapping[str, Parameter], index: int) -> dict[str, Any]:
    """The values at a lattice index."""
    places = np.unravel_index(index, sizes_of(parameters)) if parameters else ()
    return {
        name: _grid(parameter)[int(place)]
        for (name, parameter), place in zip(parameters.items(), places, strict=True)
    }


def enumerate_shapes(judge: FeasibilityChecker, parameters: Mapping[str, Parameter]) -> Shapes:
    """The lattice of `parameters`, judged whole: seconds and a few hundred MB at `LARGEST_LATTICE` points."""
    chunks = [_summary(points, judged) for points, judged in judged_chunks(judge, parameters)]
    points, keys = (np.concatenate([getattr(chunk, name) for chunk in chunks]) for name in ("points", "keys"))
    order = np.argsort(points, kind="stable")
    _, first = np.unique(keys[order], return_index=True)
    firsts = order[np.sort(first)]
    return Shapes(
        feasible=points[order],
        distinct=points[firsts],
        figures={
            name: np.concatenate([chunk.figures[name] for chunk in chunks])[firsts]
            for name in chunks[0].figures
        },
        num_architectures=_num_distinct(chunk.architectures for chunk in chunks),
        num_feasible_architectures=_num_distinct(chunk.feasible_architectures for chunk in chunks),
    )


def judged_chunks(
    judge: FeasibilityChecker, parameters: Mapping[str, Parameter], multiple: int | None = None
) -> Iterator[tuple[np.ndarray, FeasibilityResult]]:
    """The lattice in chunks: the lattice indices of the points, and what was judged of them.

    Parameters whose choices are not numbers stand still within a chunk, so that arrays hold numbers only.
    """
    sizes = dict(zip(parameters, sizes_of(parameters), strict=True))
    strides, stride = {}, 1
    for name in reversed(sizes):
        strides[name], stride = stride, stride * sizes[name]
    moving = [name for name, parameter in parameters.items() if parameter.is_numeric]
    still = [name for name in parameters if name not in moving]
    num_moving = math.prod(sizes[name] for name in moving)
    for choice in itertools.product(*(range(sizes[name]) for name in still)):
        fixed = {name: _grid(parameters[name])[at] for name, at in zip(still, choice, strict=True)}
        offset = sum(strides[name] * at for name, at in zip(still, choice, strict=True))
        for start in range(0, num_moving, CHUNK):
            flat = np.arange(start, min(start + CHUNK, num_moving))
            places = np.unravel_index(flat, [sizes[name] for name in moving]) if moving else ()
            arrays = {name: parameters[name].at(place) for name, place in zip(moving, places, strict=True)}
            points = offset + sum(strides[name] * place for name, place in zip(moving, places, strict=True))
            yield np.broadcast_to(points, len(flat)), judge.judge(fixed | arrays, len(flat), multiple)


def judged_probes(
    judge: FeasibilityChecker, parameters: Mapping[str, Parameter], multiple: int | None = None
) -> Iterator[FeasibilityResult]:
    """A look at a space that is not enumerated: the corners of its ranges, and points drawn from them."""
    rng = np.random.default_rng(0)
    moving = {name: parameter for name, parameter in parameters.items() if parameter.is_numeric}
    still = [name for name in parameters if name not in moving]
    for values in itertools.product(*(_grid(parameters[name]) for name in still)):
        corner_bits = np.arange(2 ** min(len(moving), MOST_CORNER_RANGES))
        arrays = {}
        for bit, (name, parameter) in enumerate(moving.items()):
            ends = parameter.extremes()
            corners = np.where(corner_bits >> bit & 1, max(ends), min(ends))
            arrays[name] = np.concatenate([corners, [parameter.draw(rng) for _ in range(NUM_PROBES)]])
        yield judge.judge(
            dict(zip(still, values, strict=True)) | arrays, len(corner_bits) + NUM_PROBES, multiple
        )


def sizes_of(parameters: Mapping[str, Parameter]) -> tuple[int, ...]:
    """Grid lengths, in the order of the parameters."""
    return tuple(len(parameter.grid or ()) for parameter in parameters.values())


def _grid(parameter: Parameter) -> Sequence[Any]:
    assert parameter.grid is not None
    return parameter.grid


def _num_distinct(keys: Iterable[np.ndarray]) -> int:
    return len(distinct(np.concatenate(list(keys))))


@dataclass(frozen=True)
class _Chunk:
    """Of one chunk: its distinct architectures, and its feasible points."""

    architectures: np.ndarray
    feasible_architectures: np.ndarray
    points: np.ndarray
    keys: np.ndarray
    figures: dict[str, np.ndarray]


def _summary(points: np.ndarray, judged: FeasibilityResult) -> _Chunk:
    feasible = judged.feasible
    return _Chunk(
        architectures=distinct(judged.architectures),
        feasible_architectures=distinct(judged.architectures[feasible]),
        points=points[judged.positions[feasible]],
        keys=judged.keys[feasible],
        figures={name: column[feasible] for name, column in judged.figures.items()},
    )


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
