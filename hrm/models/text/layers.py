"""One layer of a text HRM: an H block and an L block that take turns, a Q network and a halting head.

Shapes: B sequences, S tokens, d width. Blocks are pre-norm; the state that one makes is normalised to RMS 1, so
that states stay bounded however many steps and layers there are, and never drown the input added to them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from hrm.models.layers import (
    FIRST_Q_VALUE,
    AffineHead,
    Casting,
    Linear,
    Rotation,
    SwiGLU,
    cast_once,
    h_update_schedule,
    rotate,
)
from hrm.models.text.config import TextHRMConfig
from hrm.models.text.halting import Halting, Trace


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


class RMSNorm(Casting):
    """x / RMS(x) * weight, weights starting at 1 (arXiv 1910.07467)."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        weight = self.lent("weight")
        return F.rms_norm(x, weight.shape, weight, self.eps)


class CausalAttention(nn.Module):
    """Multi-head self-attention over the tokens up to each token's own."""

    def __init__(self, config: TextHRMConfig) -> None:
        super().__init__()
        self.num_heads, self.head_size = config.n_head, config.head_size
        self.qkv_proj = Linear(config.n_embd, 3 * config.n_embd)
        self.o_proj = Linear(config.n_embd, config.n_embd, residual_gain(config))

    def forward(self, x: Tensor, run: Pass) -> Tensor:
        qkv = self.qkv_proj(x).unflatten(-1, (3 * self.num_heads, self.head_size))
        query_key, value = qkv.split((2 * self.num_heads, self.num_heads), dim=2)
        # On a CPU fused attention is slow in bfloat16, and halting must not depend on the kernel.
        dtype = torch.float32 if x.device.type == "cpu" else x.dtype
        query, key = rotate(query_key, run.rotation).to(dtype).transpose(1, 2).chunk(2, dim=1)
        value = value.to(dtype).transpose(1, 2)
        if run.cache is not None:
            key, value = run.cache.extend(key, value)
        mixed = F.scaled_dot_product_attention(
            query, key, value, attn_mask=run.visible, is_causal=run.visible is None
        )
        return self.o_proj(mixed.transpose(1, 2).flatten(2).to(x.dtype))


class Block(nn.Module):
    """Attention, then SwiGLU, each on its normalised input and added to it (pre-norm)."""

    def __init__(self, config: TextHRMConfig) -> None:
        super().__init__()
        self.attn_norm = RMSNorm(config.n_embd, config.rms_norm_eps)
        self.self_attn = CausalAttention(config)
        self.mlp_norm = RMSNorm(config.n_embd, config.rms_norm_eps)
        self.mlp = SwiGLU(config.n_embd, config.inner_size, residual_gain(config))

    def forward(self, x: Tensor, run: Pass) -> Tensor:
        x = x + run.dropout(self.self_attn(self.attn_norm(x), run))
        return x + run.dropout(self.mlp(self.mlp_norm(x)))


def residual_gain(config: TextHRMConfig) -> float:
    """Scale of what a sublayer adds at first: the sum over all layers is of the size of the stream."""
    return (2 * config.n_layers) ** -0.5


class QNetwork(nn.Module):
    """Values of continuing and of halting, float32 [B, S, 2], as logits; both start at -5."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden = BiasedLinear(width, width // 4)
        self.head = AffineHead(width // 4, 2, FIRST_Q_VALUE)

    def forward(self, z_H: Tensor) -> Tensor:
        return self.head(F.relu(self.hidden(z_H)))


class BiasedLinear(Linear):
    """y = x W^T + b, b starting at 0."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self.bias = nn.Parameter(torch.zeros(out_features))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.lent("weight"), self.lent("bias"))


class Layer(nn.Module):
    """One layer: up to T steps of L and H over its input, token by token until each has halted."""

    def __init__(self, config: TextHRMConfig) -> None:
        super().__init__()
        self.config = config
        self.schedule = h_update_schedule(config.halt_max_steps, config.effective_period)
        self.H_block, self.L_block = Block(config), Block(config)
        self.q_network = QNetwork(config.n_embd)
        self.halt_head = AffineHead(config.n_embd, 1, config.halt_bias_init)

    def forward(self, x: Tensor, run: Pass) -> tuple[Tensor, Trace]:
        """The layer's output [B, S, d] from its input [B, S, d], and how its tokens halted.

        Both states start from the input, which every L step sees again.
        """
        given = normalised(x, self.config)
        z_H = z_L = given
        halting = Halting(self.config, given)
        for step, updates_H in enumerate(self.schedule, 1):
            z_L = halting.keep(z_L, self._state(self.L_block, z_L + z_H + given, run))
            if not updates_H:
                continue
            z_H = halting.keep(z_H, self._state(self.H_block, z_H + z_L, run))
            if halting.update(step, z_H, self.halt_head, self.q_network) and run.cache is None:
                break
        return halting.output, halting.trace

    def _state(self, block: Block, x: Tensor, run: Pass) -> Tensor:
        """The state that a block makes of x, with RMS 1; both [B, S, d]."""
        if not (self.config.gradient_checkpointing and torch.is_grad_enabled()):
            return normalised(block(x, run), self.config)
        again = self._as_before(block, x.dtype, run, run.dropout.state)
        made: Tensor = checkpoint(
            block,
            x,
            run,
            use_reentrant=False,
            preserve_rng_state=run.dropout.draws_globally,
            context_fn=lambda: (nullcontext(), again),
        )
        return normalised(made, self.config)

    @contextmanager
    def _as_before(self, block: Block, dtype: torch.dtype, run: Pass, state: Tensor | None) -> Iterator[None]:
        """Within, `block` computes again what it did when dropout's own generator was in `state`."""
        with cast_once(block, dtype), run.dropout.from_state(state):
            yield


def normalised(x: Tensor, config: TextHRMConfig) -> Tensor:
    """x with RMS 1 in each token; no weights."""
    return F.rms_norm(x, (config.n_embd,), eps=config.rms_norm_eps)
