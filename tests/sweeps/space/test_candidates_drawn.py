"""Candidates drawn from a space: at random, all in order, and nearest to a point."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.space.candidates import Candidate
from tests.sweeps.small_sweep import candidates, list_all, space
from tests.sweeps.space_cases import CYCLES, FILLED, sampled


def test_samples_are_uniform_over_distinct_candidates() -> None:
    found = candidates(CYCLES)
    times = Counter(one.key for one in sampled(found, 2400, set()))
    assert len(times) == 48
    # Chi square with 47 degrees of freedom: above 90 with a chance of 2e-4.
    assert sum((number - 50) ** 2 / 50 for number in times.values()) < 90


def test_samples_exhaust_a_space_without_repeating() -> None:
    found, seen = candidates(CYCLES), set()
    rng = np.random.default_rng(3)
    for _ in range(48):
        one = found.sample(rng, seen)
        assert one is not None and one.key not in seen
        seen.add(one.key)
    assert found.sample(rng, seen) is None
    assert found.nearest({"H_cycles": 1, "L_cycles": 1, "h_update_period": 1}, rng, seen) is None


def test_the_same_generator_gives_the_same_samples() -> None:
    first, second = (sampled(candidates(CYCLES), 10, set(), seed=5) for _ in range(2))
    assert first == second


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 4), st.integers(0, 2**32), st.integers(0, 60))
def test_the_nearest_is_the_nearest(
    H_layers: int, L_layers: int, rate: int, seed: int, excluded: int
) -> None:
    rates = FOUND.learning_rates

    def distance(one: Candidate) -> float:
        steps = (one.params["H_layers"] - H_layers, one.params["L_layers"] - L_layers)
        return sum((step / 7) ** 2 for step in steps) + ((rates.index(one.params["lr"]) - rate) / 4) ** 2

    rng = np.random.default_rng(seed)
    exclude = {EVERYTHING[i].key for i in rng.choice(len(EVERYTHING), excluded, replace=False)}
    params = {"H_layers": H_layers, "L_layers": L_layers, "lr": rates[rate]}
    near = FOUND.nearest(params, rng, exclude)
    assert near is not None and near.key not in exclude
    left = [one for one in EVERYTHING if one.key not in exclude]
    assert distance(near) == pytest.approx(min(map(distance, left)))


FOUND = candidates(FILLED, max_params="tiny_demo", min_params=0.8)
EVERYTHING = list_all(FOUND)


def test_ties_are_broken_at_random() -> None:
    found = candidates(space({"H_layers": [1, 2, 3]}, fixed={"hidden_size": 32, "num_heads": 2}))
    middle = found.candidate({"H_layers": 2})
    assert middle is not None
    nearest = [found.nearest(middle.params, np.random.default_rng(seed), {middle.key}) for seed in range(20)]
    assert {one.params["H_layers"] for one in nearest if one is not None} == {1, 3}


def test_candidates_are_numbered_in_enumeration_order() -> None:
    assert len(EVERYTHING) == 210
    assert [one.params["lr"] for one in EVERYTHING[:5]] == FOUND.learning_rates
    shapes = [(one.params["H_layers"], one.params["L_layers"]) for one in EVERYTHING[::5]]
    assert shapes == sorted(shapes) and list(FOUND.each_shape()) == EVERYTHING[::5]
