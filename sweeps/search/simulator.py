"""A sweep without processes: the real plan against a fake clock, thousands of jobs a minute.

Time passes only as the jobs' reports say (`train_seconds` + `eval_seconds`), times the slowness of a worker.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

from sweeps.jobs import Job, Outcome, Report
from sweeps.search.plan import Done, Plan, Wait

Train = Callable[[Job, int], Report]
"""The report of a job at an index (from 1); whatever it raises ends the job as failed."""

Slowness = Callable[[Job, int], float]
"""How many times longer than its reports say a job takes on its way to the report at an index."""


@dataclass
class FakeClock:
    """Time that passes when a simulator says so; call it for the seconds."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Simulation:
    """What happened, on the fake clock."""

    wall_seconds: float = 0.0
    busy_seconds: float = 0.0
    """Of all slots together."""
    started: list[tuple[float, Job]] = field(default_factory=list)
    """Every job with the time of its start, in that order."""

    def efficiency(self, slots: int) -> float:
        """Busy seconds over the slots' seconds, 0 to 1."""
        return self.busy_seconds / (self.wall_seconds * slots) if self.wall_seconds else 1.0


@dataclass(order=True)
class _Event:
    time: float
    order: int
    """Of scheduling: breaks ties."""
    job: Job = field(compare=False)
    result: Report | Exception = field(compare=False)


class Simulator:
    """Drives a plan on some workers until it is done.

    Args:
        plan: made for the same number of slots.
        train: makes the reports.
        slots: workers.
        slowness: of the workers; None is 1 everywhere.
        clock: the plan's, if it has one; the simulator moves it.
    """

    def __init__(
        self,
        plan: Plan,
        train: Train,
        slots: int,
        slowness: Slowness | None = None,
        clock: FakeClock | None = None,
    ) -> None:
        self._plan, self._train, self._slots = plan, train, slots
        self._clock = clock or FakeClock()
        self._slowness = slowness or (lambda job, index: 1.0)
        self._events: list[_Event] = []
        self._num_scheduled = 0
        self._reports: dict[int, list[Report]] = {}
        self._result = Simulation()

    def run(self) -> Simulation:
        """The whole sweep.

        Raises:
            RuntimeError: the plan waits though nothing is running.
        """
        while not self._fill_slots():
            if not self._events:
                raise RuntimeError("deadlock: the plan waits and no job is running")
            self._take(heapq.heappop(self._events))
        return self._result

    def _fill_slots(self) -> bool:
        """Starts jobs until the slots are full or the plan waits; True when it is done."""
        while len(self._events) < self._slots:
            job = self._plan.next_job()
            if isinstance(job, Done):
                return True
            if isinstance(job, Wait):
                return False
            self._result.started.append((self._result.wall_seconds, job))
            self._reports[job.number] = []
            self._schedule(job)
        return False

    def _schedule(self, job: Job) -> None:
        """The job's next report, or its failure on the way, which takes as long as the report before."""
        reports = self._reports[job.number]
        result: Report | Exception
        try:
            result = self._train(job, len(reports) + 1)
            seconds = _elapsed(result) - (_elapsed(reports[-1]) if reports else 0.0)
        except Exception as error:
            result = error
            seconds = _elapsed(reports[-1]) / len(reports) if reports else 0.0
        seconds *= self._slowness(job, len(reports) + 1)
        self._result.busy_seconds += seconds
        self._num_scheduled += 1
        time = self._result.wall_seconds + seconds
        heapq.heappush(self._events, _Event(time, self._num_scheduled, job, result))

    def _take(self, event: _Event) -> None:
        self._result.wall_seconds = self._clock.seconds = event.time
        job, reports = event.job, self._reports[event.job.number]
        if isinstance(event.result, Exception):
            reason = f"{type(event.result).__name__}: {event.result}"
            self._plan.end(job.number, Outcome(status="failed", error=reason, reports=tuple(reports)))
            return
        reports.append(event.result)
        if self._plan.report(job.number, event.result):
            self._plan.end(job.number, Outcome(status="pruned", reports=tuple(reports)))
        elif len(reports) == job.run.train.num_reports:
            self._plan.end(job.number, Outcome(status="completed", reports=tuple(reports)))
        else:
            self._schedule(job)


def _elapsed(report: Report) -> float:
    return report.train_seconds + report.eval_seconds
