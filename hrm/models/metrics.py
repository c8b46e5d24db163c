"""Means of a model's summed metrics: over training steps, and over a whole split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

Metrics = dict[str, float | None]
"""Name to value; None where there was nothing to measure."""

COUNT = "count"
"""The metric that holds the number of sequences, or tokens, behind the sums of the others."""

LOSS_COUNT = "loss_count"
"""The metric that holds what training losses are averaged over, where that is not the sequences of the batches."""


class RunningMeans:
    """Means of training metrics since the last `take`, summed on the model's device without waiting for it.

    Losses are averaged over all sequences of the batches, or over `loss_count`; other metrics over `count`, which
    for a puzzle model is the number of sequences that halted, as in the official trainer (its `train_batch`).

    Args:
        batch_size: sequences of each step.
    """

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size
        self._steps = 0
        self._sums: dict[str, Tensor] = {}

    def add(self, metrics: dict[str, Tensor]) -> None:
        """Add the sums of one step, 0-d tensors."""
        self._steps += 1
        for name, value in metrics.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value

    def take(self) -> Metrics:
        """Return the means since the last call and start again from nothing."""
        values = _copy_to_host(self._sums)
        loss_count = values.pop(LOSS_COUNT, self._batch_size * self._steps)
        count = values.pop(COUNT, 0)
        self._steps, self._sums = 0, {}
        return {
            name: _divide(value, loss_count if name.endswith("loss") else count)
            for name, value in values.items()
        }

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self._steps, "sums": dict(self._sums)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._steps, self._sums = state["steps"], state["sums"]


def sum_batches(batches: Sequence[dict[str, Tensor]]) -> dict[str, float]:
    """Add up the sums of several batches, 0-d tensors."""
    hosts = [_copy_to_host(sums) for sums in batches]
    return {name: sum(host[name] for host in hosts) for host in hosts[:1] for name in host}


def average_by_count(sums: Mapping[str, float]) -> Metrics:
    """Divide sums by their `count`."""
    count = sums.get(COUNT, 0)
    return {name: _divide(total, count) for name, total in sums.items() if name != COUNT}


def _copy_to_host(sums: dict[str, Tensor]) -> dict[str, float]:
    # One transfer for all: each .item() would wait for the device again.
    if not sums:
        return {}
    return dict(zip(sums, torch.stack([value.float() for value in sums.values()]).tolist()))


def _divide(total: float, count: float) -> float | None:
    return total / count if count else None
