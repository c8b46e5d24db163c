"""One layer of a text HRM: an H block and an L block that take turns, a Q network and a halting head.

Shapes: B sequences, S tokens, d width. Blocks are pre-norm; the state that one makes is normalised to RMS 1, so
that states stay bounded however many steps and layers there are, and never drown the input added to them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from hrm.casting import Casting, cast_once
from hrm.layers import FIRST_Q_VALUE, AffineHead, Linear, SwiGLU, h_update_schedule, rotate
from hrm.text.config import TextHRMConfig
from hrm.text.halting import Halting, Trace
from hrm.text.passing import Pass


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
