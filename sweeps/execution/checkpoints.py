"""Checkpoints of running jobs: a folder for each by its number, gone when the job has ended and is in the tables.

With `revive` those of pruned search trials stay, saved at the report at which they ended.
What a `keep_model` job has learned stays, as `weights/<job number>.pt`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hrm.config.errors import CheckpointError
from hrm.training import checkpoint
from sweeps.callbacks.base import Callback
from sweeps.events import Job, Trial, Validation
from sweeps.execution.storage import Storage

if TYPE_CHECKING:
    from hrm.data.base import Dataset
    from hrm.training.trainer import Trainer

FOLDER = "checkpoints"
TRAINED = "weights.pt"
WEIGHTS = "weights"
MAX_SHARE = 0.01
"""Most of a job's time that its checkpoints may take."""


def weights_path(out: Path, number: int) -> Path:
    """Of the weights that a `keep_model` job has ended with, in a sweep's folder."""
    return out / WEIGHTS / f"{number}.pt"


class Checkpoint:
    """Of one job, on the side of its worker: the trainer's whole state and the reports made so far.

    Args:
        folder: made when the first one is written.
        seconds: least time between two.
        at_reports: one at each report, too, however soon.
    """

    def __init__(self, folder: Storage, seconds: float, at_reports: bool = False) -> None:
        self._folder, self._seconds, self._at_reports = folder, seconds, at_reports
        self._due: float | None = None
        """On the worker's clock; None before it has asked."""

    def load(self, job: Job, dataset: Dataset) -> tuple[Trainer, list[Validation]] | None:
        """Trainer and reports as they were last saved; None where there is nothing that can be used.

        A job without its checkpoint begins anew and makes the same numbers: worse than slow is nothing.
        """
        from hrm.training.trainer import Trainer

        try:
            with contextlib.closing(self._folder.open(checkpoint.FILE_NAME)) as file:
                state = checkpoint.read_checkpoint(file, str(self._folder))
            trainer = Trainer(job.run, dataset)
            trainer.load_state_dict(state["trainer"])
        except (CheckpointError, OSError):
            return None
        return trainer, [Validation.from_dict(values) for values in state["reports"]]

    def save_if_due(self, trainer: Trainer, reports: list[Validation], step: int) -> None:
        """Saves between two training steps, not too often; `step` is the trainer's."""
        start = time.monotonic()
        if self._due is None:
            self._due = start + self._seconds
        if start >= self._due:
            self._save(trainer, reports)

    def after_report(self, trainer: Trainer, reports: list[Validation]) -> None:
        """Saves before the last of the reports is told, after which the job may be ended."""
        if self._at_reports and not trainer.finished:
            self._save(trainer, reports)
        else:
            self.save_if_due(trainer, reports, trainer.step)

    def _save(self, trainer: Trainer, reports: list[Validation]) -> None:
        start = time.monotonic()
        state = {
            "trainer": trainer.state_dict(),
            "reports": [dataclasses.asdict(report) for report in reports],
        }
        # A full disk stops the driver, which says so; until then the job does well without.
        with contextlib.suppress(OSError):
            self._folder.write(checkpoint.FILE_NAME, partial(checkpoint.write_checkpoint, state))
        end = time.monotonic()
        self._due = end + max(self._seconds, (end - start) / MAX_SHARE)

    def save_weights(self, trainer: Trainer) -> None:
        """Saves what the finished model has learned; before its last checkpoint, which ends the training."""
        import torch

        with contextlib.suppress(OSError):
            self._folder.write(TRAINED, partial(torch.save, trainer.export_weights()))


class Checkpoints(Callback):
    """Of all jobs, on the side of the driver. To be told after the tables.

    Args:
        out: the sweep's folder.
        seconds: least time between two of one job.
        storage: where they lie, of this sweep alone; None is `checkpoints/` in the sweep's folder.
        keeps_pruned: a pruned job's last checkpoint stays.
    """

    def __init__(
        self, out: Path, seconds: float, storage: Storage | None = None, keeps_pruned: bool = False
    ) -> None:
        self._out, self._seconds, self._keeps_pruned = out, seconds, keeps_pruned
        self._storage = storage or Storage.at(out / FOLDER)

    def of(self, job: Job) -> Checkpoint:
        """What the job's worker is given."""
        at_reports = self._keeps_pruned and job.kind == "search"
        return Checkpoint(self._folder(job), self._seconds, at_reports)

    def on_restore(self, trial: Trial) -> None:
        if not trial.is_running:
            self.on_end(trial)

    def on_end(self, trial: Trial) -> None:
        job = trial.job
        folder = self._folder(job)
        if self._keeps_pruned and trial.is_pruned:
            return
        if job.keep_model and trial.is_completed:
            # Of a job that had ended before the sweep was stopped they are here already.
            with contextlib.suppress(FileNotFoundError):
                folder.fetch(TRAINED, weights_path(self._out, job.number))
        with contextlib.suppress(OSError):
            folder.remove()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._storage.remove_if_empty()

    def _folder(self, job: Job) -> Storage:
        return self._storage / str(job.number)
