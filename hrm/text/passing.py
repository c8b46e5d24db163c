"""What all blocks of one pass over a batch share: positions, which tokens see which, dropout, the cache."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from hrm.layers import Rotation


@dataclass(frozen=True)
class Dropout:
    """Drops a `rate` of numbers and scales the others up, from a generator of the run's own.

    Args:
        rate: 0 is off.
        generator: on the tensors' device; None is torch's global one there.
    """

    rate: float = 0.0
    generator: torch.Generator | None = None

    def __call__(self, x: Tensor) -> Tensor:
        if self.rate == 0:
            return x
        kept = torch.empty(x.shape, dtype=torch.bool, device=x.device)
        kept.bernoulli_(1 - self.rate, generator=self.generator)
        return x * kept / (1 - self.rate)

    @property
    def draws_globally(self) -> bool:
        """Whether it moves torch's global generator."""
        return self.rate > 0 and self.generator is None

    @contextmanager
    def from_state(self, state: Tensor | None) -> Iterator[None]:
        """Within, draws follow `state` of the generator; afterwards go on as if there had been none."""
        if self.generator is None or state is None:
            yield
            return
        now = self.generator.get_state()
        self.generator.set_state(state)
        try:
            yield
        finally:
            self.generator.set_state(now)

    @property
    def state(self) -> Tensor | None:
        """The state of the own generator; None where there is none."""
        return None if self.generator is None else self.generator.get_state()


class Cache:
    """Keys and values of the tokens seen so far, one entry for each block call of a pass, in their order.

    A pass with a cache makes all steps of each layer: a token that comes later may need them. Halted tokens
    keep their state, so that the steps that they would not have made change nothing.

    Attributes:
        real: which cached tokens are no padding, bool [B, K]; None before the first pass.
    """

    def __init__(self) -> None:
        self._entries: list[tuple[Tensor, Tensor]] = []
        self._next = 0
        self.real: Tensor | None = None

    def __len__(self) -> int:
        return 0 if self.real is None else self.real.shape[1]

    def begin(self, real: Tensor) -> None:
        """Starts a pass over new tokens; `real` is bool [B, S]."""
        self.real = real if self.real is None else torch.cat((self.real, real), dim=1)
        self._next = 0

    def extend(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """All keys and values [B, heads, K + S, d] of the block call whose turn it is, with the new ones."""
        if self._next < len(self._entries):
            past_key, past_value = self._entries[self._next]
            key, value = torch.cat((past_key, key), dim=2), torch.cat((past_value, value), dim=2)
            self._entries[self._next] = (key, value)
        else:
            self._entries.append((key, value))
        self._next += 1
        return key, value


@dataclass(frozen=True)
class Pass:
    """One pass over a batch of S new tokens.

    Args:
        rotation: RoPE of the new tokens' positions.
        visible: which tokens each new token sees, bool [B, 1, S, K]; None is all up to itself.
        dropout: off in evaluation.
        cache: of the tokens before; None where there are none.
    """

    rotation: Rotation
    visible: Tensor | None = None
    dropout: Dropout = field(default_factory=Dropout)
    cache: Cache | None = None


def visibility(real: Tensor, num_new: int) -> Tensor:
    """Which of K tokens each of the last `num_new` sees: real ones up to itself, and itself.

    Args:
        real: which tokens are no padding, bool [B, K].

    Returns:
        bool [B, 1, num_new, K]. Padding sees itself, so that no row of the softmax is empty.
    """
    num_all = real.shape[1]
    query = torch.arange(num_all - num_new, num_all, device=real.device).unsqueeze(1)
    key = torch.arange(num_all, device=real.device)
    return ((key < query) & real[:, None, None, :]) | (key == query)


def positions(real: Tensor) -> Tensor:
    """Positions of tokens, padding not counted: int64 [B, K] from bool [B, K]; padding before them is at 0."""
    return (real.cumsum(1) - 1).clamp(min=0)
