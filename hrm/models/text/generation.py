"""Continuing prompts token by token.

Shapes: B prompts, S tokens, V vocabulary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hrm.config.errors import ConfigError
from hrm.config.validation import at_least, check, each
from hrm.models.text.layers import KeyValueCache
from hrm.models.text.model import TextHRM


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the next token is chosen among the logits; greedy by default.

    Raises:
        ConfigError: a value is out of range.
    """

    temperature: float = 0.0
    """0 takes the most likely token; 1 draws with the model's own probabilities."""
    top_k: int | None = None
    """Draw among that many most likely tokens only."""
    top_p: float = 1.0
    """Draw among the fewest tokens that have this probability together."""

    def __post_init__(self) -> None:
        check(self, RULES)

    def draw(self, logits: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Choose tokens [B] by their logits [B, V]."""
        if self.temperature == 0:
            return logits.argmax(-1)
        return self.compute_probabilities(logits).multinomial(1, generator=generator).squeeze(-1)

    def compute_probabilities(self, logits: Tensor) -> Tensor:
        """Return the probability with which each token is drawn, float32 [B, V]; needs `temperature` above 0."""
        logits = logits.float() / self.temperature
        order = logits.argsort(dim=-1, descending=True)
        ranked = logits.gather(-1, order)
        if self.top_k is not None:
            ranked[..., self.top_k :] = -math.inf
        # Probability of the more likely tokens: 0 for the first, which therefore stays whatever top_p is.
        before = ranked.softmax(-1).cumsum(-1) - ranked.softmax(-1)
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
    """Return continuations of prompts, int64 [B, max_new_tokens].

    Args:
        model: in evaluation mode.
        prompt: tokens [B, S]; shorter ones padded on the left.
        max_new_tokens: 0 or more; with the prompt at most `seq_len`.
        sampling: None is greedy.
        real: which tokens of the prompts are not padding, bool [B, S]; None is all.
        generator: on the model's device; None is torch's global one.

    Raises:
        ConfigError: there is no prompt, its last tokens are padding, or the context is too short.
    """
    length, context = prompt.shape[1], model.config.seq_len
    if length == 0:
        raise ConfigError("prompt", length, "must hold at least one token")
    if not 0 <= max_new_tokens <= context - length:
        rule = f"must lie in 0..{context - length}: the context is {context} tokens, the prompt {length}"
        raise ConfigError("max_new_tokens", max_new_tokens, rule)
    if real is not None and not real[:, -1].all():
        raise ConfigError("real", "False at the end", "prompts are padded on the left")
    sampling, cache, tokens = sampling or Sampling(), KeyValueCache(), prompt
    continuation = torch.empty((len(prompt), 0), dtype=torch.int64, device=prompt.device)
    for _ in range(max_new_tokens):
        logits, _traces = model(tokens, real, cache)
        tokens = sampling.draw(logits[:, -1], generator).unsqueeze(1)
        continuation = torch.cat((continuation, tokens), dim=1)
        real = None  # all new tokens are
    return continuation
