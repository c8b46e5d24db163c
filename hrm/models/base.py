"""The interface between a trainer and a model of any family."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

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


TensorBatch = dict[str, Tensor]
"""A `hrm.data.base.Batch` on the model's device."""

Carry = Any
"""State handed from one training step to the next: nested dicts of tensors, opaque to the trainer."""


@dataclass(frozen=True)
class SegmentAnswer:
    """The answer that a model would give after one segment."""

    tokens: Tensor
    """Its answers, integers [B, S]."""
    confidence: Tensor
    """Its probability of each answer, float32 [B, S], 0 to 1."""
    halting: Tensor
    """The probability that it would stop here, float32 [B], 0 to 1."""


class Model(nn.Module, ABC):
    """A model that trains by segments, with a carry from one to the next.

    Attributes:
        executed_flops: exact FLOPs of the last `train_segment` with its backward, or of the last
            `evaluate_batch`, where they depend on the data; None where the family's `Counts` hold them.
    """

    executed_flops: int | None = None

    @abstractmethod
    def initial_carry(self, batch: TensorBatch) -> Carry:
        """Return the carry before the first step: every slot waits for new data."""

    def get_loss_weight(self, batch: TensorBatch) -> int | Tensor:
        """Return what the loss of the batch is divided by before the backward, by default its sequences.

        Batches accumulated in one step are divided by the sum of their weights.
        """
        return len(batch["inputs"])

    @abstractmethod
    def train_segment(
        self, carry: Carry, batch: TensorBatch, generator: torch.Generator | None = None
    ) -> tuple[Carry, Tensor, dict[str, Tensor]]:
        """Run one training segment.

        Args:
            carry: from the last segment, or `initial_carry`.
            batch: fresh examples; only halted slots take theirs.
            generator: source of exploration on the model's device; None is torch's global one.

        Returns:
            The new carry (detached); the loss to differentiate, summed over the batch (divide by
            `get_loss_weight` before the backward); and 0-d metric tensors, sums with their `count`: of a puzzle
            model over halted sequences, of a text model over tokens.
        """

    @abstractmethod
    def evaluate_batch(self, batch: TensorBatch, blank_token: int | None = None) -> dict[str, Tensor]:
        """Return sums of metrics over a batch, without gradient, exploration or dropout.

        Args:
            batch: examples with labels.
            blank_token: for a task with cells to fill in, the token that marks them: `blank_accuracy` is measured
                on these cells.

        Returns:
            0-d tensors: `count` (sequences or tokens), `loss`, and others that `compute_metrics` averages.
        """

    def compute_metrics(self, totals: Mapping[str, float]) -> Metrics:
        """Return metrics from the sums of `evaluate_batch` over a whole split, by default means over `count`."""
        return average_by_count(totals)

    def rename_to_official(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a `state_dict` of the model under the names of the family's reference implementation.

        A family without such an implementation keeps its own names.
        """
        return dict(state)

    def answer_segments(self, batch: TensorBatch) -> list[SegmentAnswer]:
        """Return the answers after each segment of an evaluation; none for a model that answers only once."""
        return []

    @abstractmethod
    def build_optimizers(self, train: Any) -> list[torch.optim.Optimizer]:
        """Return the optimizers in the order of their steps; each group holds its peak rate as `peak_lr`.

        Args:
            train: a `hrm.config.train_config.TrainConfig`.
        """
