"""Exact parameters, FLOPs and bytes of a puzzle HRM, from its config alone.

One set of formulas serves a single config (Python ints, never overflowing) and arrays of configs (int64):
they use only arithmetic and comparisons that mean the same for both. Conventions: `hrm.counting`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hrm.counting import Counts
from hrm.counting_arrays import count_columns
from hrm.elementwise import smaller
from hrm.puzzle.config import PuzzleHRMConfig
from hrm.puzzle.formulas import Sizes, all_counts, h_updates
from hrm.train_config import TrainConfig


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
