"""Running jobs: one Ray Tune trial each, on worker processes that are used again. Ray decides nothing.

With `ray_cluster.py` and `worker.py` this is all that knows Ray. A `TrialRunner` says what to run and what to stop,
and Tune's hooks carry its words: a searcher asks it for jobs, a scheduler brings it validations and failures, a
callback tells it when a job has reached its worker. Before the first job each worker gets a trial without one, which
ends when all workers are up: Tune would give a job whose worker is still starting to an idle one, and end the worker
that starts, so that short jobs would never get their second worker.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray import tune
from ray.tune.error import TuneError
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.util import register_serializer

from hrm.data.base import Dataset, InMemoryDataset
from hrm.system.signals import Stopped, StopSignals
from sweeps.events import OUT_OF_MEMORY, Ended, Job, Measured, Validation
from sweeps.execution.checkpoints import CheckpointManager
from sweeps.execution.failures import WorkerFailures
from sweeps.execution.ray_cluster import (
    is_local_ray_dead,
    join_cluster,
    keep_idle_workers,
    silence_ray,
    start_local_ray,
)
from sweeps.execution.resources import Allocation, Machine
from sweeps.execution.storage import Storage
from sweeps.execution.worker import Worker
from sweeps.scheduler.phases.base import DONE
from sweeps.scheduler.trial_runner import TrialRunner

_STARTUP_SECONDS = 60.0
"""How long a worker that is up waits for the others: on a shared cluster some may never come."""


class Interrupted(KeyboardInterrupt):
    """The sweep has been asked to stop, by Ctrl-C or SIGTERM."""


class _RayDied(BaseException):
    """A process without which the local Ray cannot run has died.

    Not an Exception, for which Tune would wait for its workers.
    """


class Connection:
    """A running Ray, until `connect` ends.

    Attributes:
        machines: what it consists of; a local Ray is one machine.
        storage: where checkpoints are kept, if not on this machine alone.
    """

    def __init__(self, address: str | None, machine: Machine, scratch: Path, storage: Storage | None) -> None:
        self._scratch, self._is_local, self.storage = scratch, address is None, storage
        if address is None:
            start_local_ray(machine, scratch)
            self.machines = [machine]
        else:
            self.machines = join_cluster(address, machine, storage)

    def run(
        self,
        runner: TrialRunner,
        allocation: Allocation,
        checkpoints: CheckpointManager,
        dataset: Dataset | None = None,
    ) -> None:
        """Run the runner's jobs to their end. A local Ray that dies meanwhile is started again.

        Args:
            dataset: the data of all jobs. On several machines they go through Ray's object store, once to each, and
                its workers share their arrays; on one machine, or given None, workers open the files themselves.

        Raises:
            Interrupted: a signal came. The jobs that ran have not ended: they can be resumed.
        """
        worker = Worker
        if dataset is not None and len(self.machines) > 1:
            worker = tune.with_parameters(Worker, in_memory_dataset=store_dataset(dataset))
        while True:
            try:
                _run(runner, allocation, checkpoints, worker, WorkerFailures(self._is_local))
                return
            except _RayDied:
                ray.shutdown()
                for number in runner.running:
                    runner.lose(number, "RayDied: a process of the local Ray was killed or crashed")
                start_local_ray(self.machines[0], self._scratch)


@contextmanager
def connect(address: str | None, machine: Machine, storage: Storage | None = None) -> Iterator[Connection]:
    """Start a private local Ray that takes this machine to be `machine`, or join the cluster at `address`.

    On exit the cluster is left, or the local Ray ended.

    Args:
        storage: where checkpoints are to be kept, if not on this machine alone.

    Raises:
        ResourceError: there is no such cluster, or its machines do not share the storage.
    """
    silence_ray()
    # Ray keeps sockets there, and a socket's path has at most 107 bytes (103 on macOS).
    short = "/tmp" if Path("/tmp").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="hrm-ray-", dir=short, ignore_cleanup_errors=True) as scratch:
        try:
            yield Connection(address, machine, Path(scratch), storage)
        finally:
            ray.shutdown()


def store_dataset(dataset: Dataset) -> Any:
    """Put the data into Ray's object store, from where every machine gets them once; return the reference."""
    # A memory map would be copied into each process; a plain array is read where the store has it.
    register_serializer(np.memmap, serializer=np.asarray, deserializer=np.asarray)
    return ray.put(InMemoryDataset(dataset))


def _run(
    runner: TrialRunner,
    allocation: Allocation,
    checkpoints: CheckpointManager,
    worker: type[Worker],
    failures: WorkerFailures,
) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="hrm-tune-", ignore_cleanup_errors=True) as storage,
        StopSignals() as signals,
    ):
        startup = _WorkerStartup(allocation.num_workers)
        run = _Run(runner, allocation, checkpoints, failures, signals, startup)
        try:
            tune.run(
                worker,
                name="sweep",
                storage_path=storage,
                num_samples=-1,
                search_alg=_JobSearcher(run),
                scheduler=_MessageScheduler(run),
                callbacks=[_StartCallback(run)],
                max_concurrent_trials=allocation.num_workers,
                resources_per_trial={"cpu": allocation.cpus_per_trial, "gpu": allocation.gpus_per_trial},
                reuse_actors=True,
                max_failures=0,
                raise_on_failed_trial=False,
                trial_name_creator=_name_trial,
                trial_dirname_creator=_name_trial,
                verbose=0,
            )
        except TuneError as error:
            raise run.error or error from None
    for number in runner.running:
        runner.end(Ended(number=number, status="failed", error="lost: Ray ended without it"))


