"""Exact parameters, FLOPs and bytes of a puzzle HRM, from its config alone.

One set of formulas serves a single config (Python ints, never overflowing) and arrays of configs (int64):
they use only arithmetic and comparisons that mean the same for both. Conventions: `hrm.models.counting`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from hrm.config.elementwise import Number, smaller
from hrm.config.train_config import TrainConfig
from hrm.models.counting import Counts
from hrm.models.counting_arrays import count_columns
from hrm.models.puzzle.config import PuzzleHRMConfig

FLOAT32 = 4
INT32 = 4
INT64 = 8
BOOL = 1


class Sizes(NamedTuple):
    """What the formulas need to know of one config, or of many."""

    H: Number
    I: Number  # noqa: E741
    heads: Number
    H_layers: Number
    L_layers: Number
    L_steps: Number
    H_updates: Number
    gradient_L_steps: Number
    gradient_H_updates: Number
    S: Number
    P: Number
    V: Number
    num_puzzles: Number
    ndim: Number
    """Numbers in one puzzle's embedding."""
    learned: Number
    """1 with learned positions, 0 with RoPE."""
    softmax: Number
    """1 with the softmax loss, 0 with stablemax."""
    halt_max_steps: Number
    q_continue: Number
    half: Number
    """1 where the forward pass has 16 bits a number, 0 where 32."""

    @property
    def T(self) -> Number:
        """Positions."""
        return self.P + self.S

    @property
    def forward_bytes(self) -> Number:
        """Bytes of a number in the forward pass."""
        return FLOAT32 - 2 * self.half


