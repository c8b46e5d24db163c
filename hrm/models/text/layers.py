"""One layer of a text HRM: an H block and an L block that take turns, a Q network and a halting head.

Shapes: B sequences, S tokens, d width, K cached and new tokens. Blocks are pre-norm; the state that a block returns
is normalized to RMS 1, so that states stay bounded over all steps and layers, and never drown the input that is added
to them.
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
    INITIAL_Q_LOGIT,
    AffineHead,
    CastableLayer,
    Linear,
    Rotation,
    SelfAttention,
    SwiGLU,
    cast_weights,
    plan_h_updates,
)
from hrm.models.text.config import TextHRMConfig
from hrm.models.text.halting import HaltingState, HaltingTrace


@dataclass(frozen=True)
class Dropout:
    """Drops a fraction `rate` of the numbers and scales the others up, with a generator of the run's own.

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
    def uses_global_generator(self) -> bool:
        return self.rate > 0 and self.generator is None

    @property
    def state(self) -> Tensor | None:
        """The state of the own generator; None where there is none."""
        return None if self.generator is None else self.generator.get_state()

    @contextmanager
    def replay(self, state: Tensor | None) -> Iterator[None]:
        """Draw from an earlier `state` of the own generator, and restore its present state afterwards."""
        if self.generator is None or state is None:
            yield
            return
        now = self.generator.get_state()
        self.generator.set_state(state)
        try:
            yield
        finally:
            self.generator.set_state(now)


