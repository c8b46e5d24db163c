"""Exact parameters, FLOPs and bytes of a puzzle HRM, from its config alone.

Conventions: `hrm.models.registry.Counts`.
"""

from __future__ import annotations

from typing import NamedTuple

from hrm.config.train_config import TrainConfig
from hrm.models.puzzle.config import PuzzleHRMConfig
from hrm.models.registry import Counts

FLOAT32 = 4
INT32 = 4
INT64 = 8
BOOL = 1


class Sizes(NamedTuple):
    """The sizes of a config, as the formulas name them."""

    H: int
    I: int  # noqa: E741
    heads: int
    H_layers: int
    L_layers: int
    L_steps: int
    H_updates: int
    gradient_L_steps: int
    gradient_H_updates: int
    S: int
    P: int
    V: int
    num_puzzles: int
    ndim: int
    """Numbers in the embedding of one puzzle."""
    learned: int
    """1 with learned positions, 0 with RoPE."""
    softmax: int
    """1 with the softmax loss, 0 with stablemax."""
    halt_max_steps: int
    q_continue: bool
    half: int
    """1 where the forward pass has 16 bits a number, 0 where 32."""

    @property
    def T(self) -> int:
        """Positions."""
        return self.P + self.S

    @property
    def forward_bytes(self) -> int:
        """Bytes of a number in the forward pass."""
        return FLOAT32 - 2 * self.half


