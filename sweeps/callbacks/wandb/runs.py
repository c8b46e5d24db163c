"""A W&B run per job, written from the driver while the sweep goes.

Calls into wandb wait on its service process (about 0.02 s to open a run), so a thread of its own makes them
and the sweep never waits. What goes wrong there costs a warning, never the sweep: the tables are the truth.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from typing import Any

from sweeps.callbacks.base import Callback
from sweeps.callbacks.wandb.session import Session, one_line, tags
from sweeps.events import Job, Trial, Validation
from sweeps.results.tables import space_values

DRAIN_SECONDS = 120.0
"""Most that the end of a sweep waits for runs to be written."""


@dataclass
class _Open:
    run: Any
    job: Job
    validations: list[Validation] = field(default_factory=list)


class WandbRuns(Callback):
    """Tells W&B of every job.

    Args:
        session: how runs are opened; nobody else uses it before `close` has returned.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._open: dict[int, _Open] = {}
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._calls.put(session.prepare)
        self._thread = threading.Thread(target=self._work, name="wandb-runs", daemon=True)
        self._thread.start()

    def on_restore(self, trial: Trial) -> None:
        if trial.is_running:
            self.on_start(trial)

    def on_start(self, trial: Trial) -> None:
        self._calls.put(partial(self._start, trial.job))
        for validation in trial.validations:
            self._calls.put(partial(self._log, trial.number, validation))

    def on_validation(self, trial: Trial) -> None:
        self._calls.put(partial(self._log, trial.number, trial.validations[-1]))

    def on_end(self, trial: Trial) -> None:
        assert trial.ended is not None
        self._calls.put(partial(self._end, trial.number, trial.ended.status, trial.ended.error))

    def close(self) -> None:
        self._calls.put(None)
        self._thread.join(DRAIN_SECONDS)
        if self._thread.is_alive():
            self._session.give_up(f"still had runs to write after {DRAIN_SECONDS:.0f} s; they were left")

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call()
            except Exception as error:
                self._session.give_up(f"stopped: {one_line(error)}")
                self._drain()
                return
        with contextlib.suppress(Exception):
            for number in list(self._open):
                self._end(number, "interrupted", None)

    def _drain(self) -> None:
        while self._calls.get() is not None:
            pass

    def _start(self, job: Job) -> None:
        run = self._session.open(
            job.number, f"{job.arm} (job {job.number})", job.kind, self._tags(job), self._config_of(job)
        )
        run.define_metric("*", step_metric="step")
        self._open[job.number] = _Open(run, job)

    def _tags(self, job: Job, *more: str) -> list[str]:
        return tags(self._session.metadata, job.kind, *more)

    def _config_of(self, job: Job) -> dict[str, Any]:
        metadata = self._session.metadata
        provenance = metadata.provenance
        return {
            **job.run.to_dict(),
            "p": space_values(job, metadata.value_names),
            "arm": job.arm,
            "params": job.num_params,
            "flops_per_step": job.flops_per_step,
            "commit": provenance.commit,
            "dirty": provenance.dirty,
            "versions": provenance.versions,
            "hardware": provenance.hardware,
            "space_hash": metadata.space_hash,
        }

    def _log(self, number: int, validation: Validation) -> None:
        opened = self._open[number]
        opened.validations.append(validation)
        if validation.index < opened.run.step:
            return  # a job that a stop had cut off makes its first reports again
        spent = {
            name: getattr(validation, name)
            for name in ("step", "train_flops", "train_seconds", "eval_seconds")
        }
        fraction = opened.job.fraction_done(validation)
        objective = self._session.metadata.goal.value(opened.validations)
        row = {**spent, "fraction": fraction, "objective": objective, **validation.metrics}
        known = {key: value for key, value in row.items() if value is not None}
        opened.run.log(known, step=validation.index, commit=True)

    def _end(self, number: int, status: str, error: str | None) -> None:
        opened = self._open.pop(number)
        opened.run.tags = self._tags(opened.job, status)
        opened.run.summary["status"] = status
        if error:
            opened.run.summary["error"] = error
        self._session.close(opened.run, exit_code=0 if status in ("completed", "pruned") else 1)