class _WorkerStartup:
    """Trials without a job, one per worker: they hold the workers that are up until all are, or time is over."""

    def __init__(self, num_workers: int) -> None:
        self._num_to_start = self._num_to_end = num_workers
        self._up: set[str] = set()
        self._deadline = float("inf")

    def start_one(self) -> bool:
        """Return whether one more is needed; it then counts as started."""
        self._num_to_start -= 1
        return self._num_to_start >= 0

    def may_end(self, trial: Trial) -> bool:
        """Take in that a worker is up; return whether its trial may end."""
        if not self._up:
            self._deadline = time.monotonic() + _STARTUP_SECONDS
        self._up.add(trial.trial_id)
        return len(self._up) >= self._num_to_end or time.monotonic() > self._deadline

    def end_one(self) -> None:
        """Take in that a trial has ended: its worker is free, or could not start, as a job's will tell."""
        self._num_to_end -= 1

    @property
    def is_over(self) -> bool:
        """Whether jobs may start."""
        return self._num_to_end <= 0 or time.monotonic() > self._deadline


@dataclass
class _Run:
    """What Tune's hooks share."""

    runner: TrialRunner
    allocation: Allocation
    checkpoints: CheckpointManager
    failures: WorkerFailures
    signals: StopSignals
    startup: _WorkerStartup
    error: Exception | None = field(default=None, init=False)
    """The first error of a hook: what Tune raises instead has only its text."""

    @contextmanager
    def record_errors(self) -> Iterator[TrialRunner]:
        """Yield the runner, and note what it raises."""
        try:
            yield self.runner
        except Exception as error:
            self.error = self.error or error
            raise


class _JobSearcher(Searcher):
    """Asks for jobs. Tune asks again within a tenth of a second after a None."""

    def __init__(self, run: _Run) -> None:
        super().__init__()
        self._run = run
        self._numbers: dict[str, int] = {}

    def suggest(self, trial_id: str) -> Any:
        if self._run.startup.start_one():
            return {}
        if not self._run.startup.is_over:
            return None
        with self._run.record_errors() as runner:
            job = runner.next_job()
        if not isinstance(job, Job):
            return Searcher.FINISHED if job is DONE else None
        self._numbers[trial_id] = job.number
        checkpoint = self._run.checkpoints.build_checkpoint(job)
        return {"job": job, "num_reported": runner.num_reported(job.number), "checkpoint": checkpoint}

    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
        if trial_id not in self._numbers:
            self._run.startup.end_one()
            return
        number = self._numbers.pop(trial_id)
        self._run.failures.forget(number)
        # Ordinary ends are known from the scheduler, and the runner ignores them here. But Tune may also give a
        # trial up without telling the scheduler.
        with self._run.record_errors() as runner:
            runner.lose(number, "lost: Ray gave the trial up")

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: what must survive is in the study and the tables."""


class _MessageScheduler(FIFOScheduler):
    """Brings validations and failures to the runner, and stops trials that have ended."""

    def __init__(self, run: _Run) -> None:
        super().__init__()
        self._run = run
        self._keeps_workers = False

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        if not self._keeps_workers:
            keep_idle_workers(
                tune_controller, trial.placement_group_factory, self._run.allocation.num_workers
            )
            self._keeps_workers = True

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict) -> str:
        message: Measured | Validation | Ended = result["message"]
        with self._run.record_errors() as runner:
            if _is_startup(trial):
                has_ended = self._run.startup.may_end(trial)
            elif isinstance(message, Validation):
                has_ended = runner.report(_get_number(trial), message)
            elif isinstance(message, Measured):
                has_ended = runner.measure(message)
            else:
                runner.end(message)
                has_ended = True
        return TrialScheduler.STOP if has_ended else TrialScheduler.CONTINUE

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        if _is_startup(trial):
            return
        number = _get_number(trial)
        with self._run.record_errors() as runner:
            reason, held = self._run.failures.classify(number, trial.error_file)
            if reason.startswith(OUT_OF_MEMORY):
                runner.end(Ended(number=number, status="failed", error=reason, observed_bytes=held))
            else:
                runner.lose(number, reason)


class _StartCallback(tune.Callback):
    """Tells when a job has reached its worker, and ends the run when a signal has come or Ray has died."""

    def __init__(self, run: _Run) -> None:
        self._run = run

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        try:
            self._run.signals.check()
        except Stopped as stopped:
            # Not an Exception, for which Tune would wait for its workers: they end with the connection.
            raise Interrupted(stopped.name) from None
        if is_local_ray_dead():
            raise _RayDied
        self._run.failures.sample_memory()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        if _is_startup(trial):
            return
        self._run.failures.watch(_get_number(trial), lambda: trial.last_result.get("pid"))
        with self._run.record_errors() as runner:
            runner.start(_get_number(trial))


def _is_startup(trial: Trial) -> bool:
    return not trial.config


def _get_number(trial: Trial) -> int:
    return trial.config["job"].number


def _name_trial(trial: Trial) -> str:
    return f"startup-{trial.trial_id}" if _is_startup(trial) else f"job-{_get_number(trial)}"
