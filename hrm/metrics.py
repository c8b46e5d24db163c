"""From a model's sums over sequences to means: of training steps, and of a whole split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

Metrics = dict[str, float | None]
"""Name to value; None where there was nothing to measure."""

COUNT = "count"
"""The metric that holds the number of sequences behind the others' sums."""


class RunningMeans:
    """Means of training metrics since the last `take`, summed on the model's device without waiting for it.

    Losses are means over all sequences of the batches; other metrics over the sequences that halted, as the
    official trainer has it (its `train_batch`).

    Args:
        batch_size: sequences of each step.
    """

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size
        self._steps = 0
        self._sums: dict[str, Tensor] = {}

    def add(self, metrics: dict[str, Tensor]) -> None:
        """Adds one step's sums, 0-d tensors."""
        self._steps += 1
        for name, value in metrics.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value

    def take(self) -> Metrics:
        """The means since the last call; starts anew."""
        values = _to_host(self._sums)
        sequences = {name: self._batch_size * self._steps for name in values if name.endswith("loss")}
        halted = values.pop(COUNT, 0)
        self._steps, self._sums = 0, {}
        return {name: _mean(value, sequences.get(name, halted)) for name, value in values.items()}

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self._steps, "sums": dict(self._sums)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._steps, self._sums = state["steps"], state["sums"]


def mean_over_sequences(batches: Sequence[dict[str, Tensor]]) -> Metrics:
    """Means over all sequences of several batches.

    Args:
        batches: each batch's sums over sequences, 0-d tensors, with their `count`.
    """
    hosts = [_to_host(sums) for sums in batches]
    totals = {name: sum(host[name] for host in hosts) for host in hosts[:1] for name in host}
    count = totals.pop(COUNT, 0)
    return {name: _mean(total, count) for name, total in totals.items()}


def _to_host(sums: dict[str, Tensor]) -> dict[str, float]:
    # One transfer for all: each .item() would wait for the device again.
    if not sums:
        return {}
    return dict(zip(sums, torch.stack([value.float() for value in sums.values()]).tolist()))


def _mean(total: float, count: float) -> float | None:
    return total / count if count else None
