"""Checkpoints of running trials: a folder for each by its number, removed when the trial is in the tables.

Where pruned trials may be resumed, theirs are kept, saved at the validation at which they were pruned.
The weights of a `keep_model` job are kept as `weights/<job number>.pt`.
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
"""Largest share of a trial's time that its checkpoints may take."""


def get_weights_path(out: Path, number: int) -> Path:
    """Return the path of a `keep_model` job's weights in the sweep's folder."""
    return out / WEIGHTS / f"{number}.pt"


class TrialCheckpoint:
    """A trial's checkpoint as its worker uses it: the trainer's whole state and the validations so far.

    Args:
        folder: made when the first checkpoint is written.
        seconds: shortest time between two checkpoints.
        at_validations: save at each validation, too, however soon.
    """

    def __init__(self, folder: Storage, seconds: float, at_validations: bool = False) -> None:
        self._folder, self._seconds, self._at_validations = folder, seconds, at_validations
        self._due: float | None = None
        """On the worker's clock; None before the first question."""

    def load(self, job: Job, dataset: Dataset) -> tuple[Trainer, list[Validation]] | None:
        """Return trainer and validations as last saved; None if there is nothing that can be used.

        A job without its checkpoint starts again and makes the same numbers: at worst it is slower.
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

    def save_if_due(self, trainer: Trainer, validations: list[Validation]) -> None:
        """Save between two training steps, but not too often."""
        now = time.monotonic()
        if self._due is None:
            self._due = now + self._seconds
        if now >= self._due:
            self._save(trainer, validations)

    def save_after_validation(self, trainer: Trainer, validations: list[Validation]) -> None:
        """Save before the last validation is reported, after which the trial may be pruned."""
        if self._at_validations and not trainer.finished:
            self._save(trainer, validations)
        else:
            self.save_if_due(trainer, validations)

    def save_weights(self, trainer: Trainer) -> None:
        """Save the weights of the finished model, before the last checkpoint, which ends the training."""
        import torch

        with contextlib.suppress(OSError):
            self._folder.write(TRAINED, partial(torch.save, trainer.export_weights()))

    def _save(self, trainer: Trainer, validations: list[Validation]) -> None:
        start = time.monotonic()
        reports = [dataclasses.asdict(validation) for validation in validations]
        state = {"trainer": trainer.state_dict(), "reports": reports}
        # A full disk stops the driver, which says so; until then the trial can do without.
        with contextlib.suppress(OSError):
            self._folder.write(checkpoint.FILE_NAME, partial(checkpoint.write_checkpoint, state))
        end = time.monotonic()
        self._due = end + max(self._seconds, (end - start) / MAX_SHARE)


class CheckpointManager(Callback):
    """The checkpoints of all trials as the driver uses them. Must come after the tables among the callbacks.

    Args:
        out: the sweep's folder.
        seconds: shortest time between two checkpoints of one trial.
        storage: a folder of this sweep alone; None is `checkpoints/` in the sweep's folder.
        keep_pruned: keep the last checkpoint of each pruned trial.
    """

    def __init__(
        self, out: Path, seconds: float, storage: Storage | None = None, keep_pruned: bool = False
    ) -> None:
        self._out, self._seconds, self._keep_pruned = out, seconds, keep_pruned
        self._storage = storage or Storage.at(out / FOLDER)

    def build_checkpoint(self, job: Job) -> TrialCheckpoint:
        """Build the checkpoint that the job's worker is given."""
        at_validations = self._keep_pruned and job.kind == "search"
        return TrialCheckpoint(self._storage / str(job.number), self._seconds, at_validations)

    def on_restore(self, trial: Trial) -> None:
        if not trial.is_running:
            self.on_end(trial)

    def on_end(self, trial: Trial) -> None:
        if self._keep_pruned and trial.is_pruned:
            return
        folder = self._storage / str(trial.number)
        if trial.job.keep_model and trial.is_completed:
            # In a resumed sweep they may have been fetched already.
            with contextlib.suppress(FileNotFoundError):
                folder.fetch(TRAINED, get_weights_path(self._out, trial.number))
        with contextlib.suppress(OSError):
            folder.remove()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._storage.remove_if_empty()
