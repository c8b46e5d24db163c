"""A space within a budget, for one task and one set of rules: the configurations that a search may train."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NoReturn, overload

import numpy as np
from optuna.distributions import BaseDistribution

from hrm.config.errors import ConfigError
from hrm.config.train_config import TrainConfig
from hrm.models.registry import get_family
from sweeps.config import SweepConfig
from sweeps.errors import SpaceError
from sweeps.space.candidate import Builder, Candidate, PresetFit, fullness, is_iso_parameter
from sweeps.space.constraints import (
    CONSTRAINTS,
    COUNTED_TRAINING,
    MEMORY,
    Budget,
    Constraint,
    read_figure,
    resolve_budget,
)
from sweeps.space.enumeration import (
    LARGEST_LATTICE,
    Shapes,
    enumerate_shapes,
    judged_chunks,
    judged_probes,
    nearest_first,
    num_points,
    point,
    squared_distances,
)
from sweeps.space.feasibility import FeasibilityChecker, FeasibilityResult
from sweeps.space.infeasible import nothing_fits
from sweeps.space.resolver import Resolver
from sweeps.space.space import Space

__all__ = ["Candidate", "Candidates", "PresetFit", "fullness", "is_iso_parameter"]

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
    """

    def __init__(self, config: SweepConfig, model_fields: Mapping[str, int]) -> None:
        self.space = Space.parse(config.space, config.family)
        self._family = get_family(config.family)
        self._builder = Builder(config, model_fields)
        self.compute = self._builder.compute
        self.budget: Budget = resolve_budget(config.budget, self._builder.preset_figures)
        self._resolver = Resolver(
            self.space, self._family, self._builder.rules, model_fields, self._builder.train, self.budget
        )
        self.distributions: dict[str, BaseDistribution] = {
            name: parameter.distribution for name, parameter in self.space.parameters.items()
        }
        self._free = {name: value for name, value in self.space.parameters.items() if self._is_free(name)}
        self._shaping = {
            name: value for name, value in self.space.parameters.items() if name not in self._free
        }
        costs = {measure.name for measure in CONSTRAINTS} & {MEMORY.name, *(config.objectives or ())}
        judge = FeasibilityChecker(
            self._resolver, self._family, self._builder.meter, self.budget, self.compute, sorted(costs)
        )
        self._judge = judge
        self.shapes = self._feasible_shapes(judge)
        """The feasible models, enumerated; None where a range is continuous or the lattice too large."""

    @property
    def family(self) -> str:
        """The model family, by name."""
        return self._family.name

    @property
    def num_tuples(self) -> int | None:
        """Points of the space; None where a range is continuous."""
        return num_points(self.space.parameters)

    @property
    def num_architectures(self) -> int | None:
        """Distinct architectures of the valid points, whatever their size; None where not enumerated."""
        return None if self.shapes is None else self.shapes.num_architectures

    @property
    def num_feasible_architectures(self) -> int | None:
        """Distinct architectures within the budget and the compute; None where not enumerated."""
        return None if self.shapes is None else self.shapes.num_feasible_architectures

    @property
    def num_feasible_trials(self) -> int | None:
        """Distinct feasible configurations, training values included; None where not enumerated."""
        free = num_points(self._free)
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
        """The configuration with these searched values; None where it is no valid model or does not fit."""
        assert params.keys() == self.space.parameters.keys(), f"not the space's parameters: {sorted(params)}"
        values, holds = self._resolver.resolve(params)
        if not holds:
            return None
        try:
            model = self._family.config_class(**self._resolver.model_of(values))
            train = TrainConfig(**{name: values[name] for name in TrainConfig.__dataclass_fields__})
        except ConfigError:
            return None
        own = (*self.space.parameters, *filter(None, [self.space.filled]), *self.space.derived)
        candidate = self._builder.build(model, train, dict(params), {name: values[name] for name in own})
        return None if candidate is None or self.budget.misfit(candidate.figures) else candidate

    def excess(self, params: Mapping[str, Any]) -> float:
        """How far a point is from being feasible, which it is up to 0 (see `FeasibilityChecker.excess`)."""
        return self._judge.excess(params)

    def on_grid(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Proposed values, each the nearest that the space has."""
        return {name: parameter.on_grid(params[name]) for name, parameter in self.space.parameters.items()}

    def sample(self, rng: np.random.Generator, exclude: Collection[str] = ()) -> Candidate | None:
        """A feasible candidate whose key is not excluded, each as likely as the others; None if none is left.

        Of a space that is not enumerated, each point is as likely; None after `DRAWS` points in vain.
        """
        total = self.num_feasible_trials
        if self.shapes is not None and total is not None and total <= 2 * len(exclude):
            left = [one for one in self._everything() if one.key not in exclude]
            return left[rng.integers(len(left))] if left else None
        for _ in range(DRAWS):
            candidate = self.candidate(self._draw(rng))
            if candidate is not None and candidate.key not in exclude:
                return candidate
        return None

    def nearest(
        self, params: Mapping[str, Any], rng: np.random.Generator, exclude: Collection[str] = ()
    ) -> Candidate | None:
        """The candidate nearest to `params` whose key is not excluded; None if none is left.

        Distance is over the parameters' grids, each of length 1 (values without an order: 0 or 1); ties are
        broken at random. Continuous training values stay as they are. Where the models are not enumerated, a
        sample instead.
        """
        if self.shapes is None:
            return self.sample(rng, exclude)
        free_grid = {name: parameter for name, parameter in self._free.items() if parameter.grid is not None}
        free_points = np.arange(num_points(free_grid) or 1)
        shape_distances = squared_distances(self.shapes.feasible, self._shaping, params)
        free_distances = squared_distances(free_points, free_grid, params)
        for shape, free in nearest_first(shape_distances, free_distances, rng):
            near = point(self._shaping, int(self.shapes.feasible[shape])) | point(free_grid, free)
            candidate = self.candidate(self._in_order({**params, **near}))
            if candidate is not None and candidate.key not in exclude:
                return candidate
        return self.sample(rng, exclude)

    def all(self) -> Sequence[Candidate] | None:
        """Every distinct feasible candidate in lattice order, built when looked at; None: not enumerated."""
        return None if self.num_feasible_trials is None else self._everything()

    def each_shape(self) -> Iterator[Candidate]:
        """A candidate of each distinct feasible shape, in lattice order; of free values the first.

        Raises:
            AssertionError: the shapes are not enumerated (`shapes` is None).
        """
        assert self.shapes is not None
        free = {name: parameter.extremes()[0] for name, parameter in self._free.items()}
        for index in self.shapes.distinct:
            candidate = self.candidate(self._in_order(point(self._shaping, int(index)) | free))
            assert candidate is not None, f"enumerated as feasible: {index}"
            yield candidate

    def preset(self, name: str, lr: float | None = None) -> Candidate:
        """A preset under the sweep's task, rules and compute, whether or not the budget allows it.

        Args:
            lr: its learning rate; None is the sweep's `train.lr`.

        Raises:
            UserError: there is no such preset, the rules break it, or the compute leaves it too few steps.
        """
        return self._builder.preset(name, lr)

    def place(self, preset: str) -> PresetFit:
        """Where a preset stands: its exact counts, and why it is no baseline if it is none.

        Raises:
            UnknownNameError: there is no such preset.
        """
        return self._builder.place(preset, self.budget)

    def figure(self, given: Any, measure: Constraint, where: str) -> int:
        """A figure of a measure as a user writes it: a number, or a preset's name (see `read_figure`)."""
        return read_figure(given, measure, self._builder.preset_figures, where)

    def most(self, measure: Constraint) -> int | None:
        """The budget's upper bound of a measure, else the largest figure of the feasible shapes; None where
        they are not enumerated."""
        bound = self._bound(measure)
        return self._largest(measure) if bound is None else bound

    def largest(self, measure: Constraint) -> int | None:
        """The largest figure of the feasible shapes; where they are not enumerated the budget's upper bound, None
        without one."""
        return self._bound(measure) if self.shapes is None else self._largest(measure)

    def _bound(self, measure: Constraint) -> int | None:
        return next((one.value for one in self.budget.upper_bounds if one.measure is measure), None)

    def _largest(self, measure: Constraint) -> int | None:
        return None if self.shapes is None else int(self.shapes.figures[measure.name].max())

    def _is_free(self, name: str) -> bool:
        fields = self.space.fields
        return (
            fields.section(name) == "train" and name not in COUNTED_TRAINING and not self.space.reading(name)
        )

    def _in_order(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {name: params[name] for name in self.space.parameters}

    def _everything(self) -> _Everything:
        assert self.shapes is not None
        distinct, num_free = self.shapes.distinct, num_points(self._free)
        assert num_free is not None

        def build(index: int) -> Candidate:
            shape, free = divmod(index, num_free)
            params = point(self._shaping, int(distinct[shape])) | point(self._free, free)
            candidate = self.candidate(self._in_order(params))
            assert candidate is not None, f"enumerated as feasible: {params}"
            return candidate

        return _Everything(len(distinct) * num_free, build)

    def _draw(self, rng: np.random.Generator) -> dict[str, Any]:
        params = {name: parameter.draw(rng) for name, parameter in self.space.parameters.items()}
        if self.shapes is not None:
            params |= point(self._shaping, int(rng.choice(self.shapes.distinct)))
        return params

    def _feasible_shapes(self, judge: FeasibilityChecker) -> Shapes | None:
        count = num_points(self._shaping)
        if count is not None and count <= LARGEST_LATTICE:
            shapes = enumerate_shapes(judge, self._shaping)
            if not len(shapes.feasible):
                self._refuse(lambda multiple: _judged(judged_chunks(judge, self._shaping, multiple)), "")
            return shapes
        if not any(block.feasible.any() for block in judged_probes(judge, self._shaping)):
            self._refuse(lambda multiple: judged_probes(judge, self._shaping, multiple), "about ")
        return None

    def _refuse(self, judged: Callable[[int | None], Iterator[FeasibilityResult]], about: str) -> NoReturn:
        """Says why nothing is feasible.

        Args:
            judged: gives the points, with widths that fill the budget or of so many `head_size`.
        """
        for multiple in range(1, WIDTHS_TRIED + 1) if self.space.filled else (None,):
            narrow = [block for block in judged(multiple) if len(block.positions)]
            if narrow:
                raise nothing_fits(self.space.name, narrow, judged(None), self.budget, self.compute, about)
        raise SpaceError(f"space {self.space.name}", "no point to train", self._why_invalid())

    def _why_invalid(self) -> str:
        params = {name: parameter.extremes()[0] for name, parameter in self.space.parameters.items()}
        values, holds = self._resolver.resolve(params, multiple=1)
        if not holds:
            return f"nowhere are the derived values ({', '.join(self.space.derived)}) what their fields take"
        try:
            self._family.config_class(**self._resolver.model_of(values))
            TrainConfig(**{name: values[name] for name in TrainConfig.__dataclass_fields__})
        except ConfigError as error:
            return f"no point is a valid model; the first fails with: {error}"
        raise AssertionError(f"judged as invalid, but built: {params}")


class _Everything(Sequence[Candidate]):
    """Candidates that are built when they are looked at."""

    def __init__(self, length: int, build: Callable[[int], Candidate]) -> None:
        self._length = length
        self._build = build

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> Candidate: ...
    @overload
    def __getitem__(self, index: slice) -> list[Candidate]: ...
    def __getitem__(self, index: int | slice) -> Candidate | list[Candidate]:
        if isinstance(index, slice):
            return [self._build(i) for i in range(*index.indices(self._length))]
        return self._build(range(self._length)[index])


def _judged(chunks: Iterator[tuple[np.ndarray, FeasibilityResult]]) -> Iterator[FeasibilityResult]:
    return (judged for _, judged in chunks)
