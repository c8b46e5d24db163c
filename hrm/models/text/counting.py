"""Exact parameters, FLOPs and bytes of a text HRM, from its config alone.

FLOPs depend on when tokens halt: `Counts` holds the most that a step can cost, `executed_...` what given steps
cost, `expected_training_flops` the mean over random halting. Conventions: `hrm.models.counting`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hrm.config.train_config import TrainConfig
from hrm.models.counting import Counts
from hrm.models.text.config import TextHRMConfig

FLOAT32 = 4
INT32 = 4
INT64 = 8


class Sizes(NamedTuple):
    """What the formulas need to know of a config."""

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
        """H updates of a layer in which some token goes on to the end."""
        return -(-self.T // self.p)


class Calls(NamedTuple):
    """How often the parts run in one pass, summed over layers."""

    L_steps: int
    H_updates: int
    decisions: int
    """H updates at which tokens may halt: all but those at step T."""


def block_params(s: Sizes) -> int:
    """Query, key, value and output projections, the three matrices of SwiGLU, two norms."""
    return 4 * s.d * s.d + 3 * s.d * s.f + 2 * s.d


def layer_params(s: Sizes) -> int:
    """Both blocks, the Q network (d to q to 2, with biases) and the halting head with its bias."""
    q_network = s.d * s.q + 3 * s.q + 2
    return 2 * block_params(s) + q_network + s.d + 1


def trainable_params(s: Sizes) -> int:
    """The embedding, which is the head too, the layers and the last norm."""
    return s.V * s.d + s.layers * layer_params(s) + s.d


def most_calls(s: Sizes) -> Calls:
    """Where at least one token goes on to step T in every layer."""
    return Calls(s.layers * s.T, s.layers * s.K, s.layers * (s.K - 1))


def fewest_calls(s: Sizes) -> Calls:
    """Where every token halts at the first H update of every layer."""
    return Calls(s.layers * s.p, s.layers, s.layers * (s.K > 1))


def training_flops(s: Sizes, B: int, calls: Calls) -> int:
    """One pass and its backward, without recompute.

    The backward costs twice the forward, except in a Q network's first matrix, whose input needs no gradient.
    The Q network runs at every H update, the halting head where a token may halt.
    """
    hidden, values = q_flops(s, B)
    q_network = calls.H_updates * (2 * hidden + 3 * values)
    return 3 * (_trunk_flops(s, B, calls) + calls.decisions * halt_flops(s, B)) + q_network


def evaluation_flops(s: Sizes, B: int, calls: Calls) -> int:
    """One pass without gradient: Q network and halting head run where a token may halt."""
    return _trunk_flops(s, B, calls) + calls.decisions * (halt_flops(s, B) + sum(q_flops(s, B)))


def _trunk_flops(s: Sizes, B: int, calls: Calls) -> int:
    """Forward FLOPs of the blocks and the head."""
    return (calls.L_steps + calls.H_updates) * sum(block_flops(s, B)) + head_flops(s, B)


def block_flops(s: Sizes, B: int) -> tuple[int, int]:
    """Forward FLOPs of a block call: its projections, and attention's scores and mix (the whole square)."""
    return 2 * B * s.S * (4 * s.d * s.d + 3 * s.d * s.f), 4 * B * s.S * s.S * s.d


def head_flops(s: Sizes, B: int) -> int:
    return 2 * B * s.S * s.d * s.V


def halt_flops(s: Sizes, B: int) -> int:
    return 2 * B * s.S * s.d


def q_flops(s: Sizes, B: int) -> tuple[int, int]:
    """Forward FLOPs of a Q network: its hidden layer, and its two values."""
    return 2 * B * s.S * s.d * s.q, 4 * B * s.S * s.q


