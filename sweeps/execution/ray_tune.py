"""How jobs run: one Ray Tune trial each, on worker processes that are used again. Ray decides nothing.

With `ray_connection.py` and `ray_worker.py` all that knows Ray. A `TrialRunner` says what to run and what to
stop; Tune's hooks carry its words: a Searcher asks it for jobs, a Scheduler brings it reports and failures, a
Callback tells when a job has reached its worker. Before the first job each slot gets a trial without one, which ends
when all workers are up: Tune would give a job whose worker is still starting to an idle one, and end the
starting worker, so that short jobs would never get their second slot.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
from sweeps.events import OUT_OF_MEMORY, Ended, Job, Validation
from sweeps.execution import ray_cluster as ray_connection
from sweeps.execution.checkpoints import Checkpoints
from sweeps.execution.failures import Deaths
from sweeps.execution.resources import Allocation, Machine
from sweeps.execution.storage import Storage
from sweeps.execution.worker import Worker
from sweeps.scheduler.phases.base import DONE
from sweeps.scheduler.trial_runner import TrialRunner

_PATIENCE_SECONDS = 60.0
"""How long a worker that is up waits for the others: on a shared cluster some slots may be taken."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, or SIGTERM: the sweep has been asked to stop."""


class _RayDied(BaseException):
    """A process of the local Ray without which nothing runs is gone.

    Not an Exception, for which Tune would wait for its workers.
    """


class Connection:
    """A running Ray, until `connect` ends.

    Attributes:
        machines: what it offers; a local one is one machine.
        storage: where checkpoints lie, if not on this machine alone.
    """

    def __init__(
        self, address: str | None, machine: Machine, scratch: Path, storage: Storage | None = None
    ) -> None:
        self._scratch = scratch
        self._is_local = address is None
        self.storage = storage
        if address is None:
            ray_connection.start(machine, scratch)
            self.machines = [machine]
        else:
            self.machines = ray_connection.join(address, machine, storage)

    def run(
        self,
        runner: TrialRunner,
        shares: Allocation,
        checkpoints: Checkpoints,
        dataset: Dataset | None = None,
    ) -> None:
        """Runs the runner's jobs to their end. A local Ray that dies meanwhile is started again.

        Args:
            dataset: of all jobs. On several machines it goes through Ray's object store, once to each, and
                workers there share its arrays; on one, or given None, they open the files themselves.

        Raises:
            Interrupted: a signal came. The jobs that ran have not ended: they may be resumed.
        """
        worker = Worker
        if dataset is not None and len(self.machines) > 1:
            worker = tune.with_parameters(Worker, carried=stored(dataset))
        while True:
            try:
                _run(runner, shares, checkpoints, worker, Deaths(self._is_local))
                return
            except _RayDied:
                ray.shutdown()
                for number in runner.running:
                    runner.lose(number, "RayDied: a process of the local Ray was killed or crashed")
                ray_connection.start(self.machines[0], self._scratch)


@contextmanager
def connect(address: str | None, machine: Machine, storage: Storage | None = None) -> Iterator[Connection]:
    """A private local Ray that takes itself to be `machine`, or the cluster at `address`.

    It is left on exit, a local one ended.

    Args:
        machine: this one.
        storage: where checkpoints are to lie, if not on this machine alone.

    Raises:
        ResourceError: there is no such cluster, or its machines do not share the storage.
    """
    ray_connection.quiet()
    scratch = Path(tempfile.mkdtemp(prefix="hrm-ray-", dir=ray_connection.short_temporary_folder()))
    try:
        yield Connection(address, machine, scratch, storage)
    finally:
        ray.shutdown()
        shutil.rmtree(scratch, ignore_errors=True)


def stored(dataset: Dataset) -> Any:
    """A reference to the data in Ray's object store, whence every machine gets them once."""
    # A memory map would be copied into each process; a plain array is read where the store has it.
    register_serializer(np.memmap, serializer=np.asarray, deserializer=np.asarray)
    return ray.put(InMemoryDataset(dataset))


def _run(
    runner: TrialRunner,
    shares: Allocation,
    checkpoints: Checkpoints,
    worker: type[Worker],
    deaths: Deaths,
) -> None:
    storage = tempfile.mkdtemp(prefix="hrm-tune-")
    with StopSignals() as signals:
        hooks = _Hooks(runner, shares.slots, signals, checkpoints, deaths)
        try:
            _tune(hooks, shares, worker, storage)
        except TuneError as error:
            # Tune wraps what its hooks raise in a text; ours is the cause.
            raise hooks.error or error from None
        finally:
            shutil.rmtree(storage, ignore_errors=True)
    for number in runner.running:
        runner.end(Ended(number=number, status="failed", error="lost: Ray ended without it"))


def _tune(hooks: _Hooks, shares: Allocation, worker: type[Worker], storage: str) -> None:
    tune.run(
        worker,
        name="sweep",
        storage_path=storage,
        num_samples=-1,
        search_alg=_Suggestions(hooks),
        scheduler=_Decisions(hooks),
        callbacks=[_Starts(hooks)],
        max_concurrent_trials=shares.slots,
        resources_per_trial={"cpu": shares.cpus_per_trial, "gpu": shares.gpus_per_trial},
        reuse_actors=True,
        max_failures=0,
        raise_on_failed_trial=False,
        trial_name_creator=_name,
        trial_dirname_creator=_name,
        verbose=0,
    )


