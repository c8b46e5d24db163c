"""What a search optimises: one number made of a job's reports so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hrm.errors import UnknownNameError
from sweeps.jobs import Report

Direction = Literal["maximize", "minimize"]

DIRECTIONS: dict[str, Direction] = {
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
        return cls(name, metric, DIRECTIONS[metric.removeprefix("valid/")], name.endswith(AUC))

    @property
    def test_metric(self) -> str:
        """What the verdict compares: the same metric on the test split."""
        return f"test/{self.metric.removeprefix('valid/')}"

    def value(self, reports: Sequence[Report]) -> float | None:
        """The objective after these reports; None where a number it needs is missing or not finite."""
        wanted = reports if self.over_curve else reports[-1:]
        values = [report.metrics.get(self.metric) for report in wanted]
        numbers = [value for value in values if value is not None and math.isfinite(value)]
        if not values or len(numbers) < len(values):
            return None
        return math.fsum(numbers) / len(numbers)

    def best_first(self, value: float) -> float:
        """A sort key: the better of two values has the smaller one."""
        return -value if self.direction == "maximize" else value


LATENCY = Objective("latency", "valid/latency", "minimize", over_curve=False)
"""Seconds in which the device evaluates one sequence; one of several objectives, never the only one."""


def objective_names() -> list[str]:
    """Every objective, by name."""
    return [f"valid/{metric}{suffix}" for metric in DIRECTIONS for suffix in ("", AUC)]