def weight_bytes(s: Sizes, trainable: int) -> int:
    """Float32 masters, RoPE tables, and the copy cast for a pass."""
    rope_tables = 2 * FLOAT32 * s.S * (s.d // s.heads)
    cast_copy = s.half * 2 * trainable
    return FLOAT32 * trainable + rope_tables + cast_copy


def activation_bytes(s: Sizes, B: int, calls: Calls) -> int:
    """What autograd keeps for the backward of one pass over B sequences, each storage once, weights apart.

    Attention is fused, which keeps one float32 a head and token instead of S x S scores, and there it and the
    norms work in float32 whatever the forward type. What lives only within a call is not in it.
    """
    num_calls = calls.L_steps + calls.H_updates
    inside = (1 - s.checkpointing) * _block_bytes(s) + s.checkpointing * s.d * s.forward_bytes
    token = (
        num_calls * (inside + _norm_bytes(s))
        + s.layers * _norm_bytes(s)
        + _halting_bytes(s, calls)
        + _ends_bytes(s)
    )
    return B * s.S * token + FLOAT32  # one number for the whole cross entropy


def _norm_bytes(s: Sizes) -> int:
    """Of a token, a norm without weights: its input and scale."""
    return FLOAT32 * (s.d + 1)


def _weighted_norm_bytes(s: Sizes) -> int:
    """Of a token, a norm with weights: the same, and the result before the weights."""
    return _norm_bytes(s) + FLOAT32 * s.d


def _block_bytes(s: Sizes) -> int:
    """Of a token, a block call without the norm before it."""
    x = s.d * s.forward_bytes
    # A cast makes a copy of v; without one, v keeps the old q and k alive beside the rotated ones.
    query_key_value = FLOAT32 * s.d * (3 + 2 * (1 - s.half))
    mixed = FLOAT32 * s.d + s.half * x  # and its cast
    attention = x + query_key_value + mixed + FLOAT32 * s.heads  # input; ...; log-sums
    mlp = x + 4 * s.f * s.forward_bytes  # input; gate and up; silu(gate); their product
    dropped = 2 * s.dropout * s.d
    return 2 * _weighted_norm_bytes(s) + attention + mlp + dropped


def _halting_bytes(s: Sizes, calls: Calls) -> int:
    """Of a token: at each H update the state, its share of the output and the Q network's hidden layer; then
    numbers and flags of the decision and of the Q loss."""
    update = (s.d + 1 + s.q) * s.forward_bytes
    numbers = FLOAT32 * (calls.H_updates + 3 * calls.decisions)
    flags = calls.H_updates + calls.decisions
    return calls.H_updates * update + numbers + flags


def _ends_bytes(s: Sizes) -> int:
    """Of a token: its number and label, the last norm, the head's input, log-probabilities, and whether and by
    how much it counts."""
    return INT32 + INT64 + _weighted_norm_bytes(s) + s.d * s.forward_bytes + FLOAT32 * s.V + 1 + FLOAT32


def count(config: TextHRMConfig, batch_size: int = 1, train: TrainConfig | None = None) -> Counts:
    """Counts of one model, in microseconds. FLOPs and bytes are the most that a step can take: those of
    steps in which at least one token of each layer goes on to the end.

    Args:
        config: the model.
        batch_size: sequences of a batch, in training and evaluation.
        train: the training rules; `ema` and `accumulation` matter (a step trains on `accumulation` batches).
    """
    s = sizes_of(config)
    trainable = trainable_params(s)
    accumulation = 1 if train is None else train.accumulation
    has_ema = train is not None and train.ema > 0
    return Counts(
        trainable_params=trainable,
        puzzle_embedding_params=0,
        buffers=0,
        flops_per_step=accumulation * training_flops(s, batch_size, most_calls(s)),
        eval_flops_per_batch=evaluation_flops(s, batch_size, most_calls(s)),
        weight_bytes=weight_bytes(s, trainable),
        gradient_bytes=FLOAT32 * trainable,
        optimizer_bytes=FLOAT32 * (2 + has_ema) * trainable,
        activation_bytes=activation_bytes(s, batch_size, most_calls(s)),
    )


def sizes_of(config: TextHRMConfig) -> Sizes:
    """Return what the formulas need of a config."""
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


def executed_training_flops(
    config: TextHRMConfig, num_sequences: int, seq_len: int, num_updates: Sequence[int]
) -> int:
    """Training FLOPs of one batch whose layers made these numbers of H updates."""
    sizes = sizes_of(config)._replace(S=seq_len)
    return training_flops(sizes, num_sequences, calls_of(sizes, num_updates))


def executed_eval_flops(
    config: TextHRMConfig, num_sequences: int, seq_len: int, num_updates: Sequence[int]
) -> int:
    """FLOPs of evaluating one batch whose layers made these numbers of H updates."""
    sizes = sizes_of(config)._replace(S=seq_len)
    return evaluation_flops(sizes, num_sequences, calls_of(sizes, num_updates))


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
    return training_flops(sizes, batch_size, fewest_calls(sizes))


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
