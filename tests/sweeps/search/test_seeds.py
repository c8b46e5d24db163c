from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hrm.config.validation import MAX_SEED
from sweeps.search.seeds import derive_baseline_seed, derive_confirmation_seeds, derive_suggestion_seed


@given(st.integers(0, MAX_SEED - 1))
def test_seeds_are_fresh_and_valid(seed: int) -> None:
    derived = [*derive_confirmation_seeds(seed, 8), *(derive_baseline_seed(seed, i) for i in range(8))]
    assert len(set(derived)) == 16
    assert seed not in derived
    assert all(0 <= each < MAX_SEED for each in derived)


def test_a_larger_count_begins_alike() -> None:
    assert derive_confirmation_seeds(3, 5)[:2] == derive_confirmation_seeds(3, 2)


def test_seeds_never_change() -> None:
    """Made by the functions themselves: a published sweep must stay reproducible."""
    assert derive_confirmation_seeds(0, 2) == [3141116543, 1961547765]
    assert derive_baseline_seed(0, 0) == 3964924996
    assert derive_suggestion_seed(0, 7) == 3185474749
