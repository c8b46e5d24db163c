"""What the trainer asks of a model, whatever its family."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hrm.models.metrics import Metrics, means_over_count

TensorBatch = dict[str, Tensor]
"""A `hrm.data.base.Batch` on the model's device."""

Carry = Any
"""State handed from one training step to the next: nested dicts of tensors, opaque to the trainer."""


@dataclass(frozen=True)
class SegmentAnswer:
    """What a model would answer after one segment."""

    tokens: Tensor
    """Its answers, integers [B, S]."""
    confidence: Tensor
    """The probability that it gives each, float32 [B, S], 0 to 1."""
    halting: Tensor
    """The chance that it would stop here, float32 [B], 0 to 1."""


class Model(nn.Module, ABC):
    """A model that trains by segments, with a carry from one to the next.

    Attributes:
        executed_flops: FLOPs of the last `train_segment` with its backward, or of the last `evaluate_batch`,
            exact, where the data decide them; None where the family's `Counts` tell them.
    """

    executed_flops: int | None = None

    @abstractmethod
    def initial_carry(self, batch: TensorBatch) -> Carry:
        """The carry before the first step: every slot waits for new data."""

    def loss_weight(self, batch: TensorBatch) -> int | Tensor:
        """What the batch's loss is divided by before the backward: its sequences, if no model says otherwise.

        Batches that are accumulated in one step are divided by the sum of their weights.
        """
        return len(batch["inputs"])

    @abstractmethod
    def train_segment(
        self, carry: Carry, batch: TensorBatch, generator: torch.Generator | None = None
    ) -> tuple[Carry, Tensor, dict[str, Tensor]]:
        """One training segment.

        Args:
            carry: from the last segment, or `initial_carry`.
            batch: fresh examples; only halted slots take theirs.
            generator: source of exploration on the model's device; None is torch's global one.

        Returns:
            The new carry (detached); the loss to differentiate, summed over the batch (divide by
            `loss_weight` before the backward); and 0-d metric tensors, sums with their `count`: of a puzzle
            model over halted sequences, of a text model over tokens.
        """

    @abstractmethod
    def evaluate_batch(self, batch: TensorBatch, blank_token: int | None = None) -> dict[str, Tensor]:
        """Sums of metrics over a batch; no gradient, no exploration, no dropout.

        Args:
            blank_token: of a task whose cells are to be filled in: `blank_accuracy` looks at these cells.

        Returns:
            0-d tensors: `count` (sequences or tokens), `loss`, and others that `metrics` makes means of.
        """

    def metrics(self, totals: Mapping[str, float]) -> Metrics:
        """From the sums of `evaluate_batch`, added up over a whole split, to metrics: means over `count`."""
        return means_over_count(totals)

    def official_names(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A `state_dict` of the model under the names of the family's reference implementation, where that has
        the same parts; under its own names otherwise."""
        return dict(state)

    def segment_answers(self, batch: TensorBatch) -> list[SegmentAnswer]:
        """The answers after each segment of an evaluation, in order; none of a model that does not answer so."""
        return []

    @abstractmethod
    def optimizers(self, train: Any) -> list[torch.optim.Optimizer]:
        """The optimizers, in the order of their steps; each param group holds its peak rate as `peak_lr`.

        Args:
            train: the `hrm.config.train_config.TrainConfig`.
        """
