"""The layers of an HRM: post-norm transformer blocks without biases or norm weights (arXiv 2506.21734).

Shapes: B sequences, S positions, H width, h heads of d = H / h, I inner width. Parameter names are official.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrm.puzzle.casting import Casting
from hrm.puzzle.config import PuzzleHRMConfig

Rotation = tuple[Tensor, Tensor]
"""Tables of RoPE, float32 [S, 1, d] each: cosines; sines, negative in the first half."""

# Standard deviation of a standard normal cut at -2 and 2: sqrt(1 - 4 phi(2) / (2 Phi(2) - 1)).
_CUT_STD = math.sqrt(1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2)))


def truncated_normal(*shape: int, std: float) -> Tensor:
    """Float32 draws whose deviation is `std`, from a normal cut at two of its own deviations.

    Drawn on the CPU from torch's global generator, so that a seed means the same weights on every device.
    """
    wide = std / _CUT_STD
    return nn.init.trunc_normal_(torch.empty(shape, device="cpu"), std=wide, a=-2 * wide, b=2 * wide)


class Linear(Casting):
    """y = x W^T, W [out, in] initialised with deviation 1 / sqrt(in)."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(truncated_normal(out_features, in_features, std=in_features**-0.5))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.lent("weight"))


class Embedding(Casting):
    """A table [num, H] initialised with deviation 1 / sqrt(H)."""

    def __init__(self, num_embeddings: int, hidden_size: int) -> None:
        super().__init__()
        self.embedding_weight = nn.Parameter(
            truncated_normal(num_embeddings, hidden_size, std=hidden_size**-0.5)
        )

    def forward(self, ids: Tensor) -> Tensor:
        return F.embedding(ids, self.lent("embedding_weight"))


class QHead(Casting):
    """Values of halting and continuing, [..., H] to float32 [..., 2]; starts at -5 for both."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2, hidden_size, device="cpu"))
        self.bias = nn.Parameter(torch.full((2,), -5.0, device="cpu"))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.lent("weight"), self.lent("bias")).float()


class RotaryEmbedding(nn.Module):
    """The tables of RoPE (arXiv 2104.09864), halves of a head paired as in Llama. Not saved."""

    cos: Tensor
    sin: Tensor

    def __init__(self, head_size: int, num_positions: int, theta: float) -> None:
        super().__init__()
        frequencies = 1 / theta ** (
            torch.arange(0, head_size, 2, dtype=torch.float32, device="cpu") / head_size
        )
        positions = torch.arange(num_positions, dtype=torch.float32, device="cpu")
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


class Attention(nn.Module):
    """Multi-head self-attention over all positions, not causal."""

    def __init__(self, config: PuzzleHRMConfig) -> None:
        super().__init__()
        self.num_heads, self.head_size = config.num_heads, config.head_size
        self.qkv_proj = Linear(config.hidden_size, 3 * config.hidden_size)
        self.o_proj = Linear(config.hidden_size, config.hidden_size)

    def forward(self, x: Tensor, rotation: Rotation | None) -> Tensor:
        qkv = self.qkv_proj(x).unflatten(-1, (3 * self.num_heads, self.head_size))
        query_key, value = qkv.split((2 * self.num_heads, self.num_heads), dim=2)
        if rotation is not None:
            query_key = rotate(query_key, rotation)
        # On a CPU the backward of fused attention is ten times slower in bfloat16 than in float32.
        dtype = torch.float32 if x.device.type == "cpu" and torch.is_grad_enabled() else x.dtype
        query, key = query_key.to(dtype).transpose(1, 2).chunk(2, dim=1)
        mixed = F.scaled_dot_product_attention(query, key, value.to(dtype).transpose(1, 2))
        return self.o_proj(mixed.transpose(1, 2).flatten(2).to(x.dtype))


class SwiGLU(nn.Module):
    """down(silu(gate(x)) * up(x)), inner width `config.inner_size` (arXiv 2002.05202)."""

    def __init__(self, config: PuzzleHRMConfig) -> None:
        super().__init__()
        self.gate_up_proj = Linear(config.hidden_size, 2 * config.inner_size)
        self.down_proj = Linear(config.inner_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type == "cpu":
            # One product more, but contiguous halves for the elementwise kernels: up to 5% of a step.
            gate, up = (F.linear(x, half) for half in self.gate_up_proj.lent("weight").chunk(2))
        else:
            gate, up = self.gate_up_proj(x).chunk(2, dim=-1)
        return self.down_proj(F.silu(gate) * up)


class Block(nn.Module):
    """Attention, then SwiGLU, each added to its input and normalised after (post-norm)."""

    def __init__(self, config: PuzzleHRMConfig) -> None:
        super().__init__()
        self.self_attn = Attention(config)
        self.mlp = SwiGLU(config)
        self.shape, self.eps = (config.hidden_size,), config.rms_norm_eps

    def forward(self, x: Tensor, rotation: Rotation | None) -> Tensor:
        x = F.rms_norm(x + self.self_attn(x, rotation), self.shape, eps=self.eps)
        return F.rms_norm(x + self.mlp(x), self.shape, eps=self.eps)


class ReasoningModule(nn.Module):
    """The H or the L module: blocks over a state to which an input is added first."""

    def __init__(self, config: PuzzleHRMConfig, num_layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Block(config) for _ in range(num_layers))

    def forward(self, state: Tensor, injection: Tensor, rotation: Rotation | None) -> Tensor:
        state = state + injection
        for layer in self.layers:
            state = layer(state, rotation)
        return state
