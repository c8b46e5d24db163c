"""Who wants to know how a sweep goes: tables, progress bar, W&B. All run in the driver, none decides anything."""

from __future__ import annotations

from sweeps.events import Job, Outcome, Past, Report


class Callback:
    """Told of each job once at its start and once at its end, and of each report in between, in order.

    A pruned job that is revived starts and ends again, with the same number and `job.revived`.

    Of a sweep that goes on after it was stopped, `on_resumed_job` comes first and stands for all that was told then.
    """

    def on_resumed_job(self, past: Past) -> None:
        """A job has started, and perhaps ended, before the sweep was stopped."""

    def on_start(self, job: Job) -> None:
        """The job has been handed to a slot."""

    def on_report(self, job: Job, report: Report) -> None:
        """The job has validated."""

    def on_end(self, job: Job, outcome: Outcome) -> None:
        """The job has ended; `outcome` holds all its reports."""

    def close(self) -> None:
        """The sweep is over, or was interrupted; no call follows."""
