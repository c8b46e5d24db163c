"""The recurrent network of one segment: embeddings, H and L modules, heads. Halting is in `model.py`.

Shapes: B sequences, P puzzle positions followed by S cells, H width, V vocabulary.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrm.models.layers import (
    INITIAL_Q_LOGIT,
    AffineHead,
    Embedding,
    Linear,
    RotaryEmbedding,
    Rotation,
    SelfAttention,
    SwiGLU,
    draw_truncated_normal,
    plan_h_updates,
)
from hrm.models.puzzle.config import PuzzleHRMConfig


class PuzzleEmbedding(nn.Module):
    """A table with one row for each puzzle, zero at first. Only the rows in a batch get a gradient.

    The table may be far larger than the model, so the rows of a batch are copied to a leaf of their own:
    `local_weights` [B, ndim] with its `.grad`, and `local_ids` [B], both of the last lookup under autograd.
    """

    weights: Tensor

    def __init__(self, num_puzzles: int, ndim: int) -> None:
        super().__init__()
        self.register_buffer("weights", torch.zeros(num_puzzles, ndim))
        self.local_weights: Tensor | None = None
        self.local_ids: Tensor | None = None

    def forward(self, ids: Tensor) -> Tensor:
        """Return the rows [B, ndim], float32, of the puzzle identifiers [B]."""
        rows = self.weights[ids]
        if torch.is_grad_enabled():
            self.local_ids, self.local_weights = ids, rows.requires_grad_()
        return rows


class Attention(SelfAttention):
    """Multi-head self-attention over all positions, not causal."""

    def forward(self, x: Tensor, rotation: Rotation | None) -> Tensor:
        # On a CPU the backward of fused attention is ten times slower in bfloat16 than in float32.
        dtype = torch.float32 if x.device.type == "cpu" and torch.is_grad_enabled() else x.dtype
        query, key, value = self.project(x, rotation, dtype)
        return self.merge_heads(F.scaled_dot_product_attention(query, key, value), x.dtype)


class Block(nn.Module):
    """Attention, then SwiGLU, each added to its input and normalized after (post-norm)."""

    def __init__(self, config: PuzzleHRMConfig) -> None:
        super().__init__()
        self.self_attn = Attention(config.hidden_size, config.num_heads)
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


State = tuple[Tensor, Tensor]
"""z_H and z_L, each [B, P + S, H] in the type of the forward pass."""


class InnerHRM(nn.Module):
    """The network under ACT; its `state_dict` has the official names.

    Call its methods inside `cast_weights(inner, inner.dtype)`, so that the weights have the type of the forward
    pass. `H_init` and `L_init` are buffers: drawn once, never trained.
    """

    H_init: Tensor
    L_init: Tensor

    def __init__(self, config: PuzzleHRMConfig) -> None:
        super().__init__()
        self.config = config
        self.dtype: torch.dtype = getattr(torch, config.forward_dtype)
        self.schedule = plan_h_updates(config.num_L_steps, config.effective_period)
        num_positions = config.puzzle_emb_len + config.seq_len

        # The order in which weights are drawn decides what a seed means: keep it.
        self.embed_tokens = Embedding(config.vocab_size, config.hidden_size)
        self.lm_head = Linear(config.hidden_size, config.vocab_size)
        self.q_head = AffineHead(config.hidden_size, 2, INITIAL_Q_LOGIT)
        self.puzzle_emb: PuzzleEmbedding | None = None
        if config.puzzle_embedding_size > 0:
            self.puzzle_emb = PuzzleEmbedding(config.num_puzzle_identifiers, config.puzzle_embedding_size)
        self.rotary_emb: RotaryEmbedding | None = None
        self.embed_pos: Embedding | None = None
        if config.pos_encodings == "rope":
            self.rotary_emb = RotaryEmbedding(config.head_size, num_positions, config.rope_theta)
        else:
            self.embed_pos = Embedding(num_positions, config.hidden_size)
        self.H_level = ReasoningModule(config, config.H_layers)
        self.L_level = ReasoningModule(config, config.L_layers)
        self.register_buffer("H_init", draw_truncated_normal(config.hidden_size, std=1).to(self.dtype))
        self.register_buffer("L_init", draw_truncated_normal(config.hidden_size, std=1).to(self.dtype))

    def embed(self, inputs: Tensor, puzzle_identifiers: Tensor) -> Tensor:
        """Return the embeddings [B, P + S, H] of tokens [B, S] and puzzle identifiers [B]."""
        config = self.config
        embedding = self.embed_tokens(inputs)
        if self.puzzle_emb is not None:
            rows = self.puzzle_emb(puzzle_identifiers).to(self.dtype)
            padding = config.puzzle_emb_len * config.hidden_size - config.puzzle_embedding_size
            rows = F.pad(rows, (0, padding)).view(-1, config.puzzle_emb_len, config.hidden_size)  # [B, P, H]
            embedding = torch.cat((rows, embedding), dim=1)
        if self.embed_pos is not None:
            # Halve the variance of the sum of two embeddings.
            embedding = math.sqrt(0.5) * (embedding + self.embed_pos.get_weight("embedding_weight"))
        return math.sqrt(config.hidden_size) * embedding

    def reset(self, state: State, where: Tensor) -> State:
        """Return the state with the sequences `where` (bool [B]) set to the initial one."""
        z_H, z_L = state
        where = where.view(-1, 1, 1)
        return torch.where(where, self.H_init, z_H), torch.where(where, self.L_init, z_L)

    def run_segment(self, state: State, embedding: Tensor, gradient_L_steps: int = 0) -> State:
        """Run one segment: N L-steps, each seeing z_H and the input; H updates on schedule, each seeing z_L.

        Args:
            state: the state after the last segment, or the initial one.
            embedding: from `embed`.
            gradient_L_steps: autograd records the last that many L-steps and the H updates among them.
        """
        z_H, z_L = state
        rotation = None if self.rotary_emb is None else self.rotary_emb()
        first_recorded = len(self.schedule) - gradient_L_steps
        for step, updates_H in enumerate(self.schedule):
            with torch.set_grad_enabled(torch.is_grad_enabled() and step >= first_recorded):
                z_L = self.L_level(z_L, z_H + embedding, rotation)
                if updates_H:
                    z_H = self.H_level(z_H, z_L, rotation)
        return z_H, z_L

    def compute_logits(self, z_H: Tensor) -> Tensor:
        """Return the logits of the cells, [B, S, V]."""
        return self.lm_head(z_H[:, self.config.puzzle_emb_len :])

    def compute_q_logits(self, z_H: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of halting and of continuing, float32 [B] each, read at the first position."""
        q_halt, q_continue = self.q_head(z_H[:, 0]).unbind(-1)
        return q_halt, q_continue
