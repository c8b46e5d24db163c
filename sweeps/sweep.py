"""One sweep, from its configuration to its verdict: check, prepare, run, report."""

from __future__ import annotations

import dataclasses
import errno
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hrm.config.errors import ConfigError
from hrm.data.base import Dataset
from hrm.data.registry import open_task
from hrm.system.signals import exit_on_second_signal
from hrm.training.progress import DataProgress
from sweeps.analysis.best import write_best
from sweeps.analysis.pareto import write_pareto
from sweeps.analysis.statistics import TEST_NAME
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.callbacks.base import Callback
from sweeps.callbacks.progress import build_progress_reporter
from sweeps.callbacks.wandb.runs import WandbRuns
from sweeps.callbacks.wandb.session import WandbSession
from sweeps.callbacks.wandb.summary import write_summary
from sweeps.checks import check_sweep, read_task
from sweeps.config import SweepConfig
from sweeps.errors import OutputError
from sweeps.execution.checkpoints import CheckpointManager
from sweeps.execution.resources import Allocation, Machine, allocate_resources
from sweeps.execution.storage import Storage
from sweeps.results.metadata import SweepMetadata, build_metadata, restore_metadata, write_metadata
from sweeps.results.output_dir import choose_output_dir, format_resume_command, lock_output_dir, write_config
from sweeps.results.tables import TableWriter
from sweeps.scheduler.resume import restore
from sweeps.scheduler.scheduler import Scheduler
from sweeps.scheduler.stopping import start_clock
from sweeps.scheduler.trial_runner import TrialRunner
from sweeps.search.objectives import list_metrics
from sweeps.space.candidates import Candidates

if TYPE_CHECKING:
    from sweeps.execution.ray_tune import Connection

DASHBOARD = "http://127.0.0.1:8080/"
"""Where `make dashboard` shows a study unless it is given another PORT."""
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def run(config: SweepConfig, command: Sequence[str] = (), *, resume: bool = False) -> Path:
    """Run a sweep, report it and return its folder.

    Args:
        config: the sweep. To resume one, its own configuration, the limits perhaps higher.
        command: the arguments of `run_sweep.py` that ask for it, for its report.
        resume: resume the sweep in the folder `config.out`.

    Raises:
        UserError: the configuration, the data, the machine or the output folder is at fault; or a sweep that is
            resumed has other data, is run by another process, or is one that the code would decide differently
            now. Nothing has been trained, and no new folder has been made.
        KeyboardInterrupt: the sweep was asked to stop; what it had found is written and reported.
    """
    candidates = check_sweep(config)
    out = Path(config.out) if resume and config.out else choose_output_dir(config)
    with ExitStack() as stack:
        if resume:
            stack.enter_context(lock_output_dir(out))
        machine, storage = _check_machine(config, candidates), _open_storage(config)
        with DataProgress() as show:
            dataset = open_task(read_task(config), show)
        _check_objective(config, dataset)
        from sweeps.execution import ray_tune

        ray = stack.enter_context(ray_tune.connect(config.ray.address, machine, storage))
        if not resume:
            stack.enter_context(lock_output_dir(out))
        stack.enter_context(_handle_disk_full(out))
        _execute(config, candidates, dataset, ray, out, command)
    return out


def _execute(
    config: SweepConfig,
    candidates: Candidates,
    dataset: Dataset,
    ray: Connection,
    out: Path,
    command: Sequence[str],
) -> None:
    """Run the sweep in `out` from where it stands: from the start in a new folder."""
    allocation = allocate_resources(config, ray.machines, candidates.max_memory_bytes)
    # The number of slots decides what a decision may know: another machine must find it in the configuration.
    config = dataclasses.replace(config, max_concurrent=allocation.num_workers)
    scheduler, log = restore(
        out, config, candidates, allocation.num_workers, allocation.memory_bytes, start_clock()
    )
    # What starts the same sweep anywhere, in a folder of its own.
    command = [argument for argument in command if not argument.startswith(("out=", "max_concurrent="))]
    command.append(f"max_concurrent={allocation.num_workers}")
    metadata = restore_metadata(out, dataset) or build_metadata(
        config, candidates, scheduler, dataset, command, TEST_NAME
    )
    note = "The sweep is not over: this is what it has found so far. If nothing runs it any more, resume it: "
    write_metadata(dataclasses.replace(metadata, notes=[f"{note}`{format_resume_command(out)}`"]), out)
    write_config(out, config)
    print(_describe_start(config, metadata, scheduler, allocation, out), file=sys.stderr)
    storage = ray.storage and ray.storage / metadata.unique_name
    checkpoints = CheckpointManager(out, config.checkpoint_seconds, storage, config.resume_pruned > 0)
    session = WandbSession(out, config.wandb, metadata)
    with ExitStack() as stack:
        stack.enter_context(closing(log))
        stack.enter_context(closing(checkpoints))
        hint = f"stopped at once; to resume: {format_resume_command(out)}"
        stack.enter_context(exit_on_second_signal(hint))
        stack.enter_context(_finalize(out, metadata, scheduler, session))
        # Tables first: what the others tell is on disk. Checkpoints last: they are removed when all else is done.
        callbacks: list[Callback] = [TableWriter(out, metadata, scheduler.trial_numbers.get)]
        if session.mode != "disabled":
            callbacks.append(WandbRuns(session))
        callbacks.append(build_progress_reporter(metadata, lambda: scheduler.num_jobs_expected))
        for callback in callbacks:
            stack.enter_context(closing(callback))
        runner = TrialRunner(scheduler, [*callbacks, checkpoints], log, config.max_failures)
        runner.resume()
        ray.run(runner, allocation, checkpoints, dataset)


