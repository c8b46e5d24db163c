"""What a search optimises: one validation metric, or several objectives of which the first is one.

The others are metrics, too, or what a model costs: counted from its configuration alone, or its measured latency.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hrm.config.errors import ConfigError, UnknownNameError
from hrm.config.run_config import RunConfig
from hrm.models.registry import get_family
from sweeps.config import SweepConfig
from sweeps.events import Validation
from sweeps.search.pareto_front import Point, widest_first
from sweeps.space.candidates import Candidates
from sweeps.space.constraints import CONSTRAINTS, COUNTED, MEASURED, CostModel

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
"""Metrics of a validation, and which way is better. Only these: a search must not see the test split."""

AUC = "_auc"


@dataclass(frozen=True)
class Objective:
    """A validation metric at the last report, or its mean over the reports (area under the learning curve).

    Args:
        name: as the user spells it: `valid/<metric>` or `valid/<metric>_auc`.
        metric: the report's metric that it is made of.
        direction: `maximize` or `minimize`.
        over_curve: True for the mean over all reports so far.
    """

    name: str
    metric: str
    direction: Direction
    over_curve: bool

    @classmethod
    def parse(cls, name: str) -> Objective:
        """The objective of that name.

        Raises:
            UnknownNameError: there is none.
        """
        if name not in objective_names():
            raise UnknownNameError.among("objective", name, objective_names())
        metric = name.removesuffix(AUC)
        return cls(name, metric, METRIC_DIRECTIONS[metric.removeprefix("valid/")], name.endswith(AUC))

    @property
    def test_metric(self) -> str:
        """What the verdict compares: the same metric on the test split."""
        return f"test/{self.metric.removeprefix('valid/')}"

    def value(self, reports: Sequence[Validation]) -> float | None:
        """The objective after these reports; None where a number it needs is missing or not finite."""
        wanted = reports if self.over_curve else reports[-1:]
        values = [report.metrics.get(self.metric) for report in wanted]
        numbers = [value for value in values if value is not None and math.isfinite(value)]
        if not values or len(numbers) < len(values):
            return None
        return math.fsum(numbers) / len(numbers)

    def curve(self, reports: Sequence[Validation]) -> dict[int, float]:
        """Return the objective after each report, by the report's index; reports without a value are left out."""
        values = ((report.index, self.value(reports[:i])) for i, report in enumerate(reports, 1))
        return {index: value for index, value in values if value is not None}

    def best_first(self, value: float) -> float:
        """A sort key: the better of two values has the smaller one."""
        return -value if self.direction == "maximize" else value


MEASURED_COSTS = {name: Objective(name, f"valid/{name}", "minimize", over_curve=False) for name in MEASURED}
"""Costs that each validation measures; of several objectives, never the only one."""
LATENCY = MEASURED_COSTS["latency"]


def objective_names() -> list[str]:
    """Every objective, by name."""
    return [f"valid/{metric}{suffix}" for metric in METRIC_DIRECTIONS for suffix in ("", AUC)]


COSTS = tuple(COUNTED)
"""Counted before a model is trained; less is better."""
SHORT = {"flops": "inference_flops", "bytes": "memory"}
"""What else a cost may be called."""
ACCURACIES = ("accuracy", "blank_accuracy")
"""What `accuracy` means: the first of these that a family is measured by."""
WORST = {"loss": math.log(256), "bits_per_byte": 8.0, "perplexity": 256.0}
"""Where the hypervolume of what falls begins: a uniform guess among 256. Of accuracies it is 0."""
WORST |= {name: CONSTRAINTS[name].worst or 1.0 for name in MEASURED}


@dataclass(frozen=True)
class Cost:
    """A cost of a model that is counted from its configuration."""

    name: str
    """Of `sweeps.space.constraints`."""
    direction: Direction = "minimize"

    def value(self, run: RunConfig) -> float:
        counted = CostModel(get_family(run.family), run.model, run.train)
        return float(CONSTRAINTS[self.name].compute(counted))


