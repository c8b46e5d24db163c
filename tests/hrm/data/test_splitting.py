"""Whole symmetry classes go to one split."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hrm.data.sudoku.grid import ClassSplitter

PUZZLES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), max_size=60)
"""A class and which puzzle of it."""
SIZES = st.fixed_dictionaries({name: st.integers(1, 9) for name in ("train", "valid", "test")})


def _offer(splitter: ClassSplitter, offered: list[tuple[int, int]]) -> None:
    puzzles = np.array(offered, np.uint8).reshape(-1, 2)
    splitter.offer(puzzles, puzzles[:, 0].astype(np.uint64))


@given(PUZZLES, SIZES)
def test_no_class_and_no_puzzle_is_in_two_splits(
    offered: list[tuple[int, int]], sizes: dict[str, int]
) -> None:
    splitter = ClassSplitter(sizes)
    _offer(splitter, offered)
    members = {name: [offered[i] for i in chosen] for name, chosen in splitter.chosen.items()}
    classes = [{one for one, _ in puzzles} for puzzles in members.values()]
    assert len(set.union(*classes)) == sum(map(len, classes))
    for name, puzzles in members.items():
        assert len(set(puzzles)) == len(puzzles) <= sizes[name]
    assert splitter.num_missing == sum(sizes.values()) - sum(map(len, members.values()))


@given(PUZZLES, SIZES, st.integers(0, 60))
def test_the_order_decides_not_the_portions(
    offered: list[tuple[int, int]], sizes: dict[str, int], cut: int
) -> None:
    whole, parts = ClassSplitter(sizes), ClassSplitter(sizes)
    _offer(whole, offered)
    _offer(parts, offered[:cut])
    _offer(parts, offered[cut:])
    assert whole.chosen == parts.chosen


@given(SIZES)
def test_distinct_classes_fill_every_split_without_waste(sizes: dict[str, int]) -> None:
    splitter = ClassSplitter(sizes)
    total = sum(sizes.values())
    _offer(splitter, [(number, 0) for number in range(total)])
    assert splitter.num_missing == 0


def test_three_classes_leave_no_split_empty() -> None:
    splitter = ClassSplitter({"train": 1000, "valid": 1, "test": 1})
    _offer(splitter, [(0, 0), (0, 1), (1, 0), (2, 0), (2, 1)])
    assert splitter.chosen == {"train": [0, 1], "valid": [2], "test": [3]}


def test_classes_are_shared_in_proportion() -> None:
    splitter = ClassSplitter({"train": 100, "valid": 20, "test": 40})
    _offer(splitter, [(number, 0) for number in range(32)])
    assert [len(chosen) for chosen in splitter.chosen.values()] == [20, 4, 8]
