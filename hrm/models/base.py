"""The interface between a trainer and a model of any family."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hrm.models.metrics import Metrics, average_by_count

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
