"""The objectives of a search: one validation metric, or several objectives of which the first is one.

The others are metrics, too, or costs of a model: counted from its configuration alone, or its measured latency.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hrm.config.errors import ConfigError, UnknownNameError
from hrm.config.run_config import RunConfig
from hrm.models.registry import get_family
from sweeps.config import SweepConfig
from sweeps.events import Validation
from sweeps.search.pareto_front import Point, select_widest
from sweeps.space.budget import read_cost
from sweeps.space.candidates import Candidates
from sweeps.space.constraints import CONSTRAINTS, MEASURED, CostModel

Direction = Literal["maximize", "minimize"]

METRIC_DIRECTIONS: dict[str, Direction] = {
    "exact_accuracy": "maximize",
    "cell_accuracy": "maximize",
    "blank_accuracy": "maximize",
    "q_halt_accuracy": "maximize",
    "accuracy": "maximize",
    "loss": "minimize",
    "bits_per_byte": "minimize",
    "perplexity": "minimize",
}
"""Metrics of a validation, and the direction that is better. Only these: a search must not see the test split."""

AUC = "_auc"


@dataclass(frozen=True)
class Objective:
    """A metric of the last validation, its mean over all of them (area under the learning curve), or a cost.

    Args:
        name: as the user spells it: `valid/<metric>`, `valid/<metric>_auc`, or one of `sweeps.space.constraints`.
        metric: the metric that it is computed from, as validations name it; empty for a cost that is counted.
        direction: `maximize` or `minimize`.
        over_curve: True for the mean over all validations so far.
    """

    name: str
    metric: str
    direction: Direction
    over_curve: bool = False

    @classmethod
    def parse(cls, name: str) -> Objective:
        """Return the objective of that name, which a search may have as its only one.

        Raises:
            UnknownNameError: there is none.

        >>> Objective.parse("valid/loss_auc")
        Objective(name='valid/loss_auc', metric='valid/loss', direction='minimize', over_curve=True)
        """
        if name not in list_objective_names():
            raise UnknownNameError.among("objective", name, list_objective_names())
        metric = name.removesuffix(AUC)
        return cls(name, metric, METRIC_DIRECTIONS[metric.removeprefix("valid/")], name.endswith(AUC))

    @property
    def test_metric(self) -> str:
        """The metric that the verdict compares: the same one on the test split."""
        return f"test/{self.metric.removeprefix('valid/')}"

    def compute_value(self, validations: Sequence[Validation], run: RunConfig | None = None) -> float | None:
        """Return the objective after these validations; None if a number it needs is missing or not finite.

        Args:
            run: what was validated; only a counted cost needs it.
        """
        if not self.metric:
            assert run is not None
            cost = CONSTRAINTS[self.name].compute(CostModel(get_family(run.family), run.model, run.train))
            return float(cost)
        needed = validations if self.over_curve else validations[-1:]
        values = [one.metrics.get(self.metric) for one in needed]
        numbers = [value for value in values if value is not None and math.isfinite(value)]
        if not values or len(numbers) < len(values):
            return None
        return math.fsum(numbers) / len(numbers)

    def get_sort_key(self, value: float) -> float:
        """Return a sort key: the better of two values has the smaller one.

        >>> sorted([0.2, 0.9, 0.5], key=Objective.parse("valid/exact_accuracy").get_sort_key)
        [0.9, 0.5, 0.2]
        """
        return -value if self.direction == "maximize" else value


COSTS = {
    name: Objective(name, f"valid/{name}" if one.measured else "", "minimize")
    for name, one in CONSTRAINTS.items()
}
"""Costs, of which less is better: counted before a model is trained, or measured by each validation."""
LATENCY = COSTS["latency"]


def list_objective_names() -> list[str]:
    """Return the names of all objectives that a search may have as its only one.

    >>> list_objective_names()[:2]
    ['valid/exact_accuracy', 'valid/exact_accuracy_auc']
    """
    return [f"valid/{metric}{suffix}" for metric in METRIC_DIRECTIONS for suffix in ("", AUC)]


SHORT = {"flops": "inference_flops", "bytes": "memory"}
"""Other names of costs."""
ACCURACIES = ("accuracy", "blank_accuracy")
"""Meanings of `accuracy`: the first of these that the family reports."""
WORST = {"loss": math.log(256), "bits_per_byte": 8.0, "perplexity": 256.0}
"""Reference values of metrics to minimize: a uniform guess among 256. That of accuracies is 0."""
WORST |= {name: CONSTRAINTS[name].worst or 1.0 for name in MEASURED}


@dataclass(frozen=True)
class Objectives:
    """All objectives of a sweep.

    Args:
        each: in the user's order; the first is the one of the verdict.
        reference: the hypervolume's reference point, a value for each; empty with one objective.

    >>> objectives = Objectives(parse_objectives(["valid/exact_accuracy", "params"]), reference=(0.0, 1e6))
    >>> values = [[0.75, 800_000], [0.5, 200_000], [0.25, 300_000]]
    >>> [objectives.scale_point(one) for one in values]
    [[0.25, 0.8], [0.5, 0.2], [0.75, 0.3]]
    >>> objectives.select_best(values, most=3)
    [1, 0]
    """

    each: tuple[Objective, ...]
    reference: tuple[float, ...] = ()

    @classmethod
    def from_config(cls, config: SweepConfig, candidates: Candidates) -> Objectives:
        """Return the objectives of a sweep.

        Raises:
            UserError: an unknown name, a cost in the first place, or a reference point that cannot be read or
                is missing.
        """
        if config.objectives is None:
            return cls((Objective.parse(config.objective),))
        each = parse_objectives(config.objectives)
        given = config.reference_point or [None] * len(each)
        if len(given) != len(each):
            rule = f"must have a value, or null, for each of {len(each)} objectives"
            raise ConfigError("reference_point", given, rule)
        reference = [_read_reference(candidates, one, value) for one, value in zip(each, given, strict=True)]
        return cls(each, tuple(reference))

    @property
    def first(self) -> Objective:
        return self.each[0]

    @property
    def several(self) -> bool:
        return len(self.each) > 1

    @property
    def costs(self) -> list[str]:
        """Names of those that are counted before training."""
        return [one.name for one in self.each if not one.metric]

    @property
    def names(self) -> list[str]:
        return [one.name for one in self.each]

    def compute_values(self, run: RunConfig, validations: Sequence[Validation]) -> tuple[float, ...] | None:
        """Return the objectives of a run after these validations; None if a metric is missing or not finite."""
        values = [one.compute_value(validations, run) for one in self.each]
        known = tuple(value for value in values if value is not None)
        return known if len(known) == len(values) else None

    def compute_curve(
        self, run: RunConfig, validations: Sequence[Validation]
    ) -> dict[int, tuple[float, ...]]:
        """Return the objectives after each validation at which all are known, by the validation's index."""
        values = (
            (one.index, self.compute_values(run, validations[:i])) for i, one in enumerate(validations, 1)
        )
        return {index: known for index, known in values if known is not None}

    def make_point(self, values: Sequence[float]) -> Point:
        """Return the values as a point in which less is better."""
        each = zip(self.each, values, strict=True)
        return [-value if one.direction == "maximize" else value for one, value in each]

    def scale_point(self, values: Sequence[float]) -> Point:
        """Return the values as a point of the box from the ideal, all 0, to the reference point, all 1."""
        ideals = [1.0 if one.direction == "maximize" else 0.0 for one in self.each]
        each = zip(values, ideals, self.reference, strict=True)
        return [(value - ideal) / (reference - ideal) for value, ideal, reference in each]

    def select_best(self, values: Sequence[Sequence[float]], most: int) -> list[int]:
        """Return the indices of the `most` best, the earlier first if two are equal.

        With several objectives: of those on the front, in the order in which each adds most hypervolume.
        """
        if self.several:
            return select_widest([self.scale_point(one) for one in values], most)
        return sorted(range(len(values)), key=lambda index: self.make_point(values[index])[0])[:most]


