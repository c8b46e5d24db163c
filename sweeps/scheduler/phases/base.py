"""What the phases of a sweep have in common."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol

from sweeps.config import SweepConfig
from sweeps.events import Job, Kind, SearchEnded
from sweeps.scheduler.state import SweepState
from sweeps.space.candidates import Candidate, Candidates
from sweeps.space.constraints import MEASURED


class Wait:
    """No job of the phase can start before a running one has validated or ended."""


class Done:
    """The phase starts no more jobs."""


WAIT, DONE = Wait(), Done()


class Phase(Protocol):
    """Decides which jobs of one kind start, and when. What has happened is in the state alone."""

    kind: Kind

    def next(self, state: SweepState) -> Job | Wait | Done | SearchEnded:
        """Return the next job, or why there is none; an event instead is to be recorded before asking again."""

    def describe_rest(self, state: SweepState) -> str | None:
        """Return a phrase for the jobs that have not started; None if there are none."""


class QueuePhase:
    """A phase whose jobs are a fixed list."""

    kind: Kind
    phrase: str
    """For the jobs that have not started: `num` is their number."""

    def __init__(self, config: SweepConfig, candidates: Candidates) -> None:
        self._config, self._candidates = config, candidates
        self._jobs: list[Job] | None = None
        """The jobs of this session; None before they are decided."""

    def next(self, state: SweepState) -> Job | Done:
        """Return the first job that has not started."""
        return next((job for job in self._jobs or () if job.number not in state.trials), DONE)

    def find_job(self, state: SweepState, number: int) -> Job | None:
        """Return the job of a number that `next` has returned, or would have; None if there is no such job."""
        self.next(state)
        return next((job for job in self._jobs or () if job.number == number), None)

    def count_waiting(self, state: SweepState) -> int:
        """Return how many jobs have not started."""
        return sum(job.number not in state.trials for job in self._jobs or ())

    def count_expected(self, state: SweepState) -> int:
        """Return the number of jobs of all sessions, started ones included."""
        return len(state.of_kind(self.kind)) + self.count_waiting(state)

    def has_ended(self, state: SweepState) -> bool:
        """Return whether all jobs have started."""
        return self._jobs is not None and not self.count_waiting(state)

    def describe_rest(self, state: SweepState) -> str | None:
        """Return a phrase for the jobs that have not started; None if there are none."""
        num = self.count_waiting(state)
        return self.phrase.format(num=num) if num else None


class DeferredPhase(QueuePhase, ABC):
    """A phase whose jobs are decided once, when the phases before it have ended."""

    @abstractmethod
    def make_jobs(self, state: SweepState) -> Sequence[Job]:
        """Make the jobs that have not started in earlier sessions."""

    @abstractmethod
    def estimate(self, state: SweepState) -> int:
        """Return how many jobs `make_jobs` will make, about or at most."""

    def extend(self, config: SweepConfig) -> None:
        """Decide again, under a configuration with higher limits."""
        self._config, self._jobs = config, None

    def next(self, state: SweepState) -> Job | Done:
        """Return the first job that has not started; the first call decides them all."""
        if self._jobs is None:
            self._jobs = list(self.make_jobs(state))
        return super().next(state)

    def count_waiting(self, state: SweepState) -> int:
        """Return how many jobs have not started; an estimate before they are decided."""
        return self.estimate(state) if self._jobs is None else super().count_waiting(state)


def make_job(config: SweepConfig, candidate: Candidate, *, seed: int, **fields: Any) -> Job:
    """Make the job that trains a candidate in the search, as a baseline or in random search.

    Args:
        fields: other fields of `Job`.
    """
    return Job(
        **{"params": candidate.values} | fields,
        run=dataclasses.replace(candidate.run, seed=seed),
        num_params=candidate.num_params,
        flops_per_step=candidate.flops_per_step,
        bounded_costs=tuple(name for name in MEASURED if config.budget.get_given(name)),
        measured_objectives=tuple(name for name in MEASURED if name in (config.objectives or ())),
    )
