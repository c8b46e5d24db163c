"""Weights & Biases, written from the driver: a run per job, all of a sweep in one group.

Calls into wandb wait on its service process (about 0.1 s to open a run), so a thread of its own makes them
and the sweep never waits. What goes wrong there costs a warning, never the sweep: the tables are the truth.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from hrm.errors import ConfigError
from sweeps.config import WandbConfig
from sweeps.jobs import Job, Outcome, Report
from sweeps.listener import Listener
from sweeps.results.context import Context
from sweeps.results.values import space_values

DRAIN_SECONDS = 120.0
"""Most that the end of a sweep waits for runs to be written."""
CONNECT_SECONDS = 20.0
"""Most that an online run waits for the server before all runs are kept offline."""


def check_mode(config: WandbConfig) -> str:
    """`disabled`, `offline` or `online`, decided before anything starts. Never asks.

    Raises:
        ConfigError: online without a login.
    """
    if config.mode == "online":
        import wandb

        with contextlib.redirect_stderr(None), contextlib.redirect_stdout(None):
            logged_in = wandb.login(prompt=False, verify=False)
        if not logged_in:
            mend = "Run `wandb login` or set WANDB_API_KEY first, or choose wandb.mode=offline and sync later"
            raise ConfigError("wandb.mode", "online", "needs a W&B login, and there is none", mend)
    return config.mode


class WandbRuns(Listener):
    """A W&B run per job.

    Args:
        out: the sweep's folder; offline runs lie in `out/wandb`.
        config: its mode is `offline` or `online`, checked by `check_mode`.
        context: the sweep's setting.
        warn: told once, in a line, when W&B fails.
    """

    def __init__(
        self, out: Path, config: WandbConfig, context: Context, warn: Callable[[str], None] | None = None
    ) -> None:
        self._out, self._config, self._context = out.resolve(), config, context
        self._mode = config.mode
        self._warn = warn or (lambda message: print(message, file=sys.stderr))
        self._sweep_id = hashlib.sha256(f"{context.space_hash} {context.started_at}".encode()).hexdigest()[:8]
        self._runs: dict[int, Any] = {}
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="wandb-runs", daemon=True)
        self._thread.start()

    def on_start(self, job: Job) -> None:
        self._calls.put(partial(self._open, job))

    def on_report(self, job: Job, report: Report) -> None:
        self._calls.put(partial(self._log, job, report))

    def on_end(self, job: Job, outcome: Outcome) -> None:
        self._calls.put(partial(self._finish, job.number, outcome.status, outcome.error))

    def close(self) -> None:
        self._calls.put(None)
        self._thread.join(DRAIN_SECONDS)
        if self._thread.is_alive():
            self._warn(f"W&B still had runs to write after {DRAIN_SECONDS:.0f} s; they were left")

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call()
            except Exception as error:
                self._warn(f"W&B stopped: {_one_line(error)}. The sweep goes on; its tables are complete")
                self._drain()
                return
        with contextlib.suppress(Exception):
            for number in list(self._runs):
                self._finish(number, "interrupted", None)
            import wandb

            wandb.teardown()

    def _drain(self) -> None:
        while self._calls.get() is not None:
            pass

    def _open(self, job: Job) -> None:
        import wandb

        try:
            self._runs[job.number] = self._init(job)
        except wandb.Error as error:
            if self._mode != "online":
                raise
            self._mode = "offline"
            kept = f"Its runs are kept offline in {self._out}/wandb"
            self._warn(f"W&B cannot be reached: {_one_line(error)}. {kept}")
            # W&B's service process goes on holding the id of the run that failed.
            self._runs[job.number] = self._init(job, "-offline")

    def _init(self, job: Job, suffix: str = "") -> Any:
        import wandb

        context = self._context
        settings = wandb.Settings(
            console="off",
            silent=True,
            disable_git=True,
            disable_code=True,
            x_disable_stats=True,
            x_disable_meta=True,
            init_timeout=CONNECT_SECONDS,
            finish_timeout=8.0,
            # The log reaches the disk every second instead of every 15, for the sake of killed sweeps.
            x_transaction_log_flush_interval=1.0,
        )
        run = wandb.init(
            mode=self._mode,  # type: ignore[arg-type]
            project=self._config.project,
            entity=self._config.entity,
            id=f"{self._sweep_id}-{job.number}{suffix}",
            name=f"{job.arm} (job {job.number})",
            group=f"{context.name}-{self._sweep_id}",
            job_type=job.kind,
            tags=[context.name, context.task[:64], job.kind],
            config=self._config_of(job),
            dir=self._out,
            reinit="create_new",
            settings=settings,
        )
        run.define_metric("*", step_metric="step")
        return run

    def _config_of(self, job: Job) -> dict[str, Any]:
        provenance = self._context.provenance
        return {
            **job.run.to_dict(),
            "p": space_values(job, self._context.value_names),
            "arm": job.arm,
            "params": job.num_params,
            "flops_per_step": job.flops_per_step,
            "commit": provenance.commit,
            "dirty": provenance.dirty,
            "versions": provenance.versions,
            "hardware": provenance.hardware,
            "space_hash": self._context.space_hash,
        }

    def _log(self, job: Job, report: Report) -> None:
        metrics = {name: value for name, value in report.metrics.items() if value is not None}
        spent = {
            name: getattr(report, name) for name in ("step", "train_flops", "train_seconds", "eval_seconds")
        }
        self._runs[job.number].log({**spent, "fraction": report.step / job.run.train.steps, **metrics})

    def _finish(self, number: int, status: str, error: str | None) -> None:
        run = self._runs.pop(number)
        run.summary["status"] = status
        if error:
            run.summary["error"] = error
        run.finish(exit_code=0 if status in ("completed", "pruned") else 1)


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
