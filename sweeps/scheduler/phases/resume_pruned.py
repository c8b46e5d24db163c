"""Which pruned trials go on once the search has ended: those that looked best where they were stopped.

Pruned trials were stopped at different marks (see `sweeps.search.rungs`). Values at different marks say nothing of
each other, so two trials are compared at the last mark that both have reached. A trial's rank is the number of others
that it beats so, not its value or its share of those that got as far: these are the better trials, and a trial that
was stopped late would be held to more than one that was stopped early.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sweeps.search.pareto_front import Point

Curves = Mapping[int, Mapping[int, Point]]
"""Of each trial, by job number: its objectives by mark, as a point in which less is better."""


def best_looking_first(curves: Curves) -> list[int]:
    """The trials that have said anything, in the order in which they should go on.

    Of two that beat as many, the one that got further comes first, then the one that started first. With several
    objectives a trial beats those that it dominates.
    """
    numbers = sorted(number for number, curve in curves.items() if curve)
    if not numbers:
        return []
    marks = sorted({mark for number in numbers for mark in curves[number]})
    places = {mark: place for place, mark in enumerate(marks)}
    points = np.full((len(numbers), len(marks), len(next(iter(curves[numbers[0]].values())))), np.nan)
    for row, number in enumerate(numbers):
        for mark, point in curves[number].items():
            points[row, places[mark]] = point
    last = np.array([places[max(curves[number])] for number in numbers])
    wins = [_num_beaten(points, last, row) for row in range(len(numbers))]
    order = sorted(range(len(numbers)), key=lambda row: (-wins[row], -last[row], numbers[row]))
    return [numbers[row] for row in order]


def _num_beaten(points: np.ndarray, last: np.ndarray, row: int) -> int:
    """How many of the others a trial beats; a mark that one of two has no value at decides nothing.

    Args:
        points: float [trials, marks, objectives], NaN where there is no value.
        last: int [trials], the place of each one's last mark.
    """
    common = np.minimum(last, last[row])
    mine, theirs = points[row, common], points[np.arange(len(last)), common]
    return int(((mine <= theirs).all(axis=1) & (mine < theirs).any(axis=1)).sum())
