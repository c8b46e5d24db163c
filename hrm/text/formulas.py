"""The formulas of counting: what one text HRM has and executes.

Every size is an int or an int64 array, so only arithmetic that means the same for both is used. Symbols: B
sequences of S tokens, d width, f inner width, q = d // 4 width of a Q network, V vocabulary, T steps, p period.
"""

from __future__ import annotations

from typing import NamedTuple

from hrm.elementwise import Number

FLOAT32 = 4
INT32 = 4
INT64 = 8


class Sizes(NamedTuple):
    """What the formulas need to know of one config, or of many."""

    d: Number
    f: Number
    heads: Number
    layers: Number
    T: Number
    p: Number
    """At most T."""
    S: Number
    V: Number
    half: Number
    """1 where the forward pass has 16 bits a number, 0 where 32."""
    dropout: Number
    """1 where numbers are dropped in training."""
    checkpointing: Number
    """1 where block calls are computed again in the backward."""

    @property
    def q(self) -> Number:
        """Width of a Q network."""
        return self.d // 4

    @property
    def forward_bytes(self) -> Number:
        """Bytes of a number in the forward pass."""
        return FLOAT32 - 2 * self.half

    @property
    def K(self) -> Number:
        """H updates of a layer in which some token goes on to the end."""
        return -(-self.T // self.p)


class Calls(NamedTuple):
    """How often the parts run in one pass, summed over layers."""

    L_steps: Number
    H_updates: Number
    decisions: Number
    """H updates at which tokens may halt: all but those at step T."""


def block_params(s: Sizes) -> Number:
    """Query, key, value and output projections, the three matrices of SwiGLU, two norms."""
    return 4 * s.d * s.d + 3 * s.d * s.f + 2 * s.d


def layer_params(s: Sizes) -> Number:
    """Both blocks, the Q network (d to q to 2, with biases) and the halting head with its bias."""
    q_network = s.d * s.q + 3 * s.q + 2
    return 2 * block_params(s) + q_network + s.d + 1


def trainable_params(s: Sizes) -> Number:
    """The embedding, which is the head too, the layers and the last norm."""
    return s.V * s.d + s.layers * layer_params(s) + s.d


def most_calls(s: Sizes) -> Calls:
    """Where at least one token goes on to step T in every layer."""
    return Calls(s.layers * s.T, s.layers * s.K, s.layers * (s.K - 1))


def fewest_calls(s: Sizes) -> Calls:
    """Where every token halts at the first H update of every layer."""
    return Calls(s.layers * s.p, s.layers, s.layers * (s.K > 1))


def training_flops(s: Sizes, B: Number, calls: Calls) -> Number:
    """One pass and its backward, without recompute.

    The backward costs twice the forward, except in a Q network's first matrix, whose input needs no gradient.
    The Q network runs at every H update, the halting head where a token may halt.
    """
    hidden, values = q_flops(s, B)
    q_network = calls.H_updates * (2 * hidden + 3 * values)
    return 3 * (_trunk_flops(s, B, calls) + calls.decisions * halt_flops(s, B)) + q_network


def evaluation_flops(s: Sizes, B: Number, calls: Calls) -> Number:
    """One pass without gradient: Q network and halting head run where a token may halt."""
    return _trunk_flops(s, B, calls) + calls.decisions * (halt_flops(s, B) + sum(q_flops(s, B)))


def _trunk_flops(s: Sizes, B: Number, calls: Calls) -> Number:
    """Forward FLOPs of the blocks and the head."""
    return (calls.L_steps + calls.H_updates) * sum(block_flops(s, B)) + head_flops(s, B)


def block_flops(s: Sizes, B: Number) -> tuple[Number, Number]:
    """Forward FLOPs of a block call: its projections, and attention's scores and mix (the whole square)."""
    return 2 * B * s.S * (4 * s.d * s.d + 3 * s.d * s.f), 4 * B * s.S * s.S * s.d


def head_flops(s: Sizes, B: Number) -> Number:
    return 2 * B * s.S * s.d * s.V


def halt_flops(s: Sizes, B: Number) -> Number:
    return 2 * B * s.S * s.d


def q_flops(s: Sizes, B: Number) -> tuple[Number, Number]:
    """Forward FLOPs of a Q network: its hidden layer, and its two values."""
    return 2 * B * s.S * s.d * s.q, 4 * B * s.S * s.q