class KeyValueCache:
    """Keys and values of the tokens seen so far, one entry for each block call of a pass, in their order.

    A pass with a cache makes all steps of each layer, because a later token may need them. Halted tokens keep
    their state, so the additional steps change nothing.

    Attributes:
        real: which cached tokens are not padding, bool [B, K]; None before the first pass.
    """

    def __init__(self) -> None:
        self._entries: list[tuple[Tensor, Tensor]] = []
        self._next = 0
        self.real: Tensor | None = None

    def __len__(self) -> int:
        return 0 if self.real is None else self.real.shape[1]

    def begin_pass(self, real: Tensor) -> Tensor:
        """Start a pass over new tokens (`real` [B, S]); return `real` of all tokens, [B, K]."""
        self.real = real if self.real is None else torch.cat((self.real, real), dim=1)
        self._next = 0
        return self.real

    def extend(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Append the keys and values [B, heads, S, d] of the next block call; return all of it, [B, heads, K, d]."""
        if self._next < len(self._entries):
            past_key, past_value = self._entries[self._next]
            key, value = torch.cat((past_key, key), dim=2), torch.cat((past_value, value), dim=2)
            self._entries[self._next] = (key, value)
        else:
            self._entries.append((key, value))
        self._next += 1
        return key, value


@dataclass(frozen=True)
class ForwardContext:
    """The settings of one pass over a batch of S new tokens.

    Args:
        rotation: RoPE of the new tokens' positions.
        mask: which tokens each new token attends to, bool [B, 1, S, K]; None is all up to itself.
        dropout: off in evaluation.
        cache: of the tokens before; None where there are none.
    """

    rotation: Rotation
    mask: Tensor | None = None
    dropout: Dropout = field(default_factory=Dropout)
    cache: KeyValueCache | None = None


def build_attention_mask(real: Tensor, num_new: int) -> Tensor:
    """Let each of the last `num_new` of K tokens attend to itself and to the real tokens before it.

    Args:
        real: which tokens are not padding, bool [B, K].
        num_new: S.

    Returns:
        bool [B, 1, S, K]. Padding attends to itself, so that no row of the softmax is empty.
    """
    num_all = real.shape[1]
    query = torch.arange(num_all - num_new, num_all, device=real.device).unsqueeze(1)
    key = torch.arange(num_all, device=real.device)
    return ((key < query) & real[:, None, None, :]) | (key == query)


class RMSNorm(CastableLayer):
    """x / RMS(x) * weight, weights starting at 1 (arXiv 1910.07467)."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        weight = self.get_weight("weight")
        return F.rms_norm(x, weight.shape, weight, self.eps)


class CausalAttention(SelfAttention):
    """Multi-head self-attention over the tokens up to each token's own."""

    def forward(self, x: Tensor, context: ForwardContext) -> Tensor:
        # On a CPU fused attention is slow in bfloat16, and halting must not depend on the kernel.
        dtype = torch.float32 if x.device.type == "cpu" else x.dtype
        query, key, value = self.project(x, context.rotation, dtype)
        if context.cache is not None:
            key, value = context.cache.extend(key, value)
        mixed = F.scaled_dot_product_attention(
            query, key, value, attn_mask=context.mask, is_causal=context.mask is None
        )
        return self.merge_heads(mixed, x.dtype)


class Block(nn.Module):
    """Attention, then SwiGLU, each on its normalized input and added to it (pre-norm)."""

    def __init__(self, config: TextHRMConfig) -> None:
        super().__init__()
        # Scales the initial output of each sublayer so that the sum over all layers has the size of the stream.
        gain = (2 * config.n_layers) ** -0.5
        self.attn_norm = RMSNorm(config.n_embd, config.rms_norm_eps)
        self.self_attn = CausalAttention(config.n_embd, config.n_head, gain)
        self.mlp_norm = RMSNorm(config.n_embd, config.rms_norm_eps)
        self.mlp = SwiGLU(config.n_embd, config.inner_size, gain)

    def forward(self, x: Tensor, context: ForwardContext) -> Tensor:
        x = x + context.dropout(self.self_attn(self.attn_norm(x), context))
        return x + context.dropout(self.mlp(self.mlp_norm(x)))


class BiasedLinear(Linear):
    """y = x W^T + b, b starting at 0."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self.bias = nn.Parameter(torch.zeros(out_features))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.get_weight("weight"), self.get_weight("bias"))


class QNetwork(nn.Module):
    """Values of continuing and of halting, float32 [B, S, 2], as logits; both start at -5."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden = BiasedLinear(width, width // 4)
        self.head = AffineHead(width // 4, 2, INITIAL_Q_LOGIT)

    def forward(self, z_H: Tensor) -> Tensor:
        return self.head(F.relu(self.hidden(z_H)))


class Layer(nn.Module):
    """One layer: up to T steps of L and H over its input, token by token until each has halted."""

    def __init__(self, config: TextHRMConfig) -> None:
        super().__init__()
        self.config = config
        self.schedule = plan_h_updates(config.halt_max_steps, config.effective_period)
        self.H_block, self.L_block = Block(config), Block(config)
        self.q_network = QNetwork(config.n_embd)
        self.halt_head = AffineHead(config.n_embd, 1, config.halt_bias_init)

    def forward(self, x: Tensor, context: ForwardContext) -> tuple[Tensor, HaltingTrace]:
        """Return the layer's output [B, S, d] for its input [B, S, d], and how its tokens halted.

        Both states start from the input, which every L step sees again.
        """
        x = normalize(x, self.config)
        z_H = z_L = x
        halting = HaltingState(self.config, x)
        for step, updates_H in enumerate(self.schedule, 1):
            z_L = halting.keep_halted(z_L, self._apply_block(self.L_block, z_L + z_H + x, context))
            if not updates_H:
                continue
            z_H = halting.keep_halted(z_H, self._apply_block(self.H_block, z_H + z_L, context))
            if halting.update(step, z_H, self.halt_head, self.q_network) and context.cache is None:
                break
        return halting.output, halting.trace

    def _apply_block(self, block: Block, x: Tensor, context: ForwardContext) -> Tensor:
        """Return the state that a block computes from x, with RMS 1; both [B, S, d]."""
        if not (self.config.gradient_checkpointing and torch.is_grad_enabled()):
            return normalize(block(x, context), self.config)
        dropout, dtype = context.dropout, x.dtype
        state = dropout.state

        @contextmanager
        def recompute() -> Iterator[None]:
            # The backward runs outside the pass: cast the weights and draw the dropout again as in the forward.
            with cast_weights(block, dtype), dropout.replay(state):
                yield

        output: Tensor = checkpoint(
            block,
            x,
            context,
            use_reentrant=False,
            preserve_rng_state=dropout.uses_global_generator,
            context_fn=lambda: (nullcontext(), recompute()),
        )
        return normalize(output, self.config)


def normalize(x: Tensor, config: TextHRMConfig) -> Tensor:
    """Scale x [B, S, d] to RMS 1 in each token; no weights."""
    return F.rms_norm(x, (config.n_embd,), eps=config.rms_norm_eps)
