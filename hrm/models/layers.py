"""Layers that the model families share: linear maps, embeddings, RoPE, attention, SwiGLU.

Shapes: B sequences, S positions, H width, h heads of size d = H / h, I inner width, V vocabulary. Parameter names
are those of the official HRM.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrm.data.base import IGNORED_LABEL


class CastableLayer(nn.Module):
    """A layer that can compute with copies of its float32 weights in another type, see `cast_weights`."""

    def __init__(self) -> None:
        super().__init__()
        self._copies: dict[str, Tensor] = {}

    def get_weight(self, name: str) -> Tensor:
        """Return the parameter `name`, inside `cast_weights` in the type of the forward pass."""
        return self._copies[name] if name in self._copies else getattr(self, name)


@contextmanager
def cast_weights(model: nn.Module, dtype: torch.dtype) -> Iterator[None]:
    """Let every `CastableLayer` of `model` compute with its weights in `dtype` (mixed precision).

    Each weight is cast once, however many times its layer then runs. The cast is differentiable: gradients reach
    the float32 weights. Under float32 nothing is copied.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, CastableLayer)]
    for layer in layers:
        layer._copies = {name: weight.to(dtype) for name, weight in layer.named_parameters(recurse=False)}
    try:
        yield
    finally:
        for layer in layers:
            layer._copies = {}


# Standard deviation of a standard normal cut at -2 and 2: sqrt(1 - 4 phi(2) / (2 Phi(2) - 1)).
_TRUNCATED_STD = math.sqrt(1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2)))


def draw_truncated_normal(*shape: int, std: float) -> Tensor:
    """Draw float32 numbers with standard deviation `std` from a normal that is cut at two of its own deviations.

    The numbers are those of `nn.init.trunc_normal_`, in fewer calls, because each trial of a sweep waits for them.
    They come from torch's global generator, on the device where new tensors are made: the trainer makes that the
    CPU, so that a seed gives the same weights on every device.
    """
    wide = std / _TRUNCATED_STD
    drawn = torch.empty(shape).normal_(0.0, wide)
    while not drawn.is_meta and (outside := drawn.abs() > 2 * wide).any():
        drawn = torch.where(outside, torch.empty_like(drawn).normal_(0.0, wide), drawn)
    return drawn


class Linear(CastableLayer):
    """y = x W^T, with W [out, in] drawn with standard deviation `gain` / sqrt(in)."""

    def __init__(self, in_features: int, out_features: int, gain: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(
            draw_truncated_normal(out_features, in_features, std=gain * in_features**-0.5)
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.get_weight("weight"))


INITIAL_Q_LOGIT = -5.0
"""Initial values of halting and of continuing, as logits (reference: sapientinc/HRM)."""


class AffineHead(CastableLayer):
    """y = x W^T + b with W starting at 0: [..., in] to float32 [..., out]."""

    def __init__(self, in_features: int, out_features: int, initial_bias: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(out_features, in_features))
        self.bias = nn.Parameter(torch.full((out_features,), initial_bias))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.get_weight("weight"), self.get_weight("bias")).float()


class Embedding(CastableLayer):
    """A table [num, H] drawn with standard deviation `std`, by default 1 / sqrt(H)."""

    def __init__(self, num_embeddings: int, hidden_size: int, std: float | None = None) -> None:
        super().__init__()
        std = hidden_size**-0.5 if std is None else std
        self.embedding_weight = nn.Parameter(draw_truncated_normal(num_embeddings, hidden_size, std=std))

    def forward(self, ids: Tensor) -> Tensor:
        return F.embedding(ids, self.get_weight("embedding_weight"))


Rotation = tuple[Tensor, Tensor]
"""RoPE of S positions, float32 [S, 1, d] each: cosines; sines, negative in the first half."""


class RotaryEmbedding(nn.Module):
    """The tables of RoPE (arXiv 2104.09864), with the halves of a head paired as in Llama. Not saved."""

    cos: Tensor
    sin: Tensor

    def __init__(self, head_size: int, num_positions: int, theta: float) -> None:
        super().__init__()
        frequencies = 1 / theta ** (torch.arange(0, head_size, 2, dtype=torch.float32) / head_size)
        positions = torch.arange(num_positions, dtype=torch.float32)
        angles = torch.outer(positions, frequencies).unsqueeze(1)  # [S, 1, d / 2]
        cos, sin = angles.cos(), angles.sin()
        self.register_buffer("cos", torch.cat((cos, cos), dim=-1), persistent=False)
        self.register_buffer("sin", torch.cat((-sin, sin), dim=-1), persistent=False)

    def forward(self) -> Rotation:
        return self.cos, self.sin


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Rotate queries or keys [B, S, heads, d] by their positions, in float32."""
    cos, sin = rotation
    x = x.float()
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((second, first), dim=-1) * sin


class SelfAttention(nn.Module):
    """The projections of multi-head self-attention; each family decides in between what a position sees."""

    def __init__(self, hidden_size: int, num_heads: int, gain: float = 1.0) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv_proj = Linear(hidden_size, 3 * hidden_size)
        self.o_proj = Linear(hidden_size, hidden_size, gain)

    def project(
        self, x: Tensor, rotation: Rotation | None, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return rotated queries, rotated keys and values of x [B, S, H], each [B, h, S, d] in `dtype`."""
        heads = self.qkv_proj(x).unflatten(-1, (3 * self.num_heads, -1))  # [B, S, 3 h, d]
        query_key, value = heads.split((2 * self.num_heads, self.num_heads), dim=2)
        if rotation is not None:
            query_key = rotate(query_key, rotation)
        query, key = query_key.to(dtype).transpose(1, 2).chunk(2, dim=1)
        return query, key, value.to(dtype).transpose(1, 2)

    def merge_heads(self, mixed: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the output [B, S, H] in `dtype` of the attended values [B, h, S, d]."""
        return self.o_proj(mixed.transpose(1, 2).flatten(2).to(dtype))


class SwiGLU(nn.Module):
    """down(silu(gate(x)) * up(x)), inner width I (arXiv 2002.05202)."""

    def __init__(self, hidden_size: int, inner_size: int, gain: float = 1.0) -> None:
        super().__init__()
        self.gate_up_proj = Linear(hidden_size, 2 * inner_size)
        self.down_proj = Linear(inner_size, hidden_size, gain)

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type == "cpu":
            # Two products instead of one, but contiguous halves for the elementwise kernels: up to 5% of a step.
            gate, up = (F.linear(x, half) for half in self.gate_up_proj.get_weight("weight").chunk(2))
        else:
            gate, up = self.gate_up_proj(x).chunk(2, dim=-1)
        return self.down_proj(F.silu(gate) * up)


def plan_h_updates(num_L_steps: int, period: int) -> tuple[bool, ...]:
    """Tell for each L-step whether H updates after it: after every `period`-th and after the last.

    >>> plan_h_updates(num_L_steps=5, period=2)
    (False, True, False, True, True)
    """
    return tuple(step % period == 0 or step == num_L_steps for step in range(1, num_L_steps + 1))


def softmax_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross entropy of each label under the softmax, in nats.

    Args:
        logits: [..., V], any floating type.
        labels: [...], integers in 0..V-1, or IGNORED_LABEL.

    Returns:
        Losses [...], float32, 0 where the label is ignored.
    """
    flat = F.cross_entropy(
        logits.float().flatten(0, -2), labels.long().flatten(), ignore_index=IGNORED_LABEL, reduction="none"
    )
    return flat.view(labels.shape)
