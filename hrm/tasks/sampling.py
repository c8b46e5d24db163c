"""Which examples a training step takes: pure functions of seed and step, in epochs without replacement."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from hrm.tasks.mixing import random_bits

_EPOCH, _STEP = 1, 2


def step_generator(seed: int, step: int) -> np.random.Generator:
    """The source of all that is drawn within a training step."""
    return _generator(seed, _STEP, step)


def epoch_generator(seed: int, epoch: int) -> np.random.Generator:
    """The source of an epoch's order."""
    return _generator(seed, _EPOCH, epoch)


def _generator(*names: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=int(random_bits(*names))))


@lru_cache(maxsize=8)
def epoch_order(seed: int, epoch: int, num_examples: int) -> np.ndarray:
    """The order of an epoch, a permutation of `num_examples`."""
    order = epoch_generator(seed, epoch).permutation(num_examples)
    order.flags.writeable = False
    return order


def take_from_epochs(
    step: int, batch_size: int, epoch_length: int, order: Callable[[int], np.ndarray]
) -> np.ndarray:
    """The entries of 0-based `step` when epochs follow each other without a gap, int [batch_size].

    Args:
        step: 0 or more.
        batch_size: entries of a step; may exceed an epoch.
        epoch_length: entries of each epoch.
        order: the entries of the epoch of that number, [epoch_length].
    """
    epoch, start = divmod(step * batch_size, epoch_length)
    parts, wanted = [], batch_size
    while wanted:
        part = order(epoch)[start : start + wanted]
        parts.append(part)
        wanted -= len(part)
        epoch, start = epoch + 1, 0
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
