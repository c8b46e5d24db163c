"""Between the plan and whoever runs its jobs: each job starts once, ends once, and is told of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from sweeps.jobs import Job, Outcome, Report
from sweeps.listener import Listener

if TYPE_CHECKING:
    from sweeps.search.plan import Done, Wait


class Decides(Protocol):
    """What a dispatcher needs of a `sweeps.search.plan.Plan`."""

    def next_job(self) -> Job | Wait | Done: ...

    def report(self, number: int, report: Report) -> bool: ...

    def why_stopped(self, number: int) -> str | None: ...

    def end(self, number: int, outcome: Outcome) -> None: ...


@dataclass
class _Running:
    job: Job
    reports: list[Report] = field(default_factory=list)
    started: bool = False


class Dispatcher:
    """Hands out a plan's jobs, brings it their reports and tells it their ends, exactly once each.

    Who runs the jobs may tell of an end as often as it likes, and in any order: what comes after the first
    telling is ignored.

    Args:
        plan: who decides.
        listeners: told after the plan; of a start before the first report.
    """

    def __init__(self, plan: Decides, listeners: Sequence[Listener]) -> None:
        self._plan = plan
        self._listeners = listeners
        self._running: dict[int, _Running] = {}

    @property
    def running(self) -> list[int]:
        """Numbers of the jobs handed out and not ended, in the order of handing out."""
        return list(self._running)

    def next_job(self) -> Job | Wait | Done:
        """What the plan says; a job counts as running from now on."""
        job = self._plan.next_job()
        if isinstance(job, Job):
            self._running[job.number] = _Running(job)
        return job

    def started(self, number: int) -> None:
        """The job has reached a slot."""
        running = self._running.get(number)
        if running is not None and not running.started:
            running.started = True
            for listener in self._listeners:
                listener.on_start(running.job)

    def has_started(self, number: int) -> bool:
        """Whether the job runs and has reached a slot."""
        return number in self._running and self._running[number].started

    def reported(self, number: int, report: Report) -> bool:
        """Passes a report on.

        Returns:
            Whether the job has ended with it, pruned or completed: stop it.
        """
        running = self._running.get(number)
        if running is None:
            return True
        self.started(number)
        running.reports.append(report)
        prune = self._plan.report(number, report)
        for listener in self._listeners:
            listener.on_report(running.job, report)
        if report.index == running.job.run.train.num_reports:
            self._end(number, Outcome(status="completed", reports=tuple(running.reports)))
        elif prune:
            error = self._plan.why_stopped(number)
            self._end(number, Outcome(status="pruned", error=error, reports=tuple(running.reports)))
        return number not in self._running

    def failed(self, number: int, error: str) -> None:
        """The job has failed, for the reason given in one line."""
        running = self._running.get(number)
        if running is not None:
            self.started(number)
            self._end(number, Outcome(status="failed", error=error, reports=tuple(running.reports)))

    def _end(self, number: int, outcome: Outcome) -> None:
        job = self._running.pop(number).job
        self._plan.end(number, outcome)
        for listener in self._listeners:
            listener.on_end(job, outcome)
