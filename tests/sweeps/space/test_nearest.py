"""Points in the order of their distance: sorting everything is the oracle."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.space.enumeration import FIRST_BLOCK, nearest_first, squared_distances
from sweeps.space.parameters import parse_parameter


@settings(max_examples=40)
@given(st.integers(1, 40 * FIRST_BLOCK), st.integers(1, 6), st.integers(1, 50), st.integers(0, 2**32))
def test_every_pair_once_by_its_sum(num: int, num_others: int, levels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    distances, others = rng.integers(0, levels, num) / 7, rng.integers(0, 4, num_others) / 3
    some = list(itertools.islice(nearest_first(distances, others, rng), 3000))
    sums = [distances[first] + others[second] for first, second in some]
    expected = np.sort((distances[:, None] + others[None, :]).ravel())[: len(some)]
    assert len(some) == min(3000, num * num_others) and len(set(some)) == len(some)
    np.testing.assert_array_equal(sums, expected)


def test_distances_are_shares_of_each_grid() -> None:
    parameters = {
        "layers": parse_parameter({"int": [1, 5]}),
        "width": parse_parameter([64, 16, 32]),
        "positions": parse_parameter(["rope", "learned", None]),
    }
    points = np.arange(5 * 3 * 3)
    squared = squared_distances(points, parameters, {"layers": 2, "width": 16, "positions": "learned"})
    by_point = dict(
        zip(itertools.product(range(1, 6), (64, 16, 32), ("rope", "learned", None)), squared, strict=True)
    )
    assert by_point[(2, 16, "learned")] == 0
    assert by_point[(4, 16, "learned")] == pytest.approx(0.25)
    assert by_point[(2, 64, "learned")] == pytest.approx(1)
    assert by_point[(2, 32, "learned")] == pytest.approx(0.25)
    assert by_point[(2, 16, None)] == pytest.approx(1)
    assert by_point[(3, 32, "rope")] == pytest.approx(1 / 16 + 1 / 4 + 1)


def test_no_parameters_no_distance() -> None:
    np.testing.assert_array_equal(squared_distances(np.arange(1), {}, {}), [0])
