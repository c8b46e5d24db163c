"""Divergence: the loss or a weight of a run is no longer finite."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Diverged(Exception):  # noqa: N818 - a result of a run, not a fault of the program
    """The loss or a weight is no longer finite.

    Args:
        step: the first bad optimizer step, counted from 1, also on a GPU, where the loss is read at validations only.
        reason: what was found, in a few words.
    """

    def __init__(self, step: int, reason: str) -> None:
        super().__init__(step, reason)
        self.step, self.reason = step, reason

    def __str__(self) -> str:
        return f"{self.reason} at step {self.step}"


class DivergenceDetector:
    """Watches losses and weights. On a CPU it checks each loss at once; on a device it only stores the first bad step
    until `check`, because reading a loss would wait for all queued work.

    Args:
        model: on its device.

    Attributes:
        bad_step: the first step with a bad loss, 0 while there is none; int32, on the model's device.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._device = next(model.parameters()).device
        self.bad_step = torch.zeros((), dtype=torch.int32, device=self._device)

    def watch(self, loss: Tensor, step: int) -> None:
        """Take in the loss (0-d) of optimizer step `step`, counted from 1.

        Raises:
            Diverged: it is not finite; on a CPU only.
        """
        if self._device.type != "cpu":
            first = (self.bad_step == 0) & ~torch.isfinite(loss)
            self.bad_step = torch.where(first, step, self.bad_step)
        elif not math.isfinite(loss.item()):
            # A weight that the last step spoiled shows in this step's loss: name the right step.
            self._check_weights(step - 1)
            raise Diverged(step, f"loss is {loss.item()}")

    def check(self, step: int) -> None:
        """Check that all losses up to `step` were finite, and that all weights are now.

        Raises:
            Diverged: they are not.
        """
        bad_step = int(self.bad_step)
        if bad_step:
            raise Diverged(bad_step, "loss is not finite")
        self._check_weights(step)

    def _check_weights(self, step: int) -> None:
        tensors = [tensor for tensor in self._model.state_dict().values() if tensor.is_floating_point()]
        if not bool(torch.stack([torch.isfinite(tensor).all() for tensor in tensors]).all()):
            raise Diverged(step, "weights are not finite")
