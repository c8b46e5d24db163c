"""Exact parameters, FLOPs and bytes of a text HRM, from its config alone.

FLOPs depend on when tokens halt: `Counts` holds the most that a step can cost, `count_min_training_flops` the least,
`count_executed_...` the cost of given steps, and `compute_expected_training_flops` the mean over random halting.
Conventions: `hrm.models.registry.Counts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hrm.config.train_config import TrainConfig
from hrm.models.registry import Counts
from hrm.models.text.config import TextHRMConfig

FLOAT32 = 4
INT32 = 4
INT64 = 8


class Sizes(NamedTuple):
    """The sizes of a config, as the formulas name them."""

    d: int
    f: int
    heads: int
    layers: int
    T: int
    p: int
    """At most T."""
    S: int
    V: int
    half: int
    """1 where the forward pass has 16 bits a number, 0 where 32."""
    dropout: int
    """1 where numbers are dropped in training."""
    checkpointing: int
    """1 where block calls are computed again in the backward."""

    @property
    def q(self) -> int:
        """Width of a Q network."""
        return self.d // 4

    @property
    def forward_bytes(self) -> int:
        """Bytes of a number in the forward pass."""
        return FLOAT32 - 2 * self.half

    @property
    def K(self) -> int:
        """H updates of a layer in which some token continues to step T."""
        return -(-self.T // self.p)


class Calls(NamedTuple):
    """How often the parts run in one pass, summed over layers."""

    L_steps: int
    H_updates: int
    decisions: int
    """H updates at which tokens may halt: all but those at step T."""


def count_block_params(s: Sizes) -> int:
    """Count query, key, value and output projections, the three matrices of SwiGLU, two norms."""
    return 4 * s.d * s.d + 3 * s.d * s.f + 2 * s.d


def count_layer_params(s: Sizes) -> int:
    """Count both blocks, the Q network (d to q to 2, with biases) and the halting head with its bias."""
    q_network = s.d * s.q + 3 * s.q + 2
    return 2 * count_block_params(s) + q_network + s.d + 1


def count_trainable_params(s: Sizes) -> int:
    """Count the embedding, which is also the head, the layers and the last norm."""
    return s.V * s.d + s.layers * count_layer_params(s) + s.d


def count_calls(s: Sizes, num_updates: Sequence[int]) -> Calls:
    """Return the calls of a pass in which each layer makes one of these numbers of H updates.

    `[s.K] * s.layers` are the most: some token of each layer continues to step T. `[1] * s.layers` are the fewest:
    all tokens halt at the first H update.
    """
    return Calls(
        L_steps=sum(min(k * s.p, s.T) for k in num_updates),
        H_updates=sum(num_updates),
        decisions=sum(min(k, s.K - 1) for k in num_updates),
    )


def count_training_flops(s: Sizes, B: int, calls: Calls) -> int:
    """Count one pass and its backward, without recomputation.

    The backward costs twice the forward, except in a Q network's first matrix, whose input needs no gradient.
    The Q network runs at every H update, the halting head where a token may halt.
    """
    hidden, values = count_q_flops(s, B)
    q_network = calls.H_updates * (2 * hidden + 3 * values)
    return 3 * (_count_trunk_flops(s, B, calls) + calls.decisions * count_halt_flops(s, B)) + q_network


def count_evaluation_flops(s: Sizes, B: int, calls: Calls) -> int:
    """Count one pass without gradient: Q network and halting head run where a token may halt."""
    decision = count_halt_flops(s, B) + sum(count_q_flops(s, B))
    return _count_trunk_flops(s, B, calls) + calls.decisions * decision


def _count_trunk_flops(s: Sizes, B: int, calls: Calls) -> int:
    """Return the forward FLOPs of the blocks and the head."""
    return (calls.L_steps + calls.H_updates) * sum(count_block_flops(s, B)) + count_head_flops(s, B)


def count_block_flops(s: Sizes, B: int) -> tuple[int, int]:
    """Return the forward FLOPs of a block call: its projections, scores and mix of attention (the whole square)."""
    return 2 * B * s.S * (4 * s.d * s.d + 3 * s.d * s.f), 4 * B * s.S * s.S * s.d


def count_head_flops(s: Sizes, B: int) -> int:
    return 2 * B * s.S * s.d * s.V


def count_halt_flops(s: Sizes, B: int) -> int:
    return 2 * B * s.S * s.d


def count_q_flops(s: Sizes, B: int) -> tuple[int, int]:
    """Return the forward FLOPs of a Q network: its hidden layer, and its two values."""
    return 2 * B * s.S * s.d * s.q, 4 * B * s.S * s.q


def count_weight_bytes(s: Sizes, trainable: int) -> int:
    """Count float32 weights, RoPE tables, and the copy cast for a pass."""
    rope_tables = 2 * FLOAT32 * s.S * (s.d // s.heads)
    cast_copy = s.half * 2 * trainable
    return FLOAT32 * trainable + rope_tables + cast_copy


def count_activation_bytes(s: Sizes, B: int, calls: Calls) -> int:
    """Count what autograd keeps for the backward of a pass over B sequences, each storage once, without weights.

    Fused attention keeps one float32 per head and token instead of S x S scores; attention and norms compute in
    float32 whatever the forward type. Memory that is freed within a call is not included.
    """
    num_calls = calls.L_steps + calls.H_updates
    inside = (1 - s.checkpointing) * _count_block_bytes(s) + s.checkpointing * s.d * s.forward_bytes
    token = (
        num_calls * (inside + _count_norm_bytes(s))
        + s.layers * _count_norm_bytes(s)
        + _count_halting_bytes(s, calls)
        + _count_ends_bytes(s)
    )
    return B * s.S * token + FLOAT32  # one number for the whole cross entropy


def _count_norm_bytes(s: Sizes) -> int:
    """Count for a token and a norm without weights: its input and scale."""
    return FLOAT32 * (s.d + 1)


def _count_weighted_norm_bytes(s: Sizes) -> int:
    """Count for a token and a norm with weights: the same, and the result before the weights."""
    return _count_norm_bytes(s) + FLOAT32 * s.d


def _count_block_bytes(s: Sizes) -> int:
    """Count for a token and a block call, without the norm before it."""
    x = s.d * s.forward_bytes
    # A cast makes a copy of v; without one, v keeps the old q and k alive in addition to the rotated ones.
    query_key_value = FLOAT32 * s.d * (3 + 2 * (1 - s.half))
    mixed = FLOAT32 * s.d + s.half * x  # and its cast
    attention = x + query_key_value + mixed + FLOAT32 * s.heads  # input; ...; log-sums
    mlp = x + 4 * s.f * s.forward_bytes  # input; gate and up; silu(gate); their product
    dropped = 2 * s.dropout * s.d
    return 2 * _count_weighted_norm_bytes(s) + attention + mlp + dropped


def _count_halting_bytes(s: Sizes, calls: Calls) -> int:
    """Count for a token: at each H update the state, its share of the output and the Q network's hidden layer;
    then numbers and flags of the decision and of the Q loss."""
    update = (s.d + 1 + s.q) * s.forward_bytes
    numbers = FLOAT32 * (calls.H_updates + 3 * calls.decisions)
    flags = calls.H_updates + calls.decisions
    return calls.H_updates * update + numbers + flags


def _count_ends_bytes(s: Sizes) -> int:
    """Count for a token: its number and label, the last norm, the head's input, log-probabilities, and the flag
    and weight with which it counts."""
    return INT32 + INT64 + _count_weighted_norm_bytes(s) + s.d * s.forward_bytes + FLOAT32 * s.V + 1 + FLOAT32


def count(config: TextHRMConfig, batch_size: int = 1, train: TrainConfig | None = None) -> Counts:
    """Return the counts of one model; takes microseconds.

    FLOPs and bytes are the most that a step can take, when some token of each layer continues to step T.

    Args:
        config: the model.
        batch_size: sequences of a batch, in training and evaluation.
        train: the training config; `ema` and `accumulation` matter (a step trains on `accumulation` batches).
    """
    s = get_sizes(config)
    trainable, most = count_trainable_params(s), count_calls(s, [s.K] * s.layers)
    accumulation = 1 if train is None else train.accumulation
    has_ema = train is not None and train.ema > 0
    return Counts(
        trainable_params=trainable,
        puzzle_embedding_params=0,
        buffers=0,
        flops_per_step=accumulation * count_training_flops(s, batch_size, most),
        eval_flops_per_batch=count_evaluation_flops(s, batch_size, most),
        weight_bytes=count_weight_bytes(s, trainable),
        gradient_bytes=FLOAT32 * trainable,
        optimizer_bytes=FLOAT32 * (2 + has_ema) * trainable,
        activation_bytes=count_activation_bytes(s, batch_size, most),
    )


def get_sizes(config: TextHRMConfig) -> Sizes:
    """Return the sizes of a config."""
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


def count_executed_training_flops(
    config: TextHRMConfig, num_sequences: int, seq_len: int, num_updates: Sequence[int]
) -> int:
    """Return the training FLOPs of one batch whose layers made these numbers of H updates."""
    sizes = get_sizes(config)._replace(S=seq_len)
    return count_training_flops(sizes, num_sequences, count_calls(sizes, num_updates))


def count_executed_eval_flops(
    config: TextHRMConfig, num_sequences: int, seq_len: int, num_updates: Sequence[int]
) -> int:
    """Return the FLOPs of evaluating one batch whose layers made these numbers of H updates."""
    sizes = get_sizes(config)._replace(S=seq_len)
    return count_evaluation_flops(sizes, num_sequences, count_calls(sizes, num_updates))


def count_min_training_flops(config: TextHRMConfig, batch_size: int) -> int:
    """Return the training FLOPs of a batch whose tokens all halt as early as they may."""
    sizes = get_sizes(config)
    return count_training_flops(sizes, batch_size, count_calls(sizes, [1] * sizes.layers))


def compute_expected_training_flops(
    config: TextHRMConfig, batch_size: int, halting: Sequence[float]
) -> float:
    """Return the expected training FLOPs of a batch under adaptive halting.

    A layer runs until its last token has halted, so with many tokens it runs nearly as long as the token that
    continues longest. Tokens and layers are assumed to be independent.

    Args:
        config: the model.
        batch_size: sequences of the batch.
        halting: the probability that a token that arrives running at the k-th H update halts there, for each
            update except the one at step T, where all tokens halt.
    """
    sizes = get_sizes(config)
    assert len(halting) == sizes.K - 1
    num_tokens = batch_size * sizes.S
    expected, still_running, reached = 0.0, 1.0, 1.0
    for k in range(1, sizes.K + 1):
        still_running *= 1 - halting[k - 1] if k < sizes.K else 0.0
        continues = 1 - (1 - still_running) ** num_tokens
        ends_here = count_training_flops(sizes, batch_size, count_calls(sizes, [k] * sizes.layers))
        expected += (reached - continues) * ends_here
        reached = continues
    return expected
