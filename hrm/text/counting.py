"""Exact parameters, FLOPs and bytes of a text HRM, from its config alone.

FLOPs depend on when tokens halt: `Counts` holds the most that a step can cost, `executed_...` what given steps
cost, `expected_training_flops` the mean over random halting. Conventions: `hrm.counting`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hrm.counting import Counts
from hrm.counting_arrays import count_columns
from hrm.text.bytes import activation_bytes, weight_bytes
from hrm.text.config import TextHRMConfig
from hrm.text.formulas import (
    FLOAT32,
    Calls,
    Sizes,
    evaluation_flops,
    fewest_calls,
    most_calls,
    trainable_params,
    training_flops,
)
from hrm.train_config import TrainConfig


def count(config: TextHRMConfig, batch_size: int = 1, train: TrainConfig | None = None) -> Counts:
    """Counts of one model, in microseconds. FLOPs and bytes are the most that a step can take: those of
    steps in which at least one token of each layer goes on to the end.

    Args:
        config: the model.
        batch_size: sequences of a batch, in training and evaluation.
        train: the training rules; `ema` and `accumulation` matter (a step trains on `accumulation` batches).
    """
    return Counts(**_all_counts(sizes_of(config), batch_size, train))


def sizes_of(config: TextHRMConfig) -> Sizes:
    """What the formulas need of one config, or of one of arrays."""
    return Sizes(
        d=config.n_embd,
        f=config.inner_size,
        heads=config.n_head,
        layers=config.n_layers,
        T=config.halt_max_steps,
        p=config.effective_period,
        S=config.seq_len,
        V=config.vocab_size,
        half=config.forward_dtype != "float32",
        dropout=config.dropout > 0,
        checkpointing=config.gradient_checkpointing,
    )


def count_arrays(
    fields: Mapping[str, Any], batch_size: int = 1, train: TrainConfig | None = None
) -> dict[str, np.ndarray]:
    """`count` of many configs at once; arguments and result as the puzzle family's `count_arrays`."""
    return count_columns(fields, TextHRMConfig, sizes_of, lambda sizes: _all_counts(sizes, batch_size, train))


def _all_counts(s: Sizes, batch_size: int, train: TrainConfig | None) -> dict[str, Any]:
    trainable = trainable_params(s)
    accumulation = 1 if train is None else train.accumulation
    num_states = 2 + (train is not None and train.ema > 0)
    return {
        "trainable_params": trainable,
        "puzzle_embedding_params": 0 * trainable,
        "buffers": 0 * trainable,
        "flops_per_step": accumulation * training_flops(s, batch_size, most_calls(s)),
        "eval_flops_per_batch": evaluation_flops(s, batch_size, most_calls(s)),
        "weight_bytes": weight_bytes(s, trainable),
        "gradient_bytes": FLOAT32 * trainable,
        "optimizer_bytes": FLOAT32 * num_states * trainable,
        "activation_bytes": activation_bytes(s, batch_size, most_calls(s)),
    }


def executed_training_flops(
    config: TextHRMConfig, num_sequences: int, seq_len: int, num_updates: Sequence[int]
) -> int:
    """Training FLOPs of one batch whose layers made these numbers of H updates."""
    sizes = sizes_of(config)._replace(S=seq_len)
    return int(training_flops(sizes, num_sequences, calls_of(sizes, num_updates)))


def executed_eval_flops(
    config: TextHRMConfig, num_sequences: int, seq_len: int, num_updates: Sequence[int]
) -> int:
    """FLOPs of evaluating one batch whose layers made these numbers of H updates."""
    sizes = sizes_of(config)._replace(S=seq_len)
    return int(evaluation_flops(sizes, num_sequences, calls_of(sizes, num_updates)))


def calls_of(s: Sizes, num_updates: Sequence[int]) -> Calls:
    """The calls of one model whose layers made these numbers of H updates."""
    return Calls(
        L_steps=sum(min(k * s.p, s.T) for k in num_updates),
        H_updates=sum(num_updates),
        decisions=sum(min(k, s.K - 1) for k in num_updates),
    )


def fewest_training_flops(config: TextHRMConfig, batch_size: int) -> int:
    """Training FLOPs of a batch whose tokens all halt as early as they may."""
    sizes = sizes_of(config)
    return int(training_flops(sizes, batch_size, fewest_calls(sizes)))


def expected_training_flops(config: TextHRMConfig, batch_size: int, halting: Sequence[float]) -> float:
    """Expected training FLOPs of a batch under adaptive halting.

    A layer runs until its last token has halted, so with many tokens it runs nearly as long as the token that
    goes on longest.

    Args:
        halting: the chance that a token that arrives at the k-th H update running halts there, for each
            update but the one at step T, where all do; tokens and layers are taken for independent.
    """
    sizes = sizes_of(config)
    assert len(halting) == sizes.K - 1
    num_tokens = batch_size * sizes.S
    expected, still_running, reached = 0.0, 1.0, 1.0
    for k in range(1, sizes.K + 1):
        still_running *= 1 - halting[k - 1] if k < sizes.K else 0.0
        goes_on = 1 - (1 - still_running) ** num_tokens
        ends_here = training_flops(sizes, batch_size, calls_of(sizes, [k] * sizes.layers))
        expected += (reached - goes_on) * ends_here
        reached = goes_on
    return expected