def expand_objective_name(name: Any, family_name: str) -> str:
    """Return an objective's full name, for a name without `valid/` or another word for it.

    Raises:
        UnknownNameError: there is no such objective.

    >>> expand_objective_name("accuracy_auc", "puzzle"), expand_objective_name("flops", "puzzle")
    ('valid/blank_accuracy_auc', 'inference_flops')
    """
    known = [*list_objective_names(), *COSTS]
    word = SHORT.get(str(name), str(name))
    if word.startswith("accuracy"):
        measured = get_family(family_name).metrics
        word = word.replace("accuracy", next(one for one in ACCURACIES if one in measured), 1)
    if word not in known and f"valid/{word}" in known:
        word = f"valid/{word}"
    if word not in known:
        raise UnknownNameError.among("objective", str(name), [*known, *SHORT, "accuracy"])
    return word


def list_metrics(config: SweepConfig) -> list[Objective]:
    """Return the objectives of a sweep that are metrics of a validation.

    Raises:
        UserError: see `parse_objectives`.

    >>> [one.metric for one in list_metrics(SweepConfig(space={}, objectives=["valid/loss", "params"]))]
    ['valid/loss']
    """
    each = parse_objectives(config.objectives) if config.objectives else [Objective.parse(config.objective)]
    return [one for one in each if one.name not in COSTS]


def parse_objectives(names: Sequence[str]) -> tuple[Objective, ...]:
    """Return several objectives by their full names.

    Raises:
        UnknownNameError: an unknown name.
        ConfigError: fewer than two, one twice, or a cost in the first place.

    >>> [one.direction for one in parse_objectives(["valid/exact_accuracy", "params"])]
    ['maximize', 'minimize']
    """
    if len(names) < 2 or len(set(names)) < len(names):
        rule = "must name two or more, each once"
        raise ConfigError("objectives", list(names), rule, "For one, use objective=")
    known = [*list_objective_names(), *COSTS]
    for name in names:
        if name not in known:
            raise UnknownNameError.among("objectives", name, known)
    if names[0] in COSTS:
        rule = "must begin with a metric: the verdict is about the first"
        raise ConfigError("objectives", list(names), rule)
    return tuple(COSTS.get(name) or Objective.parse(name) for name in names)


def _read_reference(candidates: Candidates, one: Objective, given: Any) -> float:
    """Return where the hypervolume of an objective begins: what is given, or the worst that it may have."""
    if one.metric and given is None:
        return WORST.get(one.metric.removeprefix("valid/"), 0.0)
    if one.metric:
        rises = one.direction == "maximize"
        if not isinstance(given, int | float) or not (0 <= given < 1 if rises else given > 0):
            rule = "a number from 0 to below 1" if rises else "a number above 0"
            raise ConfigError("reference_point", given, f"must be {rule} for {one.name}")
        return float(given)
    constraint = CONSTRAINTS[one.name]
    if given is not None:
        return float(read_cost(given, constraint, candidates.preset_costs, "reference_point"))
    most = candidates.max_cost(constraint)
    if most is None:
        rule = f"must say where the hypervolume of {one.name} begins: nothing bounds it here"
        example = constraint.unit.examples.split(",")[0]
        hint = f"Set budget.max_{one.name}, or reference_point=[null,{example}]"
        raise ConfigError("reference_point", None, rule, hint)
    return float(most)
