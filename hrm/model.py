"""What the trainer asks of a model, whatever its family."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

TensorBatch = dict[str, Tensor]
"""A `hrm.tasks.base.Batch` on the model's device."""

Carry = Any
"""State handed from one training step to the next: nested dicts of tensors, opaque to the trainer."""


class Model(nn.Module, ABC):
    """A model that trains by segments: one optimizer step each, with a carry over batches."""

    @abstractmethod
    def initial_carry(self, batch: TensorBatch) -> Carry:
        """The carry before the first step: every slot waits for new data."""

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
            The new carry (detached); the loss to differentiate, summed over the batch (divide by the batch
            size before the backward); and 0-d metric tensors, sums over halted sequences with their `count`.
        """

    @abstractmethod
    def evaluate_batch(self, batch: TensorBatch, blank_token: int | None = None) -> dict[str, Tensor]:
        """Sums of metrics over a batch after `halt_max_steps` segments; no gradient, no exploration.

        Returns:
            0-d tensors: `count` sequences, `exact_accuracy`, `cell_accuracy` (mean over a sequence's labels),
            `loss` (mean over a sequence's labels), `q_halt_accuracy`; and, with a `blank_token`,
            `blank_accuracy` (mean over a sequence's blank cells). Each is a sum over sequences.
        """

    @abstractmethod
    def optimizers(self, train: Any) -> list[torch.optim.Optimizer]:
        """The optimizers, in the order of their steps; each param group holds its peak rate as `peak_lr`.

        Args:
            train: the `hrm.train_config.TrainConfig`.
        """
