"""Between the plan and whoever runs its jobs: each job starts once, ends once, and is told of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from sweeps.callbacks.base import Callback
from sweeps.events import Job, Outcome, Past, Report
from sweeps.scheduler.event_log import Ended, Event, EventLog, Reported, Revived, Started

if TYPE_CHECKING:
    from sweeps.scheduler.scheduler import Done, Stop, Wait


class SchedulerProtocol(Protocol):
    """What a dispatcher needs of a `sweeps.scheduler.scheduler.Scheduler`."""

    def next_job(self) -> Job | Wait | Done: ...

    def report(self, number: int, report: Report) -> None: ...

    def must_stop(self, number: int) -> Stop | None: ...

    def end(self, number: int, outcome: Outcome) -> None: ...


@dataclass
class _Running:
    job: Job
    reports: list[Report] = field(default_factory=list)
    started: bool = False
    to_hand_out: bool = False
    """Nobody runs it: its worker was lost, or the sweep was stopped."""
    num_faults: int = 0


class TrialRunner:
    """Hands out a plan's jobs, brings it their reports and tells it their ends, exactly once each.

    A pruned job that the plan gives again, revived, starts and ends once more, and goes on with its reports.

    Who runs the jobs may tell of an end or a report as often as it likes: what comes after the first telling
    is ignored.

    Args:
        plan: who decides.
        listeners: told after the plan; of a start before the first report.
        ledger: written before the plan is told; None keeps nothing for a sweep that is stopped.
        max_failures: how often a job whose machine failed it is handed out again.
    """

    def __init__(
        self,
        plan: SchedulerProtocol,
        listeners: Sequence[Callback] = (),
        ledger: EventLog | None = None,
        max_failures: int = 0,
    ) -> None:
        self._plan = plan
        self._listeners = listeners
        self._ledger = ledger
        self._max_failures = max_failures
        self._running: dict[int, _Running] = {}

    def go_on(self, past: Iterable[Past]) -> None:
        """Takes up the jobs of a sweep that was stopped: those that had not ended are handed out first."""
        for one in past:
            for listener in self._listeners:
                listener.on_resumed_job(one)
            if one.outcome is None:
                running = _Running(one.job, list(one.reports), started=True, to_hand_out=True)
                self._running[one.job.number] = running
        for running in list(self._running.values()):
            # Stopped after its last report was written down and before its end was.
            if running.reports:
                self._end_if_over(running)

    @property
    def running(self) -> list[int]:
        """Numbers of the jobs handed out and not ended, in the order of handing out."""
        return list(self._running)

    def next_job(self) -> Job | Wait | Done:
        """A job that lost its worker, else what the plan says; a job counts as running from now on."""
        for running in self._running.values():
            if running.to_hand_out:
                running.to_hand_out = False
                return running.job
        job = self._plan.next_job()
        if isinstance(job, Job):
            self._write(Revived(number=job.number) if job.revived else Started.of(job))
            self._running[job.number] = _Running(job, list(job.revived))
        return job

    def num_reported(self, number: int) -> int:
        """Index of the last report that is known of a running job; 0 before the first."""
        reports = self._running[number].reports
        return reports[-1].index if reports else 0

    def started(self, number: int) -> None:
        """The job has reached a slot."""
        running = self._running.get(number)
        if running is not None and not running.started:
            running.started = True
            for listener in self._listeners:
                listener.on_start(running.job)

    def reported(self, number: int, report: Report) -> bool:
        """Passes a report on.

        Returns:
            Whether the job has ended with it, pruned or completed: stop it.
        """
        running = self._running.get(number)
        if running is None:
            return True
        self.started(number)
        if report.index <= self.num_reported(number):
            return False
        self._write(Reported(number=number, report=report))
        running.reports.append(report)
        self._plan.report(number, report)
        for listener in self._listeners:
            listener.on_report(running.job, report)
        self._end_if_over(running)
        return number not in self._running

    def failed(
        self,
        number: int,
        error: str,
        traceback: str | None = None,
        observed_bytes: int | None = None,
    ) -> None:
        """The job has failed; the arguments are those of its `Outcome`."""
        running = self._running.get(number)
        if running is not None:
            self.started(number)
            self._end(
                Outcome(
                    status="failed",
                    error=error,
                    traceback=traceback,
                    reports=tuple(running.reports),
                    observed_bytes=observed_bytes,
                ),
                running,
            )

    def lost(self, number: int, reason: str) -> None:
        """The job's machine has failed it: it is handed out again, `max_failures` times at most."""
        running = self._running.get(number)
        if running is None or running.to_hand_out:
            return
        running.num_faults += 1
        if running.num_faults > self._max_failures:
            times = f", {running.num_faults} times" if running.num_faults > 1 else ""
            self.failed(number, reason + times)
        else:
            running.to_hand_out = True

    def _end_if_over(self, running: _Running) -> None:
        reports = tuple(running.reports)
        if reports[-1].index == running.job.run.train.num_reports:
            self._end(Outcome(status="completed", reports=reports), running)
        elif stop := self._plan.must_stop(running.job.number):
            self._end(Outcome(status="pruned", error=stop.limit, reports=reports), running)

    def _end(self, outcome: Outcome, running: _Running) -> None:
        job = running.job
        self._write(
            Ended(
                number=job.number,
                status=outcome.status,
                error=outcome.error,
                traceback=outcome.traceback,
                observed_bytes=outcome.observed_bytes,
            )
        )
        del self._running[job.number]
        self._plan.end(job.number, outcome)
        for listener in self._listeners:
            listener.on_end(job, outcome)

    def _write(self, event: Event) -> None:
        if self._ledger is not None:
            self._ledger.write(event)
