"""Seeds derived from the sweep's own: reproducible, and independent of the order of events.

All search trials train with the sweep's seed itself (common random numbers): none wins the search by a luckier seed
than the trials it is compared with. Replicates of a configuration share theirs likewise, round by round. Baselines
and confirmations have seeds of their own: no run repeats another.
"""

from __future__ import annotations

import numpy as np

_SUGGESTION, _BASELINE, _CONFIRMATION, _REPLICATE, _RANDOM_SEARCH = range(5)


def derive_suggestion_seed(seed: int, trial: int) -> int:
    """Return the sampler's seed for one trial.

    >>> derive_suggestion_seed(0, trial=7)
    3185474749
    """
    return _derive(seed, _SUGGESTION, trial)


def derive_replicate_seed(seed: int, round_index: int) -> int:
    """Return the training seed of a search trial; the round counts the earlier trials of its configuration.

    >>> derive_replicate_seed(3, round_index=0)
    3
    """
    return seed if round_index == 0 else _derive(seed, _REPLICATE, round_index)


def derive_baseline_seed(seed: int, round_index: int) -> int:
    """Return the training seed of baselines; the round counts how often a preset had the same learning rate.

    >>> derive_baseline_seed(0, round_index=0)
    3964924996
    """
    return _derive(seed, _BASELINE, round_index)


def derive_confirmation_seeds(seed: int, count: int) -> list[int]:
    """Return fresh training seeds of the confirmations, the same for every arm; a larger count begins alike.

    >>> derive_confirmation_seeds(0, count=2)
    [3141116543, 1961547765]
    """
    return [_derive(seed, _CONFIRMATION, index) for index in range(count)]


def derive_random_search_seed(seed: int) -> int:
    """Return the seed of the configurations that random search draws.

    >>> derive_random_search_seed(0) == derive_random_search_seed(1)
    False
    """
    return _derive(seed, _RANDOM_SEARCH, 0)


def _derive(seed: int, purpose: int, index: int) -> int:
    return int(np.random.SeedSequence([seed, purpose, index]).generate_state(1)[0])
