"""Arithmetic that means the same for a number and for an array of numbers; of Python ints it never overflows."""

from __future__ import annotations

from typing import Any

import numpy as np

Number = Any
"""An int or a float, or an int64 or float64 array of one for each config."""


def smaller(a: Number, b: Number) -> Number:
    """The lesser of two."""
    return min(a, b) if isinstance(a, int) and isinstance(b, int) else np.minimum(a, b)


def rounded(x: Number) -> Number:
    """The nearest int, halves to the even one."""
    return round(x) if isinstance(x, float) else np.rint(x).astype(np.int64)


def filled(value: Number | None, default: Number) -> Number:
    """`value` with `default` for None; an array that has None among its ints becomes int64."""
    if value is None:
        return default
    if isinstance(value, np.ndarray) and value.dtype == object:
        is_none = value == np.asarray(None)
        return np.where(is_none, default, np.where(is_none, 0, value).astype(np.int64))
    return value
