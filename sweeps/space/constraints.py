"""The constraints that a budget can set, one entry each: what a configuration costs, counted or measured.

The options `budget.max_<name>` and `budget.min_<name>`, the dry run's lines and the cost objectives derive from
`CONSTRAINTS`: a new constraint is a new entry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hrm.config.train_config import TrainConfig
from hrm.models.registry import Counts, Family
from sweeps.quantities import BYTES, FLOPS, PARAMETERS, SECONDS, Unit

Costs = Mapping[str, float]
"""A configuration's cost by the name of each constraint; a whole number where the unit is whole."""


class CostModel:
    """A model under its training rules, from which constraints compute costs; it is counted once.

    Example:
        >>> from hrm.models.registry import get_family
        >>> puzzle = get_family("puzzle")
        >>> CostModel(puzzle, puzzle.config_class(), TrainConfig(batch_size=8)).training.params
        27275778
    """

    def __init__(self, family: Family, model: Any, train: TrainConfig) -> None:
        self.family, self.model, self.train = family, model, train

    @cached_property
    def training(self) -> Counts:
        """Counts of a training step at the trial's own batch size."""
        counts: Counts = self.family.count(self.model, self.train.batch_size, self.train)
        return counts

    @cached_property
    def inference(self) -> Counts:
        """Counts of one sequence alone."""
        counts: Counts = self.family.count(self.model, 1, self.train)
        return counts


@dataclass(frozen=True, kw_only=True)
class Constraint:
    """A cost of a configuration that `budget.max_<name>` and `budget.min_<name>` bound.

    Args:
        name: as the options spell it.
        unit: how a bound is written.
        noun: the plural of what is counted, in messages and in the dry run.
        description: what `--help` says after "Upper bound on".
        compute: the cost of a `CostModel`; of a measured constraint, of the `hrm.training.trainer.Trainer` that
            is about to make its first step, or has just validated.
        measured: the cost depends on the device. It is measured before training instead of counted before the
            search, so it needs `deterministic=false`.
        worst: where the hypervolume of this objective begins if nothing bounds it; None: the budget must.
    """

    name: str
    unit: Unit
    noun: str
    description: str
    compute: Callable[[Any], float]
    measured: bool = False
    worst: float | None = None


PARAMS = Constraint(
    name="params",
    unit=PARAMETERS,
    noun="parameters",
    description="trainable plus puzzle-embedding parameters",
    compute=lambda costs: costs.training.params,
)
FLOPS_PER_STEP = Constraint(
    name="flops_per_step",
    unit=FLOPS,
    noun="FLOPs per step",
    description="training FLOPs of an optimizer step",
    compute=lambda costs: costs.training.flops_per_step,
)
MEMORY = Constraint(
    name="memory",
    unit=BYTES,
    noun="bytes of memory",
    description="bytes per device in training (weights, gradients, optimizer, activations)",
    compute=lambda costs: costs.training.total_bytes,
)
INFERENCE_FLOPS = Constraint(
    name="inference_flops",
    unit=FLOPS,
    noun="inference FLOPs",
    description="FLOPs to evaluate one sequence",
    compute=lambda costs: costs.inference.eval_flops_per_batch,
)
LATENCY = Constraint(
    name="latency",
    unit=SECONDS,
    noun="seconds of latency",
    description="seconds in which the trial's device evaluates one sequence (the median of 5)",
    compute=lambda trainer: trainer.measure_latency(trainer.dataset.valid),
    measured=True,
    worst=1.0,
)
CONSTRAINTS = {one.name: one for one in (PARAMS, FLOPS_PER_STEP, MEMORY, INFERENCE_FLOPS, LATENCY)}
COUNTED = [name for name, one in CONSTRAINTS.items() if not one.measured]
"""Names of those that are known before anything is trained."""
MEASURED = [name for name, one in CONSTRAINTS.items() if one.measured]

COUNTED_TRAINING: dict[str, Callable[[Any], Any]] = {
    "batch_size": lambda size: size,
    "accumulation": lambda batches: batches,
    "ema": lambda decay: decay > 0,
}
"""Training fields that counts depend on, and what of each: equal results cost the same."""


def compute_costs(source: Any, names: Iterable[str]) -> dict[str, float]:
    """Return the costs of these names.

    Args:
        source: a `CostModel` for counted constraints, a `Trainer` for measured ones.

    Example:
        >>> from hrm.models.registry import get_family
        >>> puzzle = get_family("puzzle")
        >>> model = puzzle.config_class(hidden_size=64, num_heads=4)
        >>> compute_costs(CostModel(puzzle, model, TrainConfig(batch_size=8)), ["params", "memory"])
        {'params': 525890, 'memory': 30701316}
    """
    return {name: CONSTRAINTS[name].compute(source) for name in names}
