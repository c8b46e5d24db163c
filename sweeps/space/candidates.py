"""A space within a budget, for one task and one set of rules: the configurations that a search may train."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sweeps.config import SweepConfig
from sweeps.errors import BudgetError, SpaceError
from sweeps.space.budget import Bound, Budget, FlopsBudget, resolve_budget
from sweeps.space.candidate import Candidate, CandidateBuilder, PresetFit
from sweeps.space.constraints import COUNTED, COUNTED_TRAINING, FLOPS_PER_STEP, MEMORY, Constraint, Costs
from sweeps.space.enumeration import (
    LARGEST_ENUMERATION,
    Shapes,
    count_points,
    enumerate_shapes,
    get_point,
    nearest_first,
    probe_points,
    squared_distances,
)
from sweeps.space.resolver import Resolver
from sweeps.space.space import Space

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

__all__ = ["Candidate", "Candidates", "PresetFit"]

LEARNING_RATE = "lr"
NUM_LEARNING_RATES = 5
"""Baseline learning rates over a continuous range."""
WIDTHS_TRIED = 64
"""Multiples of `head_size` among which a space that fills a budget must have a valid width."""
DRAWS = 20_000
"""Points drawn from a space that is not enumerated before it counts as exhausted."""


class Candidates:
    """The feasible, distinct configurations of a sweep.

    The searched values are of two sorts: those that decide a model or its cost (a shape), and those that
    only training knows, such as `lr`, which are free: every feasible shape may have every one of them.

    Args:
        config: the sweep.
        model_fields: what the task's data decide of the model (`Dataset.model_fields`).

    Raises:
        SpaceError: the space is malformed, or holds nothing that could be trained.
        BudgetError: the budget cannot be read, or nothing in the space fits it.
        UserError: a rule, preset or task option is at fault.

    Example:
        >>> from sweeps.config import BudgetConfig
        >>> parameters = {"H_layers": {"int": [1, 3]}, "lr": {"log": [1e-4, 1e-2], "num": 5}}
        >>> space = {"name": "s", "question": "?", "parameters": parameters, "fixed": {"hidden_size": 64}}
        >>> config = SweepConfig(space=space, task={"name": "sudoku6"}, budget=BudgetConfig(max_params=400_000))
        >>> candidates = Candidates(config, {"vocab_size": 11, "seq_len": 36, "num_puzzle_identifiers": 1})
        >>> [one.num_params for one in candidates.each_shape()], candidates.num_feasible_trials
        ([329282, 394818], 10)
        >>> candidates.get(9).params, candidates.candidate({"H_layers": 3, "lr": 1e-3})
        ({'H_layers': 2, 'lr': 0.01}, None)
        >>> candidates.nearest({"H_layers": 3, "lr": 1e-3}, np.random.default_rng(0)).params
        {'H_layers': 2, 'lr': 0.001}
    """

    def __init__(self, config: SweepConfig, model_fields: Mapping[str, int]) -> None:
        self._made_from = config, dict(model_fields)
        self.space = Space.parse(config.space, config.family)
        self._builder = CandidateBuilder(config, model_fields)
        self.flops_budget = self._builder.flops_budget
        self.budget: Budget = resolve_budget(config.budget, self._builder.preset_costs)
        reported = {MEMORY.name, *(config.objectives or ())}.intersection(COUNTED)
        self._resolver = Resolver(self.space, self._builder, self.budget, sorted(reported))
        self._free = {name: value for name, value in self.space.parameters.items() if self._is_free(name)}
        self._shaping = {
            name: value for name, value in self.space.parameters.items() if name not in self._free
        }
        self.shapes = self._find_shapes()
        """The feasible models, enumerated; None where a range is continuous or the space too large."""

    def __reduce__(self) -> tuple[type[Candidates], tuple[SweepConfig, dict[str, int]]]:
        """Pickle what they are made from: rules and expressions are code, which pickle does not take."""
        return Candidates, self._made_from

    @property
    def family(self) -> str:
        """The model family, by name."""
        return self._builder.family.name

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """The searched parameters as Optuna has them."""
        return {name: parameter.distribution for name, parameter in self.space.parameters.items()}

    @property
    def num_tuples(self) -> int | None:
        """Points of the space; None where a range is continuous."""
        return count_points(self.space.parameters)

    @property
    def num_architectures(self) -> int | None:
        """Distinct architectures of the valid points, whatever their size; None where not enumerated."""
        return None if self.shapes is None else self.shapes.num_architectures

    @property
    def num_feasible_architectures(self) -> int | None:
        """Distinct architectures within budget and FLOPs; None where not enumerated."""
        return None if self.shapes is None else self.shapes.num_feasible_architectures

    @property
    def num_feasible_trials(self) -> int | None:
        """Distinct feasible configurations, training values included; None where not enumerated."""
        free = count_points(self._free)
        return None if self.shapes is None or free is None else len(self.shapes.distinct) * free

    @property
    def learning_rates(self) -> list[float]:
        """The space's learning rates, ascending: its grid, or 5 values over a continuous range."""
        parameter = self.space.parameters.get(LEARNING_RATE)
        if parameter is None:
            return [float(self._resolver.base[LEARNING_RATE])]
        if parameter.grid is None:
            return parameter.spread(NUM_LEARNING_RATES)
        return sorted(float(rate) for rate in parameter.grid)

    def candidate(self, params: Mapping[str, Any]) -> Candidate | None:
        """Return the configuration with these searched values; None where it is no valid model or does not fit."""
        assert params.keys() == self.space.parameters.keys(), f"not the space's parameters: {sorted(params)}"
        point = self._resolver.resolve(self._resolver.convert(params))
        if point is None:
            return None
        own = (*self.space.parameters, *filter(None, [self.space.filled]), *self.space.derived)
        values = {name: point.values[name] for name in own}
        candidate = self._builder.build(point.model, point.train, dict(params), values)
        return None if candidate is None or self.budget.describe_violations(candidate.costs) else candidate

    def compute_violation(self, params: Mapping[str, Any]) -> float:
        """Return how far a point is from being feasible, which it is up to 0 (see `Resolver`)."""
        return self._resolver.compute_violation(params)

    def to_grid(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return proposed values, each the nearest that the space has."""
        return {name: parameter.to_grid(params[name]) for name, parameter in self.space.parameters.items()}

    def sample(self, rng: np.random.Generator, exclude: Collection[str] = ()) -> Candidate | None:
        """Return a feasible candidate whose key is not excluded, each as likely; None if none is left.

        Of a space that is not enumerated, each point is as likely; None after `DRAWS` points in vain.
        """
        total = self.num_feasible_trials
        if self.shapes is not None and total is not None and total <= 2 * len(exclude):
            left = [one for one in map(self.get, range(total)) if one.key not in exclude]
            return left[rng.integers(len(left))] if left else None
        for _ in range(DRAWS):
            candidate = self.candidate(self._draw(rng))
            if candidate is not None and candidate.key not in exclude:
                return candidate
        return None

    def nearest(
        self, params: Mapping[str, Any], rng: np.random.Generator, exclude: Collection[str] = ()
    ) -> Candidate | None:
        """Return the candidate nearest to `params` whose key is not excluded; None if none is left.

        Distance is over the parameters' grids, each of length 1 (values without an order: 0 or 1); ties are
        broken at random. Continuous training values stay as they are. Where the models are not enumerated, a
        sample instead.
        """
        if self.shapes is None:
            return self.sample(rng, exclude)
        free_grid = {name: parameter for name, parameter in self._free.items() if parameter.grid is not None}
        free_points = np.arange(count_points(free_grid) or 1)
        shape_distances = squared_distances(self.shapes.feasible, self._shaping, params)
        free_distances = squared_distances(free_points, free_grid, params)
        for shape, free in nearest_first(shape_distances, free_distances, rng):
            near = get_point(self._shaping, int(self.shapes.feasible[shape])) | get_point(free_grid, free)
            candidate = self.candidate(self._in_order({**params, **near}))
            if candidate is not None and candidate.key not in exclude:
                return candidate
        return self.sample(rng, exclude)

    def get(self, index: int) -> Candidate:
        """Return the distinct feasible candidate at an index in enumeration order.

        Args:
            index: from 0 to below `num_feasible_trials`, which must be known.
        """
        assert self.shapes is not None
        shape, free = divmod(index, count_points(self._free) or 1)
        return self._get_at(shape, get_point(self._free, free))

    def each_shape(self) -> Iterator[Candidate]:
        """Yield a candidate of each distinct feasible shape, in enumeration order; of free values the first.

        Raises:
            AssertionError: the shapes are not enumerated (`shapes` is None).
        """
        assert self.shapes is not None
        free = {name: parameter.extremes()[0] for name, parameter in self._free.items()}
        return (self._get_at(shape, free) for shape in range(len(self.shapes.distinct)))

    def preset(self, name: str, lr: float | None = None) -> Candidate:
        """Return a preset under the sweep's task, rules and FLOPs, whether or not the budget allows it.

        The FLOPs must leave it enough steps (see `fit_preset`).

        Args:
            lr: its learning rate; None is the sweep's `train.lr`.

        Raises:
            UserError: there is no such preset, or the rules break it.
        """
        return self._builder.preset(name, lr)

    def fit_preset(self, preset: str) -> PresetFit:
        """Return how a preset fits: its exact counts, and why it is no baseline if it is none.

        Raises:
            UnknownNameError: there is no such preset.
        """
        return self._builder.fit_preset(preset, self.budget)

    def preset_costs(self, name: str) -> Costs:
        """Return the costs of a preset, built for the task, under the sweep's rules."""
        return self._builder.preset_costs(name)

    def max_cost(self, constraint: Constraint) -> float | None:
        """Return the budget's upper bound, else the largest cost of the feasible shapes; None where unknown."""
        bound = self.budget.get("max", constraint)
        return self._largest(constraint) if bound is None else bound

    @property
    def max_memory_bytes(self) -> int | None:
        """The largest memory of the feasible shapes, else the budget's upper bound; None without one."""
        largest = self._largest(MEMORY)
        most = self.budget.get("max", MEMORY) if largest is None else largest
        return None if most is None else int(most)

    def _largest(self, constraint: Constraint) -> float | None:
        return None if self.shapes is None else max(self.shapes.costs[constraint.name])

    def _is_free(self, name: str) -> bool:
        fields = self.space.fields
        return (
            fields.section(name) == "train" and name not in COUNTED_TRAINING and not self.space.reading(name)
        )

    def _in_order(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {name: params[name] for name in self.space.parameters}

    def _get_at(self, shape: int, free: Mapping[str, Any]) -> Candidate:
        """Return the candidate of a distinct feasible shape, by its place among them, with free values."""
        assert self.shapes is not None
        point = get_point(self._shaping, int(self.shapes.distinct[shape]))
        candidate = self.candidate(self._in_order({**point, **free}))
        assert candidate is not None, f"enumerated as feasible: {point}"
        return candidate

    def _draw(self, rng: np.random.Generator) -> dict[str, Any]:
        params = {name: parameter.draw(rng) for name, parameter in self.space.parameters.items()}
        if self.shapes is not None:
            params |= get_point(self._shaping, int(rng.choice(self.shapes.distinct)))
        return params

    def _find_shapes(self) -> Shapes | None:
        count = count_points(self._shaping)
        if count is not None and count <= LARGEST_ENUMERATION:
            shapes = enumerate_shapes(self._resolver, self._shaping)
            if len(shapes.feasible):
                return shapes
            points, about = [get_point(self._shaping, index) for index in range(count)], ""
        else:
            costs = self._resolver.count_valid(probe_points(self._shaping))
            if any(map(self._resolver.is_feasible, costs)):
                return None
            points, about = list(probe_points(self._shaping)), "about "
        raise explain_infeasibility(self._resolver, points, self.budget.counted, self.flops_budget, about)


def explain_infeasibility(
    resolver: Resolver,
    points: Sequence[dict[str, Any]],
    bounds: Sequence[Bound],
    flops_budget: FlopsBudget,
    about: str,
) -> BudgetError | SpaceError:
    """Return the error for a space without a feasible point.

    Args:
        points: all points of the space, or a sample.
        bounds: the counted ones, upper bounds first.
        about: `about ` where the points are a sample, else empty.

    Example:
        >>> from sweeps.config import BudgetConfig
        >>> space = {"name": "s", "question": "?", "parameters": {"H_layers": [1, 2]}, "fixed": {"hidden_size": 64}}
        >>> config = SweepConfig(space=space, task={"name": "sudoku6"}, budget=BudgetConfig(max_params=300_000))
        >>> Candidates(config, {"vocab_size": 11, "seq_len": 36, "num_puzzle_identifiers": 1})
        Traceback (most recent call last):
        sweeps.errors.BudgetError: budget.max_params: given 300000; no model of space s has fewer than 329,282 \
parameters. Raise the budget to at least 329,282, or search a space of smaller models.
    """
    space = resolver.space
    where, nothing = f"space {space.name}", "no point to train"
    multiples = range(1, WIDTHS_TRIED + 1) if space.filled else (None,)
    narrowest = next(filter(None, (list(resolver.count_valid(points, one)) for one in multiples)), None)
    if narrowest is None:
        first = {name: parameter.extremes()[0] for name, parameter in space.parameters.items()}
        return SpaceError(where, nothing, resolver.describe_fault(first))
    filled = list(resolver.count_valid(points)) if space.filled else narrowest
    # Upper bounds are checked at the narrowest widths. A filled width keeps them, where it is valid.
    kept: list[Bound] = []
    for bound in bounds:
        if bound.side == "min" and not filled:
            break
        costs = narrowest if bound.side == "max" else filled
        nearest = _find_nearest(costs, bound, kept)
        if not bound.holds({bound.constraint.name: nearest}):
            return _describe_unreachable(where, bound, nearest, kept, [*narrowest, *filled], about)
        kept.append(bound)
    if not filled:
        rule = "no width that fills the budget makes a valid model"
        return SpaceError(where, nothing, rule, "Derive from the width what has to divide it.")
    cheapest = _find_nearest(filled, Bound(FLOPS_PER_STEP, "max", 0), kept)
    reason = flops_budget.describe_violation(int(cheapest))
    hint = "Raise train.steps, lower train.num_reports, or compare at train.equal=steps."
    return SpaceError(where, nothing, f"even its cheapest model within the budget {reason}", hint)


def _find_nearest(costs: Sequence[Costs], bound: Bound, kept: Sequence[Bound]) -> float:
    """Return the cost nearest to keeping a bound, among the models that keep others, of which there is one."""
    choose = min if bound.side == "max" else max
    return choose(one[bound.constraint.name] for one in costs if all(other.holds(one) for other in kept))


def _describe_unreachable(
    where: str, bound: Bound, nearest: float, kept: Sequence[Bound], costs: Sequence[Costs], about: str
) -> BudgetError:
    """Return the error for a bound that no model keeps, among those that keep the bounds before it."""
    name, noun = bound.constraint.name, bound.constraint.noun
    within = f"within {' and '.join(map(str, kept))}, " if kept else ""
    if bound.side == "max":
        rule = f"{within}no model of {where} has fewer than {about}{nearest:,} {noun}"
        hint = f"Raise the budget to at least {nearest:,}, or search a space of smaller models."
    else:
        known = [one[name] for one in costs]
        above = [cost for cost in known if cost > nearest]
        beyond = f"the next has {about}{min(above):,}, " if above else ""
        rule = (
            f"{within}no model of {where} has more than {about}{nearest:,} {noun} "
            f"({beyond}the smallest has {about}{min(known):,})"
        )
        hint = f"Lower {bound.option}, or change budget.max_{name}."
    return BudgetError(bound.option, bound.value, rule, hint)
