"""A 64-bit mixing function over arrays: random numbers that depend on their names alone, never on order."""

from __future__ import annotations

import numpy as np

_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix(values: np.ndarray) -> np.ndarray:
    """Spreads each uint64 over all 64 bits, one to one: a step of SplitMix64 (Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        return finalise(values + _GOLDEN)


def finalise(values: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 alone, which leaves 0 where it is."""
    with np.errstate(over="ignore"):
        values = (values ^ (values >> np.uint64(30))) * _FIRST
        values = (values ^ (values >> np.uint64(27))) * _SECOND
    return values ^ (values >> np.uint64(31))


def random_bits(*names: int | np.ndarray) -> np.ndarray:
    """Random uint64 for each combination of `names` (non-negative integers or arrays, broadcast together)."""
    bits = np.zeros((), np.uint64)
    for name in names:
        bits = mix(bits ^ mix(np.asarray(name, np.uint64)))
    return bits
