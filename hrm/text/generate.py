"""Continuing a prompt, token by token."""

from __future__ import annotations

import torch
from torch import Tensor

from hrm.errors import ConfigError
from hrm.text.model import TextHRM
from hrm.text.passing import Cache
from hrm.text.sampling import Sampling


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
