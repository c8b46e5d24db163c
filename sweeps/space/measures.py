"""What a budget can bound, and how it is counted: for one model, or over arrays of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hrm.families import Family
from hrm.train_config import TrainConfig
from sweeps.quantities import BYTES, FLOPS, PARAMETERS, Unit
from sweeps.space.rows import row_keys

Figures = Mapping[str, int]
"""A model's figure for each measure, by name."""


@dataclass(frozen=True)
class Measure:
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


PARAMS = Measure("params", PARAMETERS, "parameters", "smallest", "largest")
FLOPS_PER_STEP = Measure("flops_per_step", FLOPS, "FLOPs per step", "cheapest", "costliest")
MEMORY = Measure("memory", BYTES, "bytes of memory", "leanest", "largest")
INFERENCE_FLOPS = Measure("inference_flops", FLOPS, "FLOPs to evaluate a sequence", "cheapest", "costliest")
MEASURES = (PARAMS, FLOPS_PER_STEP, MEMORY, INFERENCE_FLOPS)

COUNTED_TRAINING: dict[str, Callable[[Any], Any]] = {
    "batch_size": lambda size: size,
    "accumulation": lambda batches: batches,
    "ema": lambda decay: decay > 0,
}
"""Training fields that counts depend on, and what of each: equal results are counted together."""


class Meter:
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
        counts = self._family.counts(model, train.batch_size, train)
        return {
            PARAMS.name: counts.params,
            FLOPS_PER_STEP.name: counts.flops_per_step,
            MEMORY.name: counts.total_bytes,
            INFERENCE_FLOPS.name: self._family.counts(model, 1, train).eval_flops_per_batch,
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
