"""Continuing a prompt, token by token."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from hrm.config.errors import ConfigError
from hrm.config.validation import at_least, check, each
from hrm.models.text.layers import Cache
from hrm.models.text.model import TextHRM

if TYPE_CHECKING:
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


@torch.no_grad()
def generate(
    model: TextHRM,
    prompt: Tensor,
    max_new_tokens: int,
    sampling: Sampling | None = None,
    real: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Continuations of prompts, int64 [B, max_new_tokens].

    Args:
        prompt: tokens [B, S]; shorter ones padded on the left.
        max_new_tokens: 0 or more; with the prompt at most `seq_len`.
        sampling: None is greedy.
        real: which tokens of the prompts are no padding, bool [B, S]; None is all.
        generator: on the model's device; None is torch's global one.

    Raises:
        ConfigError: there is no prompt, its last tokens are padding, or the context is too short.
    """
    sampling = sampling or Sampling()
    length, room = prompt.shape[1], model.config.seq_len
    _require("prompt", length, length >= 1, "must hold at least one token")
    _require("max_new_tokens", max_new_tokens, 0 <= max_new_tokens <= room - length,
             f"must lie in 0..{room - length}: the context is {room} tokens, the prompt {length}")  # fmt: skip
    if real is not None:
        _require("real", "False at the end", bool(real[:, -1].all()), "prompts are padded on the left")
    cache, tokens = Cache(), prompt
    made = torch.empty((len(prompt), 0), dtype=torch.int64, device=prompt.device)
    for _ in range(max_new_tokens):
        logits, _traces = model(tokens, real, cache)
        tokens = sampling.draw(logits[:, -1], generator).unsqueeze(1)
        made = torch.cat((made, tokens), dim=1)
        real = None
    return made


def _require(name: str, given: object, holds: bool, rule: str) -> None:
    if not holds:
        raise ConfigError(name, given, rule)
