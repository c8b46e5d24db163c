"""Which pruned trials go on once the search has ended: those that looked best where they were stopped.

Pruned trials were stopped at different reports. Values at different reports say nothing of each other, so two trials
are compared at the last report that both have made. A trial's rank is the number of others
that it beats so, not its value or its share of those that got as far: these are the better trials, and a trial that
was stopped late would be held to more than one that was stopped early.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sweeps.search.pareto_front import Point

Curves = Mapping[int, Mapping[int, Point]]
"""Of each trial, by job number: its objectives by step, as a point in which less is better."""


def best_looking_first(curves: Curves) -> list[int]:
    """The trials that have said anything, in the order in which they should go on.

    Of two that beat as many, the one that got further comes first, then the one that started first. With several
    objectives a trial beats those that it dominates.
    """
    numbers = sorted(number for number, curve in curves.items() if curve)
    if not numbers:
        return []
    steps = sorted({step for number in numbers for step in curves[number]})
    places = {step: place for place, step in enumerate(steps)}
    points = np.full((len(numbers), len(steps), len(next(iter(curves[numbers[0]].values())))), np.nan)
    for row, number in enumerate(numbers):
        for step, point in curves[number].items():
            points[row, places[step]] = point
    last = np.array([places[max(curves[number])] for number in numbers])
    wins = [_num_beaten(points, last, row) for row in range(len(numbers))]
    order = sorted(range(len(numbers)), key=lambda row: (-wins[row], -last[row], numbers[row]))
    return [numbers[row] for row in order]


def _num_beaten(points: np.ndarray, last: np.ndarray, row: int) -> int:
    """How many of the others a trial beats; a step at which one of two has no value decides nothing.

    Args:
        points: float [trials, steps, objectives], NaN where there is no value.
        last: int [trials], the place of each one's last step.
    """
    common = np.minimum(last, last[row])
    mine, theirs = points[row, common], points[np.arange(len(last)), common]
    return int(((mine <= theirs).all(axis=1) & (mine < theirs).any(axis=1)).sum())
