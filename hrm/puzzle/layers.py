"""The layers of an HRM: post-norm transformer blocks without biases or norm weights (arXiv 2506.21734).

Shapes: B sequences, S positions, H width, h heads of d = H / h, I inner width. Parameter names are official.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrm.layers import Linear, Rotation, SwiGLU, rotate
from hrm.puzzle.config import PuzzleHRMConfig


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


class Block(nn.Module):
    """Attention, then SwiGLU, each added to its input and normalised after (post-norm)."""

    def __init__(self, config: PuzzleHRMConfig) -> None:
        super().__init__()
        self.self_attn = Attention(config)
        self.mlp = SwiGLU(config.hidden_size, config.inner_size)
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
