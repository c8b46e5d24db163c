"""A sweep without processes: the real scheduler and runner on a fake clock, hundreds of jobs a minute or more.

Time passes only as the jobs' validations say (`train_seconds` + `eval_seconds`), times the slowness of a worker.
"""

from __future__ import annotations

import heapq
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sweeps.events import Ended, Job, Measured, Validation
from sweeps.scheduler.phases.base import Done, Wait
from sweeps.scheduler.trial_runner import TrialRunner

Train = Callable[[Job, int], Validation]
"""Returns a job's validation at an index (from 1); whatever it raises ends the job as failed."""

Slowness = Callable[[Job, int], float]
"""Returns how many times longer than its validations say a job takes to the validation at an index."""


@dataclass
class FakeClock:
    """Time that passes when a simulator says so; call it for the seconds."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Simulation:
    """The course of a simulated sweep, on the fake clock."""

    wall_seconds: float = 0.0
    busy_seconds: float = 0.0
    """Of all slots together."""
    started: list[tuple[float, Job]] = field(default_factory=list)
    """Every job with the time of its start, in that order."""

    def compute_efficiency(self, slots: int) -> float:
        """Return busy seconds over the slots' seconds, 0 to 1."""
        return self.busy_seconds / (self.wall_seconds * slots) if self.wall_seconds else 1.0


@dataclass(order=True)
class _Event:
    time: float
    order: int
    """Of scheduling: breaks ties."""
    job: Job = field(compare=False)
    result: Validation | Exception = field(compare=False)


class Simulator:
    """Runs a runner's jobs on some workers until all have ended.

    Args:
        runner: of a scheduler for the same number of slots.
        train: makes the validations.
        slots: workers.
        slowness: of the workers; None is 1 everywhere.
        clock: the scheduler's, if it has one; the simulator moves it.
        measure: the costs of a job that the budget bounds and only its device can tell.
    """

    def __init__(
        self,
        runner: TrialRunner,
        train: Train,
        slots: int,
        slowness: Slowness | None = None,
        clock: FakeClock | None = None,
        measure: Callable[[Job], Mapping[str, float]] = lambda job: {},
    ) -> None:
        self._measure = measure
        self._runner, self._train, self._slots = runner, train, slots
        self._clock = clock or FakeClock()
        self._slowness = slowness or (lambda job, index: 1.0)
        self._events: list[_Event] = []
        self._num_scheduled = 0
        self._result = Simulation()

    def run(self) -> Simulation:
        """Run the whole sweep.

        Raises:
            RuntimeError: the scheduler waits though nothing is running.
        """
        while not self._fill_slots():
            if not self._events:
                raise RuntimeError("deadlock: the scheduler waits and no job is running")
            self._take(heapq.heappop(self._events))
        return self._result

    def _fill_slots(self) -> bool:
        """Start jobs until the slots are full or the scheduler waits; return whether it is done."""
        while len(self._events) < self._slots:
            job = self._runner.next_job()
            if isinstance(job, Done):
                return True
            if isinstance(job, Wait):
                return False
            self._result.started.append((self._result.wall_seconds, job))
            self._runner.start(job.number)
            if job.bounded_costs and self._runner.measure(
                Measured(number=job.number, costs=self._measure(job))
            ):
                continue
            elapsed = _sum_elapsed(job.resumed_from[-1]) if job.resumed_from else 0.0
            self._schedule(job, self._runner.num_reported(job.number) + 1, elapsed)
        return False

    def _schedule(self, job: Job, index: int, elapsed: float) -> None:
        """Schedule a job's validation at an index, or its failure before it, which takes as long as the one before.

        Args:
            elapsed: at the job's previous validation, seconds since its start.
        """
        result: Validation | Exception
        try:
            result = self._train(job, index)
            seconds = _sum_elapsed(result) - elapsed
        except Exception as error:
            result = error
            seconds = elapsed / (index - 1) if elapsed else 0.0
        seconds *= self._slowness(job, index)
        self._result.busy_seconds += seconds
        self._num_scheduled += 1
        time = self._result.wall_seconds + seconds
        heapq.heappush(self._events, _Event(time, self._num_scheduled, job, result))

    def _take(self, event: _Event) -> None:
        self._result.wall_seconds = self._clock.seconds = event.time
        job, result = event.job, event.result
        if isinstance(result, Exception):
            reason = f"{type(result).__name__}: {result}"
            text = "".join(traceback.format_exception(result))
            self._runner.end(Ended(number=job.number, status="failed", error=reason, traceback=text))
        elif not self._runner.report(job.number, result):
            self._schedule(job, result.index + 1, _sum_elapsed(result))


def _sum_elapsed(report: Validation) -> float:
    return report.train_seconds + report.eval_seconds