def _check_objective(config: SweepConfig, dataset: Dataset) -> None:
    """Check that the task has blank cells if the objective is about them: every trial would fail otherwise."""
    asked = [one.name for one in list_metrics(config) if "blank_accuracy" in one.name]
    if asked and dataset.valid.blank_token is None:
        rule = f"task {config.task['name']} has no blank cells to be judged by"
        raise ConfigError("objective", asked[0], rule, "Use objective=valid/cell_accuracy_auc")


def _open_storage(config: SweepConfig) -> Storage | None:
    """Return the storage that sweeps share, if any.

    Raises:
        ResourceError: it cannot be reached, or not be written.
    """
    if config.ray.storage_path is None:
        return None
    storage = Storage.at(config.ray.storage_path)
    storage.check()
    return storage


def _check_machine(config: SweepConfig, candidates: Candidates) -> Machine:
    """Return this machine, after checking that it can do what is asked, unless a cluster is to do it."""
    machine = Machine.detect()
    if config.ray.address is not None:
        return machine
    from hrm.system.device import resolve_device

    resolve_device(config.device)
    allocation = allocate_resources(config, [machine], candidates.max_memory_bytes)
    # Ray counts processors to keep trials apart; slots beyond them are the user's wish.
    num_cpus = max(machine.num_cpus, allocation.num_workers * allocation.cpus_per_trial)
    return dataclasses.replace(machine, num_cpus=num_cpus)


@contextmanager
def _handle_disk_full(out: Path) -> Iterator[None]:
    """Turn a full disk into a user error: it stops the sweep, which can be resumed."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        hint = f"Make room, then resume: {format_resume_command(out)}"
        raise OutputError("out", str(out), f"cannot be written ({error.strerror})", hint) from None


@contextmanager
def _finalize(
    out: Path, metadata: SweepMetadata, scheduler: Scheduler, session: WandbSession
) -> Iterator[None]:
    """Write and report what the sweep has found, however it ends."""
    status = "interrupted"
    try:
        yield
        status = "completed"
    finally:
        notes = scheduler.notes
        if status == "interrupted":
            state = scheduler.state
            num_ended = len(state.trials) - state.num_running
            notes.append(
                f"The sweep was interrupted after {num_ended} of about {scheduler.num_jobs_expected} jobs. "
                f"To resume it: `{format_resume_command(out)}`"
            )
        write_metadata(dataclasses.replace(metadata, notes=notes), out)
        from sweeps.report.files import write_report

        folder = SweepFolder.read(out)
        write_best(out, folder)
        write_pareto(out, folder)
        print(write_report(out, folder))
        write_summary(session, status)


def _describe_start(
    config: SweepConfig, metadata: SweepMetadata, scheduler: Scheduler, allocation: Allocation, out: Path
) -> str:
    lines = []
    if allocation.num_workers > max(1, config.num_trials // 2):
        lines.append(
            f"note: {allocation.num_workers} trials at once see too few results before them to search by"
        )
    if config.resume_pruned and scheduler.num_unresumable:
        lines.append(
            f"note: {scheduler.num_unresumable} pruned trials cannot be resumed: resume_pruned was 0 when they "
            "were pruned, and their checkpoints were not kept"
        )
    presets = ", ".join(scheduler.presets) or "no preset within the budget"
    lines += [
        f"{metadata.name} on {metadata.task}: about {scheduler.num_jobs_expected} jobs "
        f"in {allocation.num_workers} slots, baselines: {presets}",
        f"writing to {out}; to watch it: make dashboard DIR={out}, then {DASHBOARD}",
    ]
    return "\n".join(lines)