class _Hooks:
    """What the three hooks of Tune share."""

    def __init__(
        self,
        runner: TrialRunner,
        slots: int,
        signals: StopSignals,
        checkpoints: Checkpoints,
        deaths: Deaths,
    ) -> None:
        self.runner = runner
        self.checkpoints = checkpoints
        self.deaths = deaths
        self.slots = slots
        self.signals = signals
        self.warm_up = _WarmUp(slots)
        self.error: Exception | None = None
        """What a hook raised, before Tune wrapped it."""

    @contextmanager
    def noting_errors(self) -> Iterator[TrialRunner]:
        try:
            yield self.runner
        except Exception as error:
            self.error = self.error or error
            raise


class _WarmUp:
    """Trials without a job, one a slot: they hold the workers that are up until all are, or patience ends."""

    def __init__(self, slots: int) -> None:
        self._to_start = self._to_end = slots
        self._up: set[str] = set()
        self._first_up = float("inf")

    def start_one(self) -> bool:
        """Whether one more is wanted; it then counts as started."""
        if self._to_start == 0:
            return False
        self._to_start -= 1
        return True

    def up(self, trial: Trial) -> bool:
        """A worker is up. Returns whether its trial may end."""
        self._up.add(trial.trial_id)
        self._first_up = min(self._first_up, time.monotonic())
        return len(self._up) >= self._to_end or self._out_of_patience

    def end_one(self) -> None:
        """A trial has ended: its worker is free, or could not start, as a job's will tell."""
        self._to_end -= 1

    @property
    def over(self) -> bool:
        """Whether jobs may start."""
        return self._to_end <= 0 or self._out_of_patience

    @property
    def _out_of_patience(self) -> bool:
        return time.monotonic() > self._first_up + _PATIENCE_SECONDS


class _Suggestions(Searcher):
    """Asks for jobs. Tune asks again within a tenth of a second after a None."""

    def __init__(self, hooks: _Hooks) -> None:
        super().__init__()
        self._hooks = hooks
        self._numbers: dict[str, int] = {}

    def suggest(self, trial_id: str) -> Any:
        if self._hooks.warm_up.start_one():
            return {}
        if not self._hooks.warm_up.over:
            return None
        with self._hooks.noting_errors() as runner:
            job = runner.next_job()
        if isinstance(job, Job):
            self._numbers[trial_id] = job.number
            return {
                "job": job,
                "num_reported": runner.num_reported(job.number),
                "checkpoint": self._hooks.checkpoints.of(job),
            }
        return Searcher.FINISHED if job is DONE else None

    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
        # The scheduler has told of every ordinary end: this one is of what Tune gave up without telling.
        if trial_id not in self._numbers:
            self._hooks.warm_up.end_one()
            return
        number = self._numbers.pop(trial_id)
        self._hooks.deaths.ended(number)
        with self._hooks.noting_errors() as runner:
            runner.lose(number, "lost: Ray gave the trial up")

    def save(self, checkpoint_path: str) -> None:
        """Nothing: what must survive lives in the study and the tables."""

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Nothing, likewise."""

    def restore(self, checkpoint_path: str) -> None:
        raise AssertionError("Ray's snapshots are switched off, so nothing is restored from one")


class _Decisions(FIFOScheduler):
    """Brings reports and failures to the runner, and stops what has ended."""

    def __init__(self, hooks: _Hooks) -> None:
        super().__init__()
        self._hooks = hooks
        self._keeps_workers = False

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        if not self._keeps_workers:
            # Tune keeps one idle worker and ends the others, though a plan that waits for the slowest of
            # several jobs will need them all again: a new worker costs seconds.
            cache = tune_controller._tune_controller._actor_cache
            cache.increase_max(trial.placement_group_factory, self._hooks.slots)
            self._keeps_workers = True

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict) -> str:
        if _is_warm_up(trial):
            return TrialScheduler.STOP if self._hooks.warm_up.up(trial) else TrialScheduler.CONTINUE
        message: Validation | Ended = result["message"]
        with self._hooks.noting_errors() as runner:
            if isinstance(message, Ended):
                runner.end(message)
                return TrialScheduler.STOP
            ended = runner.report(_number(trial), message)
        return TrialScheduler.STOP if ended else TrialScheduler.CONTINUE

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        if _is_warm_up(trial):
            return
        with self._hooks.noting_errors() as runner:
            reason, observed_bytes = self._hooks.deaths.why(_number(trial), trial.error_file)
            if reason.startswith(OUT_OF_MEMORY):
                runner.end(
                    Ended(
                        number=_number(trial),
                        status="failed",
                        error=reason,
                        observed_bytes=observed_bytes,
                    )
                )
            else:
                runner.lose(_number(trial), reason)


class _Starts(tune.Callback):
    """Tells when a job has reached its worker, and ends the run when a signal has come or Ray has died."""

    def __init__(self, hooks: _Hooks) -> None:
        self._hooks = hooks

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        try:
            self._hooks.signals.check()
        except Stopped as stopped:
            # Not an Exception, for which Tune would wait for its workers: they end with the connection.
            raise Interrupted(stopped.name) from None
        if _has_died():
            raise _RayDied
        self._hooks.deaths.look()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        if _is_warm_up(trial):
            return
        self._hooks.deaths.began(_number(trial), lambda: trial.last_result.get("pid"))
        with self._hooks.noting_errors() as runner:
            runner.start(_number(trial))


def _is_warm_up(trial: Trial) -> bool:
    return not trial.config


def _number(trial: Trial) -> int:
    return trial.config["job"].number


def _name(trial: Trial) -> str:
    return f"warm-up-{trial.trial_id}" if _is_warm_up(trial) else f"job-{_number(trial)}"


def _has_died() -> bool:
    node = ray._private.worker._global_node
    return node is not None and bool({"raylet", "gcs_server"} & {kind for kind, _ in node.dead_processes()})
