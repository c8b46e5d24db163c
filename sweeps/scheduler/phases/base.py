"""What every phase of a sweep answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from sweeps.config import SweepConfig
from sweeps.events import Job, Kind, SearchEnded
from sweeps.scheduler.state import SweepState
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

    def build_job(self, state: SweepState, number: int) -> Job:
        """Return the job of a number that `next` has returned, or would have, in this state.

        Raises:
            LookupError: it would have returned no such job.
        """

    def count_expected(self, state: SweepState) -> int:
        """Return the number of jobs of the whole phase, started ones included; an upper bound where it is open."""

    def describe_rest(self, state: SweepState) -> str | None:
        """Return a phrase for the jobs that have not started; None if there are none."""


class QueuePhase:
    """A phase whose jobs are a fixed list, made once, when the phases before it have ended."""

    kind: Kind
    label: str
    """What the jobs are called in a sentence."""

    def __init__(self) -> None:
        self._jobs: list[Job] | None = None
        self._num_seen = 0
        """Jobs from the first on that are known to have started."""

    def make_jobs(self, state: SweepState) -> Sequence[Job]:
        """Make the jobs that have not started in earlier sessions."""
        raise NotImplementedError

    def jobs(self, state: SweepState) -> Sequence[Job]:
        """Return the jobs of this session; the first call decides them."""
        if self._jobs is None:
            self._jobs = list(self.make_jobs(state))
        return self._jobs

    def next(self, state: SweepState) -> Job | Done:
        """Return the first job that has not started."""
        jobs = self.jobs(state)
        while self._num_seen < len(jobs) and jobs[self._num_seen].number in state.trials:
            self._num_seen += 1
        return jobs[self._num_seen] if self._num_seen < len(jobs) else DONE

    def build_job(self, state: SweepState, number: int) -> Job:
        """Return the job of a number; see `Phase`."""
        for job in self.jobs(state):
            if job.number == number:
                return job
        raise LookupError(f"no {self.kind} job {number}")

    def num_waiting(self, state: SweepState) -> int | None:
        """Return how many jobs have not started; None before they are decided."""
        if self._jobs is None:
            return None
        return sum(job.number not in state.trials for job in self._jobs)


def select_measured(config: SweepConfig) -> dict[str, Any]:
    """Return what a job of the search, a baseline or random search measures, as fields of `Job`."""
    bounded = [name for name in MEASURED if config.budget.get_given(name)]
    objectives = [name for name in MEASURED if name in (config.objectives or ())]
    return {"bounded_costs": tuple(bounded), "measured_objectives": tuple(objectives)}
