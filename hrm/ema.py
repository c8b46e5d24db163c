"""An exponential moving average of a model's weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class EMA:
    """The average of a model's parameters over the optimizer steps, recent ones weighing more.

    Step t of n weighs decay^(n - t), over the sum of all weights: the initial weights never enter, so that
    short runs are not held back by them. Buffers, puzzle embeddings among them, are not averaged.

    Args:
        model: its parameters must not be replaced afterwards, so move it to its device first.
        decay: in 0..1, 1 excluded.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.parameters: list[Tensor] = list(model.parameters())
        self.averages = [p.detach().clone() for p in self.parameters]
        self.decay = decay
        self.num_updates = 0

    @torch.no_grad()
    def update(self) -> None:
        """Takes in the weights after an optimizer step."""
        self.num_updates += 1
        share = (1 - self.decay) / (1 - self.decay**self.num_updates)
        torch._foreach_lerp_(self.averages, self.parameters, share)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within, the model computes with the averages; before the first update with its own weights."""
        with torch.no_grad():
            trained = [p.clone() for p in self.parameters]
            torch._foreach_copy_(self.parameters, self.averages)
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(self.parameters, trained)

    def state_dict(self) -> dict[str, Any]:
        return {"averages": self.averages, "num_updates": self.num_updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        with torch.no_grad():
            torch._foreach_copy_(self.averages, state["averages"])
        self.num_updates = state["num_updates"]
