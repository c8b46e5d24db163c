"""Seeds derived from the sweep's own: reproducible, and independent of the order of events.

All search trials train with the sweep's seed itself (common random numbers): none wins the search by a
luckier seed than its rivals; replicates of a configuration share theirs likewise, round by round. Baselines
and confirmations have seeds of their own: no run repeats another.
"""

from __future__ import annotations

import numpy as np

_SUGGESTION, _BASELINE, _CONFIRMATION, _REPLICATE, _RANDOM = range(5)


def suggestion_seed(seed: int, trial: int) -> int:
    """Of the sampler for one trial."""
    return _derive(seed, _SUGGESTION, trial)


def replicate_seed(seed: int, round_index: int) -> int:
    """Training seed of a search trial; the round counts the earlier trials of its configuration."""
    return seed if round_index == 0 else _derive(seed, _REPLICATE, round_index)


def baseline_seed(seed: int, round_index: int) -> int:
    """Training seed of the baselines; the round counts how often a preset has met the same learning rate."""
    return _derive(seed, _BASELINE, round_index)


def confirmation_seeds(seed: int, count: int) -> list[int]:
    """Fresh training seeds of the confirmations, the same for every arm; a larger count begins alike."""
    return [_derive(seed, _CONFIRMATION, index) for index in range(count)]


def random_seed(seed: int) -> int:
    """Of the configurations that random search draws."""
    return _derive(seed, _RANDOM, 0)


def _derive(seed: int, purpose: int, index: int) -> int:
    return int(np.random.SeedSequence([seed, purpose, index]).generate_state(1)[0])
