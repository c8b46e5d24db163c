from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.search.pareto_front import Point, compute_hypervolume, dominates, find_front, select_widest

TENTHS = st.integers(0, 12).map(lambda tenths: tenths / 10)
"""Ties, ideals and points beyond the reference are common."""


def points(most: int = 6) -> st.SearchStrategy[list[tuple[float, ...]]]:
    def of_length(length: int) -> st.SearchStrategy[list[tuple[float, ...]]]:
        return st.lists(st.tuples(*[TENTHS] * length), max_size=most)

    return st.sampled_from([1, 2, 3, 4]).flatmap(of_length)


def by_inclusion_and_exclusion(given_points: list[tuple[float, ...]]) -> float:
    """The volume of a union of boxes, from those of all their intersections."""
    total = 0.0
    for size in range(1, len(given_points) + 1):
        for some in itertools.combinations(given_points, size):
            corner = [max(column) for column in zip(*some, strict=True)]
            total -= (-1) ** size * math.prod(max(0.0, 1 - x) for x in corner)
    return total


@given(points())
def test_the_hypervolume_is_that_of_the_union_of_boxes(some: list[tuple[float, ...]]) -> None:
    assert compute_hypervolume(some) == pytest.approx(by_inclusion_and_exclusion(some), abs=1e-12)


@given(points(12))
def test_the_front_is_what_no_point_dominates(some: list[tuple[float, ...]]) -> None:
    assert find_front(some) == [
        i for i, one in enumerate(some) if not any(dominates(other, one) for other in some)
    ]


@given(points())
def test_the_front_has_the_whole_hypervolume(some: list[tuple[float, ...]]) -> None:
    assert compute_hypervolume([some[i] for i in find_front(some)]) == compute_hypervolume(some)


@pytest.mark.parametrize(
    ("one", "other", "holds"),
    [((1, 1), (1, 1), False), ((1, 1), (1, 2), True), ((1, 2), (2, 1), False), ((0, 0), (1, 1), True)],
)
def test_domination_needs_one_better_coordinate_and_no_worse(one: Point, other: Point, holds: bool) -> None:
    assert dominates(one, other) is holds


@given(points())
def test_the_widest_come_first(some: list[tuple[float, ...]]) -> None:
    chosen = select_widest(some, most=len(some))
    assert sorted(chosen) == find_front(some)
    gains = [compute_hypervolume([some[i] for i in chosen[:n]]) for n in range(len(chosen) + 1)]
    steps = [after - before for before, after in itertools.pairwise(gains)]
    assert all(later <= earlier + 1e-12 for earlier, later in itertools.pairwise(steps)), "submodular"
    assert select_widest(some, most=2) == chosen[:2], "more finalists begin with the same ones"


def test_a_knee_goes_before_the_ends() -> None:
    assert select_widest([(0.0, 0.9), (0.3, 0.3), (0.9, 0.0), (0.5, 0.5)], most=9) == [1, 0, 2]
