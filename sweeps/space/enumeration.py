"""All points of a finite space that decide a model: which are feasible, which distinct, which near another."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sweeps.space.constraints import Costs
from sweeps.space.parameters import Parameter
from sweeps.space.resolver import Resolver

LARGEST_ENUMERATION = 100_000
"""Points that are enumerated, in some seconds; larger spaces are sampled, as continuous ones are."""
NUM_PROBES = 20_000
"""Points drawn to see whether a space that is not enumerated has anything feasible."""
MOST_CORNERS = 2**12
"""Corners probed before: they hold the smallest model of nearly every space."""


def count_points(parameters: Mapping[str, Parameter]) -> int | None:
    """Return the number of points; None where a range is continuous.

    Example:
        >>> from sweeps.space.parameters import parse_parameter
        >>> count_points({"H_layers": parse_parameter({"int": [1, 8]}), "ema": parse_parameter([0.0, 0.9])})
        16
    """
    if any(parameter.grid is None for parameter in parameters.values()):
        return None
    return math.prod(len(parameter.grid or ()) for parameter in parameters.values())


def get_point(parameters: Mapping[str, Parameter], index: int) -> dict[str, Any]:
    """Return the values at an index in enumeration order (the last parameter moves fastest).

    Example:
        >>> from sweeps.space.parameters import parse_parameter
        >>> get_point({"H_layers": parse_parameter({"int": [1, 8]}), "ema": parse_parameter([0.0, 0.9])}, 3)
        {'H_layers': 2, 'ema': 0.9}
    """
    grids = [parameter.grid or () for parameter in parameters.values()]
    places = np.unravel_index(index, [len(grid) for grid in grids]) if grids else ()
    return {name: grid[int(place)] for name, grid, place in zip(parameters, grids, places, strict=True)}


@dataclass(frozen=True)
class Shapes:
    """The feasible points of a space, by their index in enumeration order.

    Args:
        feasible: every feasible point, ascending.
        distinct: the first point of each feasible model (with the training values enumerated), ascending.
        costs: of each distinct point, by constraint.
        num_architectures, num_feasible_architectures: distinct among the valid and the feasible points.
    """

    feasible: np.ndarray
    distinct: np.ndarray
    costs: dict[str, list[float]]
    num_architectures: int
    num_feasible_architectures: int


def enumerate_shapes(resolver: Resolver, parameters: Mapping[str, Parameter]) -> Shapes:
    """Return what is feasible among all points of `parameters`, counting each architecture once.

    Example:
        >>> from sweeps.config import BudgetConfig, SweepConfig
        >>> from sweeps.space.candidates import Candidates
        >>> space = {"question": "?", "parameters": {"H_layers": [1, 2, 3]}, "fixed": {"hidden_size": 64}}
        >>> config = SweepConfig(space=space, task={"name": "sudoku6"}, budget=BudgetConfig(max_params=400_000))
        >>> shapes = Candidates(config, {"vocab_size": 11, "seq_len": 36, "num_puzzle_identifiers": 1}).shapes
        >>> shapes.num_architectures, shapes.feasible.tolist(), shapes.costs["params"]
        (3, [0, 1], [329282, 394818])
    """
    grids = [
        [resolver.convert({name: value})[name] for value in parameter.grid or ()]
        for name, parameter in parameters.items()
    ]
    feasible: list[int] = []
    distinct: dict[tuple[Any, ...], tuple[int, Costs]] = {}
    known: dict[tuple[Any, ...], Costs | None] = {}
    architectures: dict[tuple[Any, ...], int] = {}
    for index, values in enumerate(itertools.product(*grids)):
        point = resolver.resolve(dict(zip(parameters, values)))
        if point is None:
            continue
        architecture = architectures.setdefault(tuple(point.model.architecture.values()), len(architectures))
        trial = (architecture, *point.own_training)
        alike = (*trial, *[point.values[name] for name in resolver.family.cost_only_fields])
        if alike not in known:
            counted = resolver.count(point)
            known[alike] = counted if resolver.is_feasible(counted) else None
        costs = known[alike]
        if costs is not None:
            feasible.append(index)
            distinct.setdefault(trial, (index, costs))
    return Shapes(
        feasible=np.array(feasible, dtype=np.int64),
        distinct=np.array([index for index, _ in distinct.values()], dtype=np.int64),
        costs={name: [costs[name] for _, costs in distinct.values()] for name in resolver.counted},
        num_architectures=len(architectures),
        num_feasible_architectures=len({trial[0] for trial in distinct}),
    )


def probe_points(parameters: Mapping[str, Parameter]) -> Iterator[dict[str, Any]]:
    """Yield a look at a space that is not enumerated: corners of its ranges, then points drawn from them.

    Example:
        >>> from sweeps.space.parameters import parse_parameter
        >>> probes = probe_points({"H_layers": parse_parameter({"int": [1, 8]})})
        >>> next(probes), next(probes)
        ({'H_layers': 1}, {'H_layers': 8})
    """
    extremes = [(parameter, parameter.extremes()) for parameter in parameters.values()]
    ends = [[min(values), max(values)] if one.is_numeric else values for one, values in extremes]
    for values in itertools.islice(itertools.product(*ends), MOST_CORNERS):
        yield dict(zip(parameters, values))
    rng = np.random.default_rng(0)
    for _ in range(NUM_PROBES):
        yield {name: parameter.draw(rng) for name, parameter in parameters.items()}


FIRST_BLOCK = 256
"""Points sorted at first; most searches end among them."""


def squared_distances(
    points: np.ndarray, parameters: Mapping[str, Parameter], params: Mapping[str, Any]
) -> np.ndarray:
    """Return the squared distance of each index in `points` from `params`: every parameter's grid is 1 long.

    Example:
        >>> from sweeps.space.parameters import parse_parameter
        >>> parameters = {"H_layers": parse_parameter({"int": [1, 3]}), "ema": parse_parameter([0.0, 0.9])}
        >>> squared_distances(np.arange(6), parameters, {"H_layers": 1, "ema": 0.0}).tolist()
        [0.0, 1.0, 0.25, 1.25, 1.0, 2.0]
    """
    total = np.zeros(len(points))
    if not parameters:
        return total
    sizes = [len(parameter.grid or ()) for parameter in parameters.values()]
    places = np.unravel_index(points, sizes)
    for (name, parameter), place in zip(parameters.items(), places, strict=True):
        total += _along_grid(parameter, params[name])[place] ** 2
    return total


def nearest_first(
    distances: np.ndarray, others: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[int, int]]:
    """Yield all pairs of a position in `distances` and one in `others` by their sum, ties in random order.

    Few of very many are sorted unless more are asked for.

    Example:
        >>> list(nearest_first(np.array([0.0, 1.0]), np.array([0.25, 0.5]), np.random.default_rng(0)))
        [(0, 0), (0, 1), (1, 0), (1, 1)]
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
    """Return each grid value's distance: steps over the grid's length, or 0 and 1 without an order."""
    grid = parameter.grid or ()
    if not parameter.is_numeric:
        return np.array([float(each != value or type(each) is not type(value)) for each in grid])
    numbers = np.asarray(grid, dtype=np.float64)
    ranks = np.argsort(np.argsort(numbers, kind="stable"), kind="stable")
    start = ranks[np.argmin(np.abs(numbers - value))]
    return np.abs(ranks - start) / max(len(numbers) - 1, 1)