@dataclass(frozen=True)
class Objectives:
    """All objectives of a sweep.

    Args:
        each: in the user's order; the first is what the verdict is about.
        reference: where the hypervolume begins, a value for each; empty with one objective.
    """

    each: tuple[Objective | Cost, ...]
    reference: tuple[float, ...] = ()

    @classmethod
    def of(cls, config: SweepConfig, candidates: Candidates) -> Objectives:
        """Those of a sweep.

        Raises:
            UserError: an unknown name, a cost in the first place, or a reference point that cannot be read or
                is missing.
        """
        if config.objectives is None:
            return cls((Objective.parse(config.objective),))
        each = parse(config.objectives)
        return cls(each, tuple(_references(config, candidates, each)))

    @property
    def first(self) -> Objective:
        first = self.each[0]
        assert isinstance(first, Objective)
        return first

    @property
    def several(self) -> bool:
        return len(self.each) > 1

    @property
    def costs(self) -> list[str]:
        """Names of those that are counted before training."""
        return [one.name for one in self.each if isinstance(one, Cost)]

    @property
    def names(self) -> list[str]:
        return [one.name for one in self.each]

    def values(self, run: RunConfig, reports: Sequence[Validation]) -> tuple[float, ...] | None:
        """The objectives of a run after these reports; None where a metric is missing or not finite."""
        values = [one.value(run) if isinstance(one, Cost) else one.value(reports) for one in self.each]
        known = tuple(value for value in values if value is not None)
        return known if len(known) == len(values) else None

    def curve(self, run: RunConfig, reports: Sequence[Validation]) -> dict[int, list[float]]:
        """Return the objectives after each report at which all of them are known, by the report's index."""
        indices = [report.index for report in reports]
        curves = [
            one.curve(reports) if isinstance(one, Objective) else dict.fromkeys(indices, one.value(run))
            for one in self.each
        ]
        known = [index for index in curves[0] if all(index in curve for curve in curves)]
        return {index: [curve[index] for curve in curves] for index in known}

    def point(self, values: Sequence[float]) -> Point:
        """The values as a point for `sweeps.search.pareto_front`."""
        return [-value if one.direction == "maximize" else value for one, value in self._with(values)]

    def scaled(self, values: Sequence[float]) -> Point:
        """The values as a point of the box between the ideal, all 0, and the reference point, all 1."""
        ideals = [1.0 if one.direction == "maximize" else 0.0 for one in self.each]
        ends = zip(values, ideals, self.reference, strict=True)
        return [(value - ideal) / (reference - ideal) for value, ideal, reference in ends]

    def best(self, values: Sequence[Sequence[float]], most: int) -> list[int]:
        """Places of the `most` best, the earlier first where two are equal.

        With several objectives: of those on the front, in the order in which each adds most hypervolume.
        """
        if self.several:
            return widest_first([self.scaled(one) for one in values], most)
        return sorted(range(len(values)), key=lambda place: self.point(values[place])[0])[:most]

    def _with(self, values: Sequence[float]) -> Iterable[tuple[Objective | Cost, float]]:
        return zip(self.each, values, strict=True)


def canonical(name: Any, family_name: str) -> str:
    """An objective's whole name, for a name that leaves `valid/` out or is another word for it.

    Raises:
        UnknownNameError: there is no such objective.
    """
    known = [*objective_names(), *MEASURED_COSTS, *COSTS]
    word = SHORT.get(str(name), str(name))
    if word.startswith("accuracy"):
        measured = get_family(family_name).metrics
        word = word.replace("accuracy", next(one for one in ACCURACIES if one in measured), 1)
    if word not in known and f"valid/{word}" in known:
        word = f"valid/{word}"
    if word not in known:
        raise UnknownNameError.among("objective", str(name), [*known, *SHORT, "accuracy"])
    return word


def metrics(config: SweepConfig) -> list[Objective]:
    """The objectives of a sweep that validations measure.

    Raises:
        UserError: see `parse`.
    """
    each = parse(config.objectives) if config.objectives else [Objective.parse(config.objective)]
    return [one for one in each if isinstance(one, Objective) and one.name not in MEASURED_COSTS]


def parse(names: Sequence[str]) -> tuple[Objective | Cost, ...]:
    """Several objectives by their whole names.

    Raises:
        UnknownNameError: an unknown name.
        ConfigError: fewer than two, one twice, or a cost in the first place.
    """
    if len(names) < 2 or len(set(names)) < len(names):
        raise ConfigError(
            "objectives", list(names), "must name two or more, each once", "For one, use objective="
        )
    known = [*objective_names(), *MEASURED_COSTS, *COSTS]
    for name in names:
        if name not in known:
            raise UnknownNameError.among("objectives", name, known)
    if names[0] not in objective_names():
        raise ConfigError(
            "objectives", list(names), "must begin with a metric: the verdict is about the first"
        )
    return tuple(
        Cost(name) if name in COSTS else MEASURED_COSTS.get(name) or Objective.parse(name) for name in names
    )


def _references(
    config: SweepConfig, candidates: Candidates, each: Sequence[Objective | Cost]
) -> Iterable[float]:
    given = config.reference_point or [None] * len(each)
    if len(given) != len(each):
        raise ConfigError(
            "reference_point", given, f"must have a value, or null, for each of {len(each)} objectives"
        )
    for one, value in zip(each, given, strict=True):
        yield (
            _cost_reference(candidates, one, value)
            if isinstance(one, Cost)
            else _metric_reference(one, value)
        )


def _metric_reference(one: Objective, given: Any) -> float:
    if given is None:
        return WORST.get(one.metric.removeprefix("valid/"), 0.0)
    rises = one.direction == "maximize"
    if not isinstance(given, int | float) or not (0 <= given < 1 if rises else given > 0):
        rule = "a number from 0 to below 1" if rises else "a number above 0"
        raise ConfigError("reference_point", given, f"must be {rule} for {one.name}")
    return float(given)


def _cost_reference(candidates: Candidates, one: Cost, given: Any) -> float:
    constraint = CONSTRAINTS[one.name]
    if given is not None:
        return float(candidates.read_cost(given, constraint, "reference_point"))
    most = candidates.max_cost(constraint)
    if most is None:
        raise ConfigError(
            "reference_point", None, f"must say where the hypervolume of {one.name} begins: nothing bounds it here",
            f"Set budget.max_{one.name}, or reference_point=[null,{constraint.unit.examples.split(',')[0]}]",
        )  # fmt: skip
    return float(most)
