"""The bytes that training one text HRM on a CPU takes, from its sizes alone. Symbols: `hrm.text.formulas`."""

from __future__ import annotations

from hrm.text.formulas import FLOAT32, INT32, INT64, Calls, Number, Sizes


def weight_bytes(s: Sizes, trainable: Number) -> Number:
    """Float32 masters, RoPE tables, and the copy cast for a pass."""
    rope_tables = 2 * FLOAT32 * s.S * (s.d // s.heads)
    cast_copy = s.half * 2 * trainable
    return FLOAT32 * trainable + rope_tables + cast_copy


def activation_bytes(s: Sizes, B: Number, calls: Calls) -> Number:
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


def _norm_bytes(s: Sizes) -> Number:
    """Of a token, a norm without weights: its input and scale."""
    return FLOAT32 * (s.d + 1)


def _weighted_norm_bytes(s: Sizes) -> Number:
    """Of a token, a norm with weights: the same, and the result before the weights."""
    return _norm_bytes(s) + FLOAT32 * s.d


def _block_bytes(s: Sizes) -> Number:
    """Of a token, a block call without the norm before it."""
    x = s.d * s.forward_bytes
    # A cast makes a copy of v; without one, v keeps the old q and k alive beside the rotated ones.
    query_key_value = FLOAT32 * s.d * (3 + 2 * (1 - s.half))
    mixed = FLOAT32 * s.d + s.half * x  # and its cast
    attention = x + query_key_value + mixed + FLOAT32 * s.heads  # input; ...; log-sums
    mlp = x + 4 * s.f * s.forward_bytes  # input; gate and up; silu(gate); their product
    dropped = 2 * s.dropout * s.d
    return 2 * _weighted_norm_bytes(s) + attention + mlp + dropped


def _halting_bytes(s: Sizes, calls: Calls) -> Number:
    """Of a token: at each H update the state, its share of the output and the Q network's hidden layer; then
    numbers and flags of the decision and of the Q loss."""
    update = (s.d + 1 + s.q) * s.forward_bytes
    numbers = FLOAT32 * (calls.H_updates + 3 * calls.decisions)
    flags = calls.H_updates + calls.decisions
    return calls.H_updates * update + numbers + flags


def _ends_bytes(s: Sizes) -> Number:
    """Of a token: its number and label, the last norm, the head's input, log-probabilities, and whether and by
    how much it counts."""
    return INT32 + INT64 + _weighted_norm_bytes(s) + s.d * s.forward_bytes + FLOAT32 * s.V + 1 + FLOAT32