def count_h_updates(N: int, p: int, k: int) -> tuple[int, int]:
    """Return the H updates of a segment of N L-steps, and those among its last k, at period p; p and k at most N."""
    total = -(-N // p)
    return total, total - (N - k) // p


def count_block_params(s: Sizes) -> int:
    """Count query, key, value and output projections, and the three matrices of SwiGLU."""
    return 4 * s.H * s.H + 3 * s.H * s.I


def count_trainable_params(s: Sizes) -> int:
    """Count blocks, token embedding and head (not tied), the Q head with its two biases, learned positions."""
    blocks = (s.H_layers + s.L_layers) * count_block_params(s)
    return blocks + 2 * s.V * s.H + 2 * s.H + 2 + s.learned * s.T * s.H


def count_training_flops(s: Sizes, batch_size: int) -> int:
    """Count one optimizer step: a segment forward, twice its differentiated part backward, the extra forward.

    The extra forward (for the target of continuing) runs a segment and the Q head, but not the cells' head.
    """
    L_step, H_update = count_module_flops(s, batch_size)
    segment = s.L_steps * L_step + s.H_updates * H_update
    gradient_part = s.gradient_L_steps * L_step + s.gradient_H_updates * H_update
    q_head, lm_head = count_head_flops(s, batch_size)
    extra_forward = _count_extra_forwards(s) * (segment + q_head)
    return segment + q_head + lm_head + 2 * (gradient_part + q_head + lm_head) + extra_forward


def _count_extra_forwards(s: Sizes) -> int:
    """Return 1 if training makes the extra forward for the target of continuing, else 0."""
    return s.q_continue * (s.halt_max_steps > 1)


def count_evaluation_flops(s: Sizes, batch_size: int) -> int:
    """Count `halt_max_steps` segments, then both heads once."""
    L_step, H_update = count_module_flops(s, batch_size)
    q_head, lm_head = count_head_flops(s, batch_size)
    return s.halt_max_steps * (s.L_steps * L_step + s.H_updates * H_update) + q_head + lm_head


def count_module_flops(s: Sizes, batch_size: int) -> tuple[int, int]:
    """Return the forward FLOPs of an L-step and of an H update."""
    block = sum(count_block_flops(s, batch_size))
    return s.L_layers * block, s.H_layers * block


def count_block_flops(s: Sizes, batch_size: int) -> tuple[int, int]:
    """Return the forward FLOPs of a block: its projections, and attention's scores and mix."""
    return 2 * batch_size * s.T * count_block_params(s), 4 * batch_size * s.T * s.T * s.H


def count_head_flops(s: Sizes, batch_size: int) -> tuple[int, int]:
    """Return the forward FLOPs of the Q head (one position, two values) and of the cells' head."""
    return 4 * batch_size * s.H, 2 * batch_size * s.S * s.H * s.V


def count_weight_bytes(s: Sizes, trainable: int) -> int:
    """Count float32 weights, puzzle embeddings, initial states, RoPE tables, and the copy cast for a segment."""
    rope_tables = (1 - s.learned) * 2 * FLOAT32 * s.T * (s.H // s.heads)
    cast_copy = s.half * 2 * trainable
    weights = FLOAT32 * (trainable + s.num_puzzles * s.ndim)
    return weights + s.forward_bytes * 2 * s.H + rope_tables + cast_copy


def count_activation_bytes(s: Sizes, batch_size: int) -> int:
    """Count what autograd keeps for the backward of a segment on a CPU, each storage once, without weights.

    Fused attention keeps one float32 per head and position instead of T x T scores; attention and norms compute in
    float32 whatever the forward type. Memory that is freed within a call is not included.
    """
    x = s.H * s.forward_bytes
    # Casts make copies of q, k and v; without one, RoPE makes new q and k while v keeps the old ones alive.
    rotated = 2 * (1 - s.learned) * (1 - s.half)
    qkv_and_output = (3 + rotated + 1) * s.H * FLOAT32
    attention = x + qkv_and_output + s.half * x + FLOAT32 * s.heads  # input; ...; output cast; log-sums
    mlp = x + 4 * s.I * s.forward_bytes  # input; gate and up; silu(gate); their product
    norms = 2 * FLOAT32 * (s.H + 1)  # input and scale
    block = batch_size * s.T * (attention + mlp + norms)
    blocks = s.gradient_L_steps * s.L_layers + s.gradient_H_updates * s.H_layers
    return blocks * block + _count_heads_bytes(s, batch_size) + _count_loss_bytes(s, batch_size)


def _count_heads_bytes(s: Sizes, batch_size: int) -> int:
    """Count token numbers for the embedding; z_H for both heads, the part of the cells twice unless it is a view."""
    is_copied = (s.P > 0) * (s.S > 1) * (batch_size > 1)
    z_H = (s.T + is_copied * s.S) * s.H * s.forward_bytes
    return batch_size * (INT32 * s.S + z_H)


def _count_loss_bytes(s: Sizes, batch_size: int) -> int:
    # Stablemax: logits, reciprocals and scores, and which logits are negative; then for each cell its label,
    # score, sum, and whether it counts. Softmax: log-probabilities and labels, and one scalar per batch.
    stablemax = s.S * (s.V * (3 * FLOAT32 + BOOL) + INT64 + 2 * FLOAT32 + BOOL)
    softmax = s.S * (s.V * FLOAT32 + INT64)
    # Number of labels, both Q values, and the target of each.
    q_values = INT64 + 2 * FLOAT32 + FLOAT32 + FLOAT32 * _count_extra_forwards(s)
    return batch_size * ((1 - s.softmax) * stablemax + s.softmax * softmax + q_values) + s.softmax * FLOAT32


def count(config: PuzzleHRMConfig, batch_size: int = 1, train: TrainConfig | None = None) -> Counts:
    """Return the exact counts of one model; takes microseconds.

    Args:
        config: the model.
        batch_size: sequences of a training step, and of the evaluation batch that is counted.
        train: the training config; only `ema` matters (an average of the weights takes memory). None: no EMA.
    """
    s = get_sizes(config)
    trainable = count_trainable_params(s)
    has_ema = train is not None and train.ema > 0
    return Counts(
        trainable_params=trainable,
        puzzle_embedding_params=s.num_puzzles * s.ndim,
        buffers=2 * s.H,
        flops_per_step=count_training_flops(s, batch_size),
        eval_flops_per_batch=count_evaluation_flops(s, batch_size),
        weight_bytes=count_weight_bytes(s, trainable),
        gradient_bytes=FLOAT32 * (trainable + batch_size * s.ndim),
        optimizer_bytes=FLOAT32 * (2 + has_ema) * trainable,
        activation_bytes=count_activation_bytes(s, batch_size),
    )


def get_sizes(config: PuzzleHRMConfig) -> Sizes:
    """Return the sizes of a config."""
    gradient_L_steps = min(config.gradient_L_steps, config.num_L_steps)
    H_updates, gradient_H_updates = count_h_updates(
        config.num_L_steps, config.effective_period, gradient_L_steps
    )
    return Sizes(
        H=config.hidden_size,
        I=config.inner_size,
        heads=config.num_heads,
        H_layers=config.H_layers,
        L_layers=config.L_layers,
        L_steps=config.num_L_steps,
        H_updates=H_updates,
        gradient_L_steps=gradient_L_steps,
        gradient_H_updates=gradient_H_updates,
        S=config.seq_len,
        P=config.puzzle_emb_len,
        V=config.vocab_size,
        num_puzzles=config.num_puzzle_identifiers,
        ndim=config.puzzle_embedding_size,
        learned=config.pos_encodings == "learned",
        softmax=config.loss_type == "softmax_cross_entropy",
        halt_max_steps=config.halt_max_steps,
        q_continue=config.q_continue,
        half=config.forward_dtype != "float32",
    )
