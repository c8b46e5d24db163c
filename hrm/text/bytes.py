"""The bytes that training one text HRM on a CPU takes, from its sizes alone. Symbols: `hrm.text.formulas`."""

from __future__ import annotations

from hrm.text.formulas import FLOAT32, Number, Sizes


def weight_bytes(s: Sizes, trainable: Number) -> Number:
    """Float32 masters, RoPE tables, and the copy cast for a pass."""
    rope_tables = 2 * FLOAT32 * s.S * (s.d // s.heads)
    cast_copy = s.half * 2 * trainable
    return FLOAT32 * trainable + rope_tables + cast_copy


def activation_bytes(s: Sizes, B: Number) -> Number:
    return 0 * s.d * B