def h_updates(N: Number, p: Number, k: Number) -> tuple[Number, Number]:
    """H updates of a segment, and those among its last k L-steps; p and k at most N."""
    total = -(-N // p)
    return total, total - (N - k) // p


def all_counts(s: Sizes, batch_size: int, ema: bool) -> dict[str, Number]:
    """The fields of `hrm.models.counting.Counts`."""
    trainable = trainable_params(s)
    return {
        "trainable_params": trainable,
        "puzzle_embedding_params": s.num_puzzles * s.ndim,
        "buffers": 2 * s.H,
        "flops_per_step": training_flops(s, batch_size),
        "eval_flops_per_batch": evaluation_flops(s, batch_size),
        "weight_bytes": weight_bytes(s, trainable),
        "gradient_bytes": FLOAT32 * (trainable + batch_size * s.ndim),
        "optimizer_bytes": FLOAT32 * (2 + ema) * trainable,
        "activation_bytes": activation_bytes(s, batch_size),
    }


def block_params(s: Sizes) -> Number:
    """Query, key, value and output projections, and the three matrices of SwiGLU."""
    return 4 * s.H * s.H + 3 * s.H * s.I


def trainable_params(s: Sizes) -> Number:
    """Blocks, token embedding and head (not tied), the Q head with its two biases, learned positions."""
    blocks = (s.H_layers + s.L_layers) * block_params(s)
    return blocks + 2 * s.V * s.H + 2 * s.H + 2 + s.learned * s.T * s.H


def training_flops(s: Sizes, batch_size: int) -> Number:
    """One optimizer step: a segment forward, twice its differentiated part backward, the extra Q forward.

    That forward (for the target of continuing) makes a segment and the Q head, but not the cells' head.
    """
    L_step, H_update = module_flops(s, batch_size)
    segment = s.L_steps * L_step + s.H_updates * H_update
    gradient_part = s.gradient_L_steps * L_step + s.gradient_H_updates * H_update
    q_head, lm_head = head_flops(s, batch_size)
    extra_forward = _bootstraps(s) * (segment + q_head)
    return segment + q_head + lm_head + 2 * (gradient_part + q_head + lm_head) + extra_forward


def _bootstraps(s: Sizes) -> Number:
    """1 where training makes the extra forward for the target of continuing."""
    return s.q_continue * (s.halt_max_steps > 1)


def evaluation_flops(s: Sizes, batch_size: int) -> Number:
    """`halt_max_steps` segments, then both heads once."""
    L_step, H_update = module_flops(s, batch_size)
    q_head, lm_head = head_flops(s, batch_size)
    return s.halt_max_steps * (s.L_steps * L_step + s.H_updates * H_update) + q_head + lm_head


def module_flops(s: Sizes, batch_size: int) -> tuple[Number, Number]:
    """Forward FLOPs of an L-step and of an H update."""
    block = sum(block_flops(s, batch_size))
    return s.L_layers * block, s.H_layers * block


def block_flops(s: Sizes, batch_size: int) -> tuple[Number, Number]:
    """Forward FLOPs of a block: its projections, and attention's scores and mix."""
    return 2 * batch_size * s.T * block_params(s), 4 * batch_size * s.T * s.T * s.H


def head_flops(s: Sizes, batch_size: int) -> tuple[Number, Number]:
    """Forward FLOPs of the Q head (one position, two values) and of the cells' head."""
    return 4 * batch_size * s.H, 2 * batch_size * s.S * s.H * s.V


def weight_bytes(s: Sizes, trainable: Number) -> Number:
    """Float32 masters and puzzle embeddings, initial states, RoPE tables, and the copy cast for a segment."""
    rope_tables = (1 - s.learned) * 2 * FLOAT32 * s.T * (s.H // s.heads)
    cast_copy = s.half * 2 * trainable
    masters = FLOAT32 * (trainable + s.num_puzzles * s.ndim)
    return masters + s.forward_bytes * 2 * s.H + rope_tables + cast_copy


def activation_bytes(s: Sizes, batch_size: int) -> Number:
    """What autograd keeps for a segment's backward on a CPU, each storage once, weights apart.

    Attention is fused, which keeps one float32 a head and position instead of T x T scores, and there it and
    the norms work in float32 whatever the forward type. What lives only within a call is not in it.
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
    return blocks * block + _heads_activation_bytes(s, batch_size) + _loss_activation_bytes(s, batch_size)


def _heads_activation_bytes(s: Sizes, batch_size: int) -> Number:
    """Token numbers for the embedding; z_H for both heads, the cells' part twice unless it is a view."""
    is_copied = (s.P > 0) * (s.S > 1) * (batch_size > 1)
    z_H = (s.T + is_copied * s.S) * s.H * s.forward_bytes
    return batch_size * (INT32 * s.S + z_H)


def _loss_activation_bytes(s: Sizes, batch_size: int) -> Number:
    # Stablemax: logits, reciprocals and scores, and which logits are negative; then of each cell its label,
    # score, sum, and whether it counts. Softmax: log-probabilities and labels, and one scalar a batch.
    stablemax = s.S * (s.V * (3 * FLOAT32 + BOOL) + INT64 + 2 * FLOAT32 + BOOL)
    softmax = s.S * (s.V * FLOAT32 + INT64)
    # Number of labels, both Q values, and the target of each.
    q_values = INT64 + 2 * FLOAT32 + FLOAT32 + FLOAT32 * _bootstraps(s)
    return batch_size * ((1 - s.softmax) * stablemax + s.softmax * softmax + q_values) + s.softmax * FLOAT32


def count(config: PuzzleHRMConfig, batch_size: int = 1, train: TrainConfig | None = None) -> Counts:
    """Exact counts of one model, in microseconds.

    Args:
        config: the model.
        batch_size: sequences of a training step, and of the evaluation batch that is counted.
        train: the training rules; only `ema` matters (an average of the weights takes memory). None: no EMA.
    """
    return Counts(**all_counts(sizes_of(config), batch_size, _has_ema(train)))


def sizes_of(config: PuzzleHRMConfig) -> Sizes:
    """What the formulas need of one config, or of one of arrays."""
    gradient_L_steps = smaller(config.gradient_L_steps, config.num_L_steps)
    H_updates, gradient_H_updates = h_updates(config.num_L_steps, config.effective_period, gradient_L_steps)
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


def count_arrays(
    fields: Mapping[str, Any], batch_size: int = 1, train: TrainConfig | None = None
) -> dict[str, np.ndarray]:
    """`count` of many configs at once, more than a million a second.

    Args:
        fields: a value or an array for each config field, broadcast against each other; a missing field has
            its default, and None means what it means in the config. Whether the configs are valid (heads that
            divide the width, say) is not looked at.
        batch_size, train: as for `count`, the same for all.

    Returns, raises: see `count_columns`.
    """
    ema = _has_ema(train)
    return count_columns(fields, PuzzleHRMConfig, sizes_of, lambda sizes: all_counts(sizes, batch_size, ema))


def _has_ema(train: TrainConfig | None) -> bool:
    return train is not None and train.ema > 0
