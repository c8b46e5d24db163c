"""The budget: what a user may write, and the exact bounds that it means."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any, NamedTuple

import numpy as np

from hrm.config.errors import UnknownNameError
from hrm.config.train_config import TrainConfig
from hrm.data.sampling import mix_uint64
from hrm.models.registry import Family
from sweeps.config import BudgetConfig
from sweeps.errors import BudgetError
from sweeps.quantities import BYTES, FLOPS, PARAMETERS, Unit, parse_count, parse_decimal


def row_keys(columns: Mapping[str, Any]) -> np.ndarray:
    """A uint64 key for each row, equal for equal rows.

    Each column's value is mixed with a salt of the column's name by the finaliser of SplitMix64, and the
    results are added. Unequal rows get equal keys with probability 2^-64 a pair: below 3e-6 for any pair
    among 10 million rows.

    Args:
        columns: arrays of numbers of one length, or single values (numbers, text, None) for all rows.
    """
    total: Any = np.zeros(1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for name, column in columns.items():
            bits = _bits(column) if isinstance(column, np.ndarray) else np.array([_scalar_bits(column)])
            total = total + mix_uint64(bits ^ _digest(name))
    return total


def distinct(keys: np.ndarray) -> np.ndarray:
    """The different keys, ascending. (numpy's own `unique` hashes, several times as slow as sorting here.)"""
    ascending = np.sort(keys)
    return ascending[np.concatenate([[True], ascending[1:] != ascending[:-1]])] if len(keys) else ascending


def _bits(column: np.ndarray) -> np.ndarray:
    """64 bits that are equal where numbers are: 2 and 2.0 agree, as they do in Python."""
    if column.dtype.kind == "f":
        column = np.ascontiguousarray(column, dtype=np.float64)
        whole = (column == np.floor(column)) & (np.abs(column) < 2.0**53)
        return np.where(whole, np.where(whole, column, 0).astype(np.int64), column.view(np.int64)).astype(
            np.uint64
        )
    return column.astype(np.int64).astype(np.uint64)


def _scalar_bits(value: Any) -> np.uint64:
    if isinstance(value, int | float | np.number | np.bool_):
        return np.uint64(_bits(np.asarray([value]))[0])
    return _digest(repr(value))


def _digest(text: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little"))


Figures = Mapping[str, int]
"""A model's figure for each measure, by name."""


@dataclass(frozen=True)
class Constraint:
    """Something that is counted of a model and bounded by `budget.max_<name>` and `budget.min_<name>`.

    Args:
        name: as the options spell it.
        unit: how a bound is written.
        noun: what its figures count.
        least, most: what to call the models with the smallest and the largest figure.
    """

    name: str
    unit: Unit
    noun: str
    least: str
    most: str


PARAMS = Constraint("params", PARAMETERS, "parameters", "smallest", "largest")
FLOPS_PER_STEP = Constraint("flops_per_step", FLOPS, "FLOPs per step", "cheapest", "costliest")
MEMORY = Constraint("memory", BYTES, "bytes of memory", "leanest", "largest")
INFERENCE_FLOPS = Constraint(
    "inference_flops", FLOPS, "FLOPs to evaluate a sequence", "cheapest", "costliest"
)
CONSTRAINTS = (PARAMS, FLOPS_PER_STEP, MEMORY, INFERENCE_FLOPS)

COUNTED_TRAINING: dict[str, Callable[[Any], Any]] = {
    "batch_size": lambda size: size,
    "accumulation": lambda batches: batches,
    "ema": lambda decay: decay > 0,
}
"""Training fields that counts depend on, and what of each: equal results are counted together."""


class CostModel:
    """Counts the figures of a family's models.

    Args:
        family: gives `Counts`, from which every figure comes.
        train: the sweep's training rules.
    """

    def __init__(self, family: Family, train: TrainConfig) -> None:
        self._family = family
        self._train = train

    def figures(self, model: Any, train: TrainConfig) -> dict[str, int]:
        """Every figure of one model under its own training rules."""
        counts = self._family.count(model, train.batch_size, train)
        return {
            PARAMS.name: counts.params,
            FLOPS_PER_STEP.name: counts.flops_per_step,
            MEMORY.name: counts.total_bytes,
            INFERENCE_FLOPS.name: self._family.count(model, 1, train).eval_flops_per_batch,
        }

    def figures_of(
        self, model: Mapping[str, Any], training: Mapping[str, Any], size: int, names: Iterable[str]
    ) -> dict[str, np.ndarray]:
        """Figures of many models: int64 arrays of `size`.

        Args:
            model: a value, or an array of `size`, for each field of the family's config.
            training: likewise for each of `COUNTED_TRAINING`; other fields are not looked at.
            names: of the measures that are wanted.
        """
        found = {name: np.empty(size, dtype=np.int64) for name in names}
        for rows, train in self._alike(training, size):
            part = {name: _taken(value, rows) for name, value in model.items()}
            counts = self._family.count_arrays(part, train.batch_size, train)
            columns = {
                PARAMS.name: counts["params"],
                FLOPS_PER_STEP.name: counts["flops_per_step"],
                MEMORY.name: counts["total_bytes"],
            }
            if INFERENCE_FLOPS.name in found:
                single = self._family.count_arrays(part, 1, train)
                columns[INFERENCE_FLOPS.name] = single["eval_flops_per_batch"]
            for name, column in found.items():
                column[rows] = np.ravel(columns[name])
        return found

    def _alike(self, training: Mapping[str, Any], size: int) -> Iterable[tuple[np.ndarray, TrainConfig]]:
        """Rows with the same training, as far as counts depend on it, and that training."""
        if not size:
            return
        _, first, group = np.unique(training_keys(training, size), return_index=True, return_inverse=True)
        for number, row in enumerate(first):
            fields = {name: np.asarray(_taken(training[name], row)).item() for name in COUNTED_TRAINING}
            yield np.flatnonzero(group == number), dataclasses.replace(self._train, **fields)


def training_keys(training: Mapping[str, Any], size: int) -> np.ndarray:
    """Equal for rows whose counts depend on training in the same way."""
    keys = row_keys({name: part(training[name]) for name, part in COUNTED_TRAINING.items()})
    return np.broadcast_to(keys, size)


def _taken(value: Any, rows: Any) -> Any:
    return value[rows] if isinstance(value, np.ndarray) else value


ISO_PARAMETER = Decimal("0.95")
"""Only shapes above this share of the budget are compared as equal in parameters."""


class Bound(NamedTuple):
    """One inclusive bound on one figure."""

    measure: Constraint
    side: str
    """`max` or `min`."""
    value: int

    @property
    def option(self) -> str:
        """As a user writes it: `budget.max_params`."""
        return f"budget.{self.side}_{self.measure.name}"

    def holds(self, figures: Mapping[str, Any]) -> Any:
        """Whether figures (of one model, or arrays of many) keep it."""
        figure = figures[self.measure.name]
        return figure <= self.value if self.side == "max" else figure >= self.value

    def excess(self, figures: Figures) -> float:
        """The logarithm of how many times a model's figure breaks it: above 0 where it does not hold."""
        figure = figures[self.measure.name]
        return math.log(figure / self.value if self.side == "max" else self.value / figure)

    def __str__(self) -> str:
        return f"{self.option}={self.value:,}"


@dataclass(frozen=True)
class Budget:
    """Inclusive bounds on the figures of `sweeps.space.constraints`; None is no bound."""

    max_params: int | None = None
    min_params: int | None = None
    max_flops_per_step: int | None = None
    min_flops_per_step: int | None = None
    max_memory: int | None = None
    min_memory: int | None = None
    max_inference_flops: int | None = None
    min_inference_flops: int | None = None

    @property
    def bounds(self) -> list[Bound]:
        """All that are set, the upper ones first."""
        named = [Bound(measure, side, getattr(self, f"{side}_{measure.name}"))
                 for side in ("max", "min") for measure in CONSTRAINTS]  # fmt: skip
        return [bound for bound in named if bound.value is not None]

    @property
    def upper_bounds(self) -> list[Bound]:
        return [bound for bound in self.bounds if bound.side == "max"]

    def misfit(self, figures: Figures) -> str | None:
        """Why a model with these figures is out of the budget; None when it is within."""
        broken = [
            f"{'exceeds' if bound.side == 'max' else 'is below'} {bound}"
            for bound in self.bounds
            if not bound.holds(figures)
        ]
        return "; ".join(broken) or None

    def fullness(self, num_params: int) -> float | None:
        """The share of `max_params` that a model uses; None without that bound."""
        return None if self.max_params is None else num_params / self.max_params

    def is_iso_parameter(self, num_params: int) -> bool:
        """Whether a model is near enough to `max_params` to be compared as equal in parameters."""
        return self.max_params is not None and ISO_PARAMETER * self.max_params < num_params <= self.max_params


def resolve_budget(config: BudgetConfig, preset_figures: Callable[[str], Figures]) -> Budget:
    """The bounds that a configuration means.

    Args:
        preset_figures: of the preset of that name, built for the sweep's task and rules.

    Raises:
        BudgetError: a bound cannot be read, is not above 0, or the lower is above the upper.
        UnknownNameError: a name that is no preset.
    """
    return Budget(**dict(_bounds(config, preset_figures)))


def _bounds(
    config: BudgetConfig, preset_figures: Callable[[str], Figures]
) -> Iterator[tuple[str, int | None]]:
    for measure in CONSTRAINTS:
        upper, lower = f"max_{measure.name}", f"min_{measure.name}"
        given, least_given = getattr(config, upper), getattr(config, lower)
        most = None if given is None else read_figure(given, measure, preset_figures, f"budget.{upper}")
        least = _least(least_given, most, measure, preset_figures)
        if most is not None and least is not None and least > most:
            raise BudgetError(f"budget.{lower}", least_given, f"{least:,} is above budget.{upper}={most:,}")
        yield upper, most
        yield lower, least


def _least(
    given: Any, most: int | None, measure: Constraint, preset_figures: Callable[[str], Figures]
) -> int | None:
    where = f"budget.min_{measure.name}"
    if given is None:
        return None
    share = parse_decimal(given, measure.unit)
    if share is None or not 0 < share < 1:
        return read_figure(given, measure, preset_figures, where)
    if most is None:
        raise BudgetError(where, given, f"is a share of budget.max_{measure.name}, which is not set")
    return int((share * most).to_integral_value(ROUND_CEILING))


def read_figure(given: Any, measure: Constraint, preset_figures: Callable[[str], Figures], where: str) -> int:
    """A number as a user writes it, or a preset's name: that preset's own figure.

    Raises:
        BudgetError: it cannot be read, or is not above 0.
        UnknownNameError: a name that is no preset.
    """
    is_name = isinstance(given, str) and re.match(r"\s*[A-Za-z_]", given)
    if not is_name:
        return parse_count(given, measure.unit, where)
    try:
        return preset_figures(given.strip())[measure.name]
    except UnknownNameError as error:
        raise UnknownNameError(where, given, f"{error.rule}, or a number", error.hint) from None


@dataclass(frozen=True)
class FlopsBudget:
    """The training compute of every trial.

    Args:
        steps: `train.steps`: the steps of the reference under equal FLOPs, of everyone under equal steps.
        num_reports: validations of a trial; each needs at least one step of its own.
        allowance: training FLOPs that a trial may spend; None under equal steps.
    """

    steps: int
    num_reports: int
    allowance: int | None

    def steps_for(self, flops_per_step: int) -> int:
        """The largest whole number of steps within the allowance; may be too few to train (see `misfit`)."""
        return self.steps if self.allowance is None else self.allowance // flops_per_step

    @property
    def most_flops_per_step(self) -> int | None:
        """The costliest step that still leaves one step for each report; None: any."""
        return None if self.allowance is None else self.allowance // self.num_reports

    def misfit(self, flops_per_step: int) -> str | None:
        """Why a model cannot be trained within the allowance; None when it can."""
        most = self.most_flops_per_step
        if most is None or flops_per_step <= most:
            return None
        steps = self.steps_for(flops_per_step)
        word = "step" if steps == 1 else "steps"
        return f"has only {steps:,} {word} at equal compute, below train.num_reports={self.num_reports}"
