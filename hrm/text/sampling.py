"""How the next token is chosen. Needs no torch to be asked for: the tensors bring their own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hrm.rules import at_least, check, each

if TYPE_CHECKING:  # takes seconds, and a door's help need not wait for it
    import torch
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the next token is chosen among the logits; greedy by default.

    Raises:
        ConfigError: a value is out of range.
    """

    temperature: float = 0.0
    """0 takes the most likely token; 1 draws as likely as the model has it."""
    top_k: int | None = None
    """Draw among that many most likely tokens only."""
    top_p: float = 1.0
    """Draw among the fewest tokens that are that likely together."""

    def __post_init__(self) -> None:
        check(self, RULES)

    def draw(self, logits: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Tokens [B] from logits [B, V]."""
        if self.temperature == 0:
            return logits.argmax(-1)
        chances = self.chances(logits)
        return chances.multinomial(1, generator=generator).squeeze(-1)

    def chances(self, logits: Tensor) -> Tensor:
        """How likely each token is to be drawn, float32 [B, V]; `temperature` must be above 0."""
        logits = logits.float() / self.temperature
        order = logits.argsort(dim=-1, descending=True)
        ranked = logits.gather(-1, order)
        if self.top_k is not None:
            ranked[..., self.top_k :] = -math.inf
        before = ranked.softmax(-1).cumsum(-1) - ranked.softmax(-1)
        # The first token stays whatever top_p is: nothing is more likely before it.
        ranked = ranked.masked_fill(before >= self.top_p, -math.inf)
        return logits.scatter(-1, order, ranked.softmax(-1))


RULES = (
    *at_least(0, "temperature"),
    *at_least(1, "top_k", null=""),
    *each(["top_p"], lambda value: 0 < value <= 1, "must lie in 0..1, 0 excluded"),
)
