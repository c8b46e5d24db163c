"""A run that is lost: how it is noticed that the loss or a weight is no longer finite, and in which step."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Diverged(Exception):  # noqa: N818 - a result of a run, not a fault of the program
    """The loss or a weight is no longer finite.

    Args:
        step: the first bad optimizer step, counted from 1. On a GPU the loss is read at reports only, but
            the step is still the first bad one.
        reason: what was found, in a few words.
    """

    def __init__(self, step: int, reason: str) -> None:
        super().__init__(step, reason)
        self.step, self.reason = step, reason

    def __str__(self) -> str:
        return f"{self.reason} at step {self.step}"


class FiniteWatch:
    """Looks at losses and weights: on a CPU at each loss at once, on a device it only notes the first bad step
    down until `check`, for a look would empty the device's queue.

    Args:
        model: on its device.

    Attributes:
        bad_step: the first step with a bad loss, 0 while there is none; int32, on the model's device.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._device = next(model.parameters()).device
        self.bad_step = torch.zeros((), dtype=torch.int32, device=self._device)

    def see(self, loss: Tensor, step: int) -> None:
        """Looks at a loss (0-d) of optimizer step `step`, counted from 1.

        Raises:
            Diverged: on a CPU, where it is not finite.
        """
        if self._device.type != "cpu":
            first = (self.bad_step == 0) & ~torch.isfinite(loss)
            self.bad_step = torch.where(first, step, self.bad_step)
        elif not math.isfinite(loss.item()):
            # A weight that the last step spoiled shows in this step's loss: blame the right one.
            self._check_weights(step - 1)
            raise Diverged(step, f"loss is {loss.item()}")

    def check(self, step: int) -> None:
        """Makes sure that all was finite up to `step`, the weights as they are now among it.

        Raises:
            Diverged: it was not.
        """
        bad_step = int(self.bad_step)
        if bad_step:
            raise Diverged(bad_step, "loss is not finite")
        self._check_weights(step)

    def _check_weights(self, step: int) -> None:
        tensors = [tensor for tensor in self._model.state_dict().values() if tensor.is_floating_point()]
        if not bool(torch.stack([torch.isfinite(tensor).all() for tensor in tensors]).all()):
            raise Diverged(step, "weights are not finite")
