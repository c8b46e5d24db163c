"""Random numbers and training orders as pure functions of seed and step; epochs are without replacement."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_EPOCH, _STEP = 1, 2


def hash_uint64(values: np.ndarray) -> np.ndarray:
    """Spread each uint64 over all 64 bits, one to one: a step of SplitMix64 (Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        return mix_uint64(values + _GOLDEN)


def mix_uint64(values: np.ndarray) -> np.ndarray:
    """Apply the finalizer of SplitMix64 alone, which maps 0 to 0."""
    with np.errstate(over="ignore"):
        values = (values ^ (values >> np.uint64(30))) * _FIRST
        values = (values ^ (values >> np.uint64(27))) * _SECOND
    return values ^ (values >> np.uint64(31))


def draw_random_bits(*names: int | np.ndarray) -> np.ndarray:
    """Return random uint64 that depend on `names` alone (non-negative integers or arrays, broadcast together)."""
    bits = np.zeros((), np.uint64)
    for name in names:
        bits = hash_uint64(bits ^ hash_uint64(np.asarray(name, np.uint64)))
    return bits


def create_step_generator(seed: int, step: int) -> np.random.Generator:
    """Create the source of everything that is drawn within a training step."""
    return _create_generator(seed, _STEP, step)


def create_epoch_generator(seed: int, epoch: int) -> np.random.Generator:
    """Create the source of an epoch's order."""
    return _create_generator(seed, _EPOCH, epoch)


def _create_generator(*names: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=int(draw_random_bits(*names))))


@lru_cache(maxsize=8)
def shuffle_epoch(seed: int, epoch: int, num_examples: int) -> np.ndarray:
    """Return the order of an epoch, a permutation of `num_examples`."""
    order = create_epoch_generator(seed, epoch).permutation(num_examples)
    order.flags.writeable = False
    return order


def take_from_epochs(
    step: int, batch_size: int, epoch_length: int, get_order: Callable[[int], np.ndarray]
) -> np.ndarray:
    """Return the entries of a step, counted from 0, when epochs follow each other without a gap; int [batch_size].

    Args:
        step: 0 or more.
        batch_size: entries of a step; may exceed an epoch.
        epoch_length: entries of each epoch.
        get_order: returns the entries of an epoch by its number, [epoch_length].

    >>> take_from_epochs(1, 4, 3, lambda epoch: 10 * epoch + np.arange(3)).tolist()
    [11, 12, 20, 21]
    """
    epoch, start = divmod(step * batch_size, epoch_length)
    parts, missing = [], batch_size
    while missing:
        part = get_order(epoch)[start : start + missing]
        parts.append(part)
        missing -= len(part)
        epoch, start = epoch + 1, 0
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
