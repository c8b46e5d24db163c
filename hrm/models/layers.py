"""What every family builds from: linear maps, embeddings, RoPE, SwiGLU, weights lent in one type; and when H updates.

Shapes: B sequences, S positions, H width, h heads of d = H / h, I inner width. Parameter names are official.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrm.data.base import IGNORED_LABEL


class Casting(nn.Module):
    """A layer whose parameters may be lent in another type; `self.lent` falls back to the masters."""

    def __init__(self) -> None:
        super().__init__()
        self._lent: dict[str, Tensor] = {}

    def lent(self, name: str) -> Tensor:
        """The parameter `name`, in the type of the forward pass inside `cast_once`."""
        return self._lent[name] if name in self._lent else getattr(self, name)


@contextmanager
def cast_once(model: nn.Module, dtype: torch.dtype) -> Iterator[None]:
    """Within, every `Casting` layer of `model` computes with its weights in `dtype`.

    The cast is differentiable and made once, however many times a layer then runs; gradients arrive in the
    float32 masters. Under float32 nothing is cast.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, Casting)]
    for layer in layers:
        layer._lent = {name: parameter.to(dtype) for name, parameter in layer.named_parameters(recurse=False)}
    try:
        yield
    finally:
        for layer in layers:
            layer._lent = {}


Rotation = tuple[Tensor, Tensor]
"""Tables of RoPE, float32 [S, 1, d] each: cosines; sines, negative in the first half."""

# Standard deviation of a standard normal cut at -2 and 2: sqrt(1 - 4 phi(2) / (2 Phi(2) - 1)).
_CUT_STD = math.sqrt(1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2)))


def truncated_normal(*shape: int, std: float) -> Tensor:
    """Float32 draws whose deviation is `std`, from a normal cut at two of its own deviations.

    The same as `nn.init.trunc_normal_` makes, in fewer calls: a trial waits for them.
    Drawn from torch's global generator, on the device that new tensors go to: the trainer makes that the CPU,
    so that a seed means the same weights on every device.
    """
    wide = std / _CUT_STD
    drawn = torch.empty(shape).normal_(0.0, wide)
    while not drawn.is_meta and (cut := drawn.abs() > 2 * wide).any():
        drawn = torch.where(cut, torch.empty_like(drawn).normal_(0.0, wide), drawn)
    return drawn


class Linear(Casting):
    """y = x W^T, W [out, in] initialised with deviation `gain` / sqrt(in)."""

    def __init__(self, in_features: int, out_features: int, gain: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(truncated_normal(out_features, in_features, std=gain * in_features**-0.5))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.lent("weight"))


FIRST_Q_VALUE = -5.0
"""What halting and continuing are held to be worth at first, as logits (reference: sapientinc/HRM)."""


class AffineHead(Casting):
    """y = x W^T + b, W starting at 0: [..., in] to float32 [..., out]."""

    def __init__(self, in_features: int, out_features: int, first_bias: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(out_features, in_features))
        self.bias = nn.Parameter(torch.full((out_features,), first_bias))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.lent("weight"), self.lent("bias")).float()


class Embedding(Casting):
    """A table [num, H] initialised with deviation `std`, by default 1 / sqrt(H)."""

    def __init__(self, num_embeddings: int, hidden_size: int, std: float | None = None) -> None:
        super().__init__()
        std = hidden_size**-0.5 if std is None else std
        self.embedding_weight = nn.Parameter(truncated_normal(num_embeddings, hidden_size, std=std))

    def forward(self, ids: Tensor) -> Tensor:
        return F.embedding(ids, self.lent("embedding_weight"))


class RotaryEmbedding(nn.Module):
    """The tables of RoPE (arXiv 2104.09864), halves of a head paired as in Llama. Not saved."""

    cos: Tensor
    sin: Tensor

    def __init__(self, head_size: int, num_positions: int, theta: float) -> None:
        super().__init__()
        frequencies = 1 / theta ** (torch.arange(0, head_size, 2, dtype=torch.float32) / head_size)
        positions = torch.arange(num_positions, dtype=torch.float32)
        angles = torch.outer(positions, frequencies).unsqueeze(1)
        cos, sin = angles.cos(), angles.sin()
        self.register_buffer("cos", torch.cat((cos, cos), dim=-1), persistent=False)
        self.register_buffer("sin", torch.cat((-sin, sin), dim=-1), persistent=False)

    def forward(self) -> Rotation:
        return self.cos, self.sin


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Queries or keys [B, S, heads, d] turned by their positions, in float32."""
    cos, sin = rotation
    x = x.float()
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((second, first), dim=-1) * sin


class SwiGLU(nn.Module):
    """down(silu(gate(x)) * up(x)), inner width I (arXiv 2002.05202)."""

    def __init__(self, hidden_size: int, inner_size: int, gain: float = 1.0) -> None:
        super().__init__()
        self.gate_up_proj = Linear(hidden_size, 2 * inner_size)
        self.down_proj = Linear(inner_size, hidden_size, gain)

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type == "cpu":
            # One product more, but contiguous halves for the elementwise kernels: up to 5% of a step.
            gate, up = (F.linear(x, half) for half in self.gate_up_proj.lent("weight").chunk(2))
        else:
            gate, up = self.gate_up_proj(x).chunk(2, dim=-1)
        return self.down_proj(F.silu(gate) * up)


def h_update_schedule(num_L_steps: int, period: int) -> tuple[bool, ...]:
    """Whether H updates after each of the L-steps: after every `period`-th and after the last."""
    return tuple(step % period == 0 or step == num_L_steps for step in range(1, num_L_steps + 1))


def softmax_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Nats of each label under the softmax.

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
