"""The interface of callbacks: tables, checkpoints, progress and W&B learn of a running sweep by it."""

from __future__ import annotations

from sweeps.events import Trial


class Callback:
    """Called in the driver, once at each trial's start, each validation and each end, in order. Decides nothing.

    A pruned trial that is resumed starts and ends again, with the same number and `trial.job.resumed_from`.
    In a sweep that is resumed, `on_restore` comes first and stands for all calls of earlier sessions.
    """

    def on_restore(self, trial: Trial) -> None:
        """Handle a trial that has started, and perhaps ended, in an earlier session."""

    def on_start(self, trial: Trial) -> None:
        """Handle a trial that has reached its worker."""

    def on_validation(self, trial: Trial) -> None:
        """Handle the last of a trial's validations."""

    def on_end(self, trial: Trial) -> None:
        """Handle a trial that has ended."""

    def close(self) -> None:
        """Release resources: the sweep is over, or was interrupted, and no call follows."""
