"""Resuming pruned trials: the most promising ones are trained to their end once the search has ended.

Pruned trials were stopped at different validations, and values at different ones cannot be compared. So two trials
are compared at the last validation that both have reached. A trial's rank is the number of others that it beats
there, not its value nor its share of wins among those that came as far: those who come further are the better trials,
and a trial that was stopped late would be held to more than one that was stopped early.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Mapping

import numpy as np

from sweeps.config import SweepConfig
from sweeps.events import Job, Kind, SearchEnded, Trial
from sweeps.scheduler.phases.base import DONE, WAIT, Done, Wait
from sweeps.scheduler.phases.search import SearchPhase
from sweeps.scheduler.state import SweepState
from sweeps.scheduler.stopping import StoppingCriteria
from sweeps.search.pareto_front import Point

Curves = Mapping[int, Mapping[int, Point]]
"""Of each trial, by job number: its objectives by validation index, as a point in which less is better."""


class ResumePrunedPhase:
    """Resumes up to `resume_pruned` pruned trials.

    Attributes:
        notes: what the report should say, in sentences.
    """

    kind: Kind = "search"

    def __init__(self, config: SweepConfig, search: SearchPhase, stopping: StoppingCriteria) -> None:
        self._config, self._search, self._stopping = config, search, stopping
        self._waiting: deque[Trial] | None = None
        """Chosen trials that have not been resumed; None before they are chosen."""
        self._kept: set[int] = set()
        """Trials that were pruned while the checkpoints of pruned trials were kept."""
        self.notes: list[str] = []

    def next(self, state: SweepState) -> Job | Wait | Done | SearchEnded:
        """Return a pruned job to be trained on, once the last search trial has ended."""
        if not self._config.resume_pruned or state.time_expired:
            return DONE
        if self._waiting is None:
            is_resumed = set(state.resumed)
            search = state.of_kind("search")
            if not state.search_ended or any(t.is_running and t.number not in is_resumed for t in search):
                return WAIT
            self._waiting = deque(self._choose(state))
        if not self._waiting:
            return DONE
        trial = self._waiting.popleft()
        self._search.resume(trial, state)
        return replace_resumed(trial)

    def note_pruned(self, number: int) -> None:
        """Note that a trial was pruned: its checkpoint is kept if this session may resume it."""
        if self._config.resume_pruned:
            self._kept.add(number)

    def count_unresumable(self, state: SweepState) -> int:
        """Return the number of pruned trials whose checkpoints were not kept."""
        return sum(trial.number not in self._kept for trial in state.pruned())

    def extend(self, config: SweepConfig) -> None:
        """Choose again, after a longer search."""
        self._config, self._waiting = config, None
        self.notes = []

    def describe_rest(self, state: SweepState) -> str | None:
        """Return a phrase for the trials that have not been resumed; None if there are none."""
        is_open = self._waiting is None or bool(self._waiting)
        return "resumed trials" if self._config.resume_pruned and is_open and any(state.pruned()) else None

    def _choose(self, state: SweepState) -> list[Trial]:
        """Return the most promising trials within the limits; one that a limit ended again may be chosen again."""
        pruned = {trial.number: trial for trial in state.pruned()}
        most = max(0, self._config.resume_pruned - len(set(state.resumed) - set(pruned)))
        curves = {
            number: self._search.compute_curve(pruned[number]) for number in pruned if number in self._kept
        }
        chosen = [pruned[number] for number in rank_by_promise(curves)[:most]]
        affordable = list(self._stopping.select_affordable(state, chosen))
        if len(affordable) < len(chosen):
            rest = len(chosen) - len(affordable)
            self.notes.append(
                f"{rest} of {len(chosen)} pruned trials were not resumed: stop.flops leaves too little."
            )
        return affordable


def replace_resumed(trial: Trial) -> Job:
    """Build the job that resumes a pruned trial and trains it to its end."""
    job = trial.job
    # What stop.flops left was shared out when it started; a trial is only resumed if its whole run fits.
    limit = None if job.max_train_flops is None else job.total_train_flops
    return dataclasses.replace(
        job, may_prune=False, max_train_flops=limit, resumed_from=tuple(trial.validations)
    )


def rank_by_promise(curves: Curves) -> list[int]:
    """Return the trials that have any value, the most promising first.

    Of two that beat equally many, the one that came further is first, then the one that started first. With several
    objectives a trial beats those that it dominates.

    >>> rank_by_promise({0: {1: [0.5], 2: [0.4]}, 1: {1: [0.3]}, 2: {}})
    [1, 0]
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
    wins = [_count_beaten(points, last, row) for row in range(len(numbers))]
    order = sorted(range(len(numbers)), key=lambda row: (-wins[row], -last[row], numbers[row]))
    return [numbers[row] for row in order]


def _count_beaten(points: np.ndarray, last: np.ndarray, row: int) -> int:
    """Count the others that a trial beats; a validation at which one of two has no value decides nothing.

    Args:
        points: float [trials, validations, objectives], NaN where there is no value.
        last: int [trials], the place of each one's last validation.
    """
    common = np.minimum(last, last[row])
    mine, theirs = points[row, common], points[np.arange(len(last)), common]
    return int(((mine <= theirs).all(axis=1) & (mine < theirs).any(axis=1)).sum())
