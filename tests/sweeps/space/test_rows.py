"""Row keys: equal rows, and only equal rows, have equal keys."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sweeps.space.constraints import distinct, row_keys

VALUES = st.sampled_from([-2, -1, 0, 1, 2, 3, 255, 256, 2**40, 0.5, -0.5, 1.5, 2.0, -0.0])


@given(st.lists(st.tuples(VALUES, VALUES, VALUES), min_size=1, max_size=12))
def test_keys_are_equal_where_rows_are(rows: list[tuple[float, ...]]) -> None:
    columns = {name: np.array([row[i] for row in rows], dtype=float) for i, name in enumerate("abc")}
    keys = row_keys(columns)
    for first, second in itertools.product(range(len(rows)), repeat=2):
        assert (keys[first] == keys[second]) == (rows[first] == rows[second])


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=8), st.sampled_from([True, "x", None, 2, 2.5]))
def test_integers_floats_and_single_values_agree(numbers: list[int], single: Any) -> None:
    whole = row_keys({"a": np.array(numbers), "b": single})
    real = row_keys({"b": single, "a": np.array(numbers, dtype=float)})
    np.testing.assert_array_equal(whole, real)
    alone = [row_keys({"a": number, "b": single})[0] for number in numbers]
    np.testing.assert_array_equal(whole, alone)


def test_columns_do_not_stand_for_each_other() -> None:
    keys = {
        int(row_keys(columns)[0])
        for columns in ({"a": 1, "b": 2}, {"a": 2, "b": 1}, {"a": 1}, {"a": "1"}, {"a": None})
    }
    assert len(keys) == 5


def test_a_million_rows_have_a_million_keys() -> None:
    grid = np.indices((100, 100, 100)).reshape(3, -1)
    assert len(distinct(row_keys({"x": grid[0], "y": grid[1], "z": grid[2]}))) == 1_000_000


@given(st.lists(st.integers(0, 20), max_size=30))
def test_distinct_keys(keys: list[int]) -> None:
    assert list(distinct(np.array(keys, dtype=np.uint64))) == sorted(set(keys))
