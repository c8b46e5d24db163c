"""Between the scheduler and those who run its jobs: starts each job once, ends it once and notifies callbacks."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from sweeps import events
from sweeps.callbacks.base import Callback
from sweeps.events import Ended, EventLog, Job, Measured, Trial, Validated, Validation
from sweeps.scheduler.phases.base import Done, Wait
from sweeps.scheduler.scheduler import Scheduler


@dataclass
class _Assignment:
    """A running trial, as far as its worker is concerned."""

    trial: Trial
    has_reached_worker: bool = False
    needs_worker: bool = False
    """Its worker was lost, or the sweep was stopped."""
    num_faults: int = 0


class TrialRunner:
    """Hands out a scheduler's jobs, and turns what happens to them into events, each exactly once.

    An event is written to the log, then applied by the scheduler, then told to the callbacks. Who runs the jobs may
    report an end or a validation as often as it likes: what comes after the first time is ignored.

    Args:
        callbacks: of a start they learn before the first validation.
        log: None keeps nothing for a sweep that is stopped.
        max_failures: how often a job whose machine failed it is handed out again.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        callbacks: Sequence[Callback] = (),
        log: EventLog | None = None,
        max_failures: int = 0,
    ) -> None:
        self._scheduler = scheduler
        self._callbacks = callbacks
        self._log = log
        self._max_failures = max_failures
        self._assigned: dict[int, _Assignment] = {}

    def resume(self) -> None:
        """Continue the trials of earlier sessions: those that had not ended are handed out first."""
        trials = self._scheduler.state.trials.values()
        for trial in trials:
            for callback in self._callbacks:
                callback.on_restore(trial)
            if trial.is_running:
                self._assigned[trial.number] = _Assignment(trial, has_reached_worker=True, needs_worker=True)
        for assignment in list(self._assigned.values()):
            # The sweep may have been stopped after a trial's last validation was logged and before its end was.
            self._end_if_over(assignment.trial)

    @property
    def running(self) -> list[int]:
        """Numbers of the jobs that are handed out and have not ended, in the order of handing out."""
        return list(self._assigned)

    def next_job(self) -> Job | Wait | Done:
        """Return a job that lost its worker, else what the scheduler decides. A job counts as running from now on."""
        for assignment in self._assigned.values():
            if assignment.needs_worker:
                assignment.needs_worker = False
                job = assignment.trial.job
                if assignment.trial.measured is not None:
                    # What was measured before the worker was lost counts.
                    job = dataclasses.replace(job, bounded_costs=())
                return job
        while isinstance(answer := self._scheduler.next(), events.SearchEnded | events.TimeExpired):
            self._record(answer)
        if isinstance(answer, Job):
            if answer.resumed_from:
                self._record(events.Resumed(number=answer.number))
            else:
                self._record(events.Started.from_job(answer))
            self._assigned[answer.number] = _Assignment(self._scheduler.state.trials[answer.number])
        return answer

    def num_reported(self, number: int) -> int:
        """Return the index of the last known validation of a running job; 0 before the first."""
        last = self._assigned[number].trial.last
        return last.index if last else 0

    def start(self, number: int) -> None:
        """Take in that a job has reached its worker."""
        assignment = self._assigned.get(number)
        if assignment is not None and not assignment.has_reached_worker:
            assignment.has_reached_worker = True
            for callback in self._callbacks:
                callback.on_start(assignment.trial)

    def report(self, number: int, validation: Validation) -> bool:
        """Take in a validation.

        Returns:
            Whether the job has ended with it, pruned or completed: stop it.
        """
        assignment = self._assigned.get(number)
        if assignment is None:
            return True
        self.start(number)
        if validation.index <= self.num_reported(number):
            return False
        self._record(Validated(number=number, validation=validation))
        for callback in self._callbacks:
            callback.on_validation(assignment.trial)
        self._end_if_over(assignment.trial)
        return number not in self._assigned

    def measure(self, event: Measured) -> bool:
        """Take in the costs that a job has measured before its first step.

        Returns:
            Whether the job has ended with it, since they break the budget: stop it.
        """
        assignment = self._assigned.get(event.number)
        if assignment is None:
            return True
        self.start(event.number)
        if assignment.trial.measured is None:
            self._record(event)
            self._end_if_over(assignment.trial)
        return event.number not in self._assigned

    def end(self, event: Ended) -> None:
        """Take in the end of a job: a failure, as its worker reports it."""
        assignment = self._assigned.get(event.number)
        if assignment is None:
            return
        self.start(event.number)
        self._record(event)
        del self._assigned[event.number]
        for callback in self._callbacks:
            callback.on_end(assignment.trial)

    def lose(self, number: int, reason: str) -> None:
        """Take in that a job's machine has failed it: it is handed out again, `max_failures` times at most."""
        assignment = self._assigned.get(number)
        if assignment is None or assignment.needs_worker:
            return
        assignment.num_faults += 1
        if assignment.num_faults > self._max_failures:
            times = f", {assignment.num_faults} times" if assignment.num_faults > 1 else ""
            self.end(Ended(number=number, status="failed", error=reason + times))
        else:
            assignment.needs_worker = True

    def _end_if_over(self, trial: Trial) -> None:
        if trial.last is None:
            if violation := self._scheduler.describe_violation(trial.number):
                self.end(Ended(number=trial.number, status="infeasible", error=violation))
            return
        if trial.last.index == trial.job.run.train.num_reports:
            self.end(Ended(number=trial.number, status="completed"))
            return
        if expired := self._scheduler.find_expiry():
            self._record(expired)
        if stop := self._scheduler.must_stop(trial.number):
            self.end(Ended(number=trial.number, status="pruned", error=stop.limit))

    def _record(self, event: events.Event) -> None:
        """Write an event, then apply it: the log is never behind what has been decided on."""
        if self._log is not None:
            self._log.write(event)
        self._scheduler.apply(event)
