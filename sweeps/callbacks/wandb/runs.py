"""A W&B run per job, written from the driver while the sweep runs.

Calls into wandb wait for its service process (about 0.02 s to open a run), so a thread makes them and the sweep never
waits. An error there costs a warning, never the sweep: the tables have everything.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any

from sweeps.callbacks.base import Callback
from sweeps.callbacks.wandb.session import WandbSession, build_tags, format_error
from sweeps.events import Job, Trial, Validation
from sweeps.results.tables import build_curve_point, get_space_values

DRAIN_SECONDS = 120.0
"""How long the end of a sweep waits until its runs are written."""


class WandbRuns(Callback):
    """Tells W&B about every job.

    Args:
        session: opens the runs; nobody else uses it before `close` has returned.
    """

    def __init__(self, session: WandbSession) -> None:
        self._session = session
        self._open: dict[int, tuple[Any, Job]] = {}
        """Runs that are open, by job number."""
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._calls.put(session.prepare)
        self._thread = threading.Thread(target=self._work, name="wandb-runs", daemon=True)
        self._thread.start()

    def on_restore(self, trial: Trial) -> None:
        if trial.is_running:
            self.on_start(trial)

    def on_start(self, trial: Trial) -> None:
        self._calls.put(partial(self._start, trial.job))
        for count in range(1, len(trial.validations) + 1):
            self._calls.put(partial(self._log, trial.number, trial.validations[:count]))

    def on_validation(self, trial: Trial) -> None:
        self._calls.put(partial(self._log, trial.number, trial.validations[:]))

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
            if self._session.mode != "disabled":
                try:
                    call()
                except Exception as error:
                    self._session.give_up(f"stopped: {format_error(error)}")
        if self._session.mode != "disabled":
            with contextlib.suppress(Exception):
                for number in list(self._open):
                    self._end(number, "interrupted", None)

    def _start(self, job: Job) -> None:
        metadata = self._session.metadata
        config = {
            **job.run.to_dict(),
            "p": get_space_values(job, metadata.value_names),
            "arm": job.arm,
            "params": job.num_params,
            "flops_per_step": job.flops_per_step,
            "space_hash": metadata.space_hash,
            **dataclasses.asdict(metadata.provenance),
        }
        name, tags = f"{job.arm} (job {job.number})", build_tags(metadata, job.kind)
        run = self._session.open(job.number, name, job.kind, tags, config)
        run.define_metric("*", step_metric="step")
        self._open[job.number] = run, job

    def _log(self, number: int, validations: list[Validation]) -> None:
        run, job = self._open[number]
        index = validations[-1].index
        if index < run.step:
            return  # the server has it from before the sweep was stopped
        point = build_curve_point(job, validations, self._session.metadata.goal)
        run.log({name: value for name, value in point.items() if value is not None}, step=index, commit=True)

    def _end(self, number: int, status: str, error: str | None) -> None:
        run, job = self._open.pop(number)
        run.tags = build_tags(self._session.metadata, job.kind, status)
        run.summary["status"] = status
        if error:
            run.summary["error"] = error
        self._session.close(run, exit_code=1 if status in ("failed", "interrupted") else 0)
