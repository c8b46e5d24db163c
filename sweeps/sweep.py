"""One sweep, from its configuration to its verdict: checked, prepared, run, reported."""

from __future__ import annotations

import dataclasses
import errno
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hrm.config.errors import ConfigError
from hrm.config.schema import build_config
from hrm.data.base import Dataset
from hrm.data.registry import open_task, task_kind
from hrm.models.registry import get_family
from hrm.training.progress import DataProgress
from sweeps.analysis.best import write_best
from sweeps.analysis.pareto import write_pareto
from sweeps.analysis.statistics import TEST_NAME
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.callbacks.base import Callback
from sweeps.callbacks.progress import progress
from sweeps.callbacks.wandb import summary
from sweeps.callbacks.wandb.runs import WandbRuns
from sweeps.callbacks.wandb.session import Session, check_mode
from sweeps.config import SweepConfig
from sweeps.errors import BudgetError, OutputError
from sweeps.execution.checkpoints import Checkpoints
from sweeps.execution.resources import Allocation, Machine, share
from sweeps.execution.signals import leaving_on_second_signal, resume_command
from sweeps.execution.storage import Storage
from sweeps.results import metadata as setting
from sweeps.results import output_dir as output
from sweeps.results.metadata import SweepMetadata
from sweeps.results.tables import Tables
from sweeps.scheduler.resume import restore
from sweeps.scheduler.scheduler import Scheduler
from sweeps.scheduler.stopping import stopwatch
from sweeps.scheduler.trial_runner import TrialRunner
from sweeps.search.objectives import METRIC_DIRECTIONS, metrics
from sweeps.space.candidates import Candidates
from sweeps.space.constraints import MEMORY

if TYPE_CHECKING:
    from sweeps.execution.ray_tune import Connection

DASHBOARD = "http://127.0.0.1:8080/"
"""Where `make dashboard` shows a study unless it is given another PORT."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def describe(config: SweepConfig) -> str:
    """The space, its counts and the presets' places in it; trains nothing (`dry_run=true`).

    Raises:
        UserError: the configuration is at fault.
    """
    from sweeps import dry_run

    return dry_run.describe(_candidates(config), config)


def run(config: SweepConfig, command: Sequence[str] = ()) -> Path:
    """Runs a sweep and reports it; returns its folder.

    Args:
        config: the sweep.
        command: the arguments of `run_sweep.py` that ask for it, for its report.

    Raises:
        UserError: the configuration, the data, the machine or the output folder is at fault; nothing has
            been trained, and no folder has been touched.
        KeyboardInterrupt: the sweep was asked to stop; what it had found is written and reported.
    """
    candidates = _candidates(config)
    out = output.choose(config)
    with _prepared(config, candidates) as (dataset, ray), output.held(out), _needing_room(out):
        _carry_out(config, candidates, dataset, ray, out, command)
    return out


def resume(config: SweepConfig, out: Path) -> Path:
    """Goes on with the sweep in a folder, to the limits of `config`; returns the folder.

    Args:
        config: the sweep's own, its limits perhaps higher (see `sweeps.scheduler.resume`).

    Raises:
        UserError: as `run`; or the data have changed, another process runs the sweep, or the code decides
            differently now.
        KeyboardInterrupt: as `run`.
    """
    candidates = _candidates(config)
    with output.held(out), _prepared(config, candidates) as (dataset, ray), _needing_room(out):
        _carry_out(config, candidates, dataset, ray, out)
    return out


@contextmanager
def _prepared(config: SweepConfig, candidates: Candidates) -> Iterator[tuple[Dataset, Connection]]:
    """Data and Ray."""
    machine = _check_machine(config, candidates)
    storage = _storage(config)
    with DataProgress() as show:
        dataset = open_task(_task(config), show)
    _check_objective(config, dataset)
    from sweeps.execution import ray_tune as ray_bridge

    with ray_bridge.connect(config.ray.address, machine, storage) as ray:
        yield dataset, ray


def _carry_out(
    config: SweepConfig,
    candidates: Candidates,
    dataset: Dataset,
    ray: Connection,
    out: Path,
    command: Sequence[str] = (),
) -> None:
    """The sweep in `out` from where it stands, which is nowhere in a new folder."""
    shares = share(config, ray.machines, candidates.largest(MEMORY))
    # Slots decide what a decision sees: another machine must find them in the configuration.
    config = dataclasses.replace(config, max_concurrent=shares.slots)
    plan, past, ledger = restore(out, config, candidates, shares.slots, shares.memory_bytes, stopwatch())
    metadata = setting.restore(out, dataset) or setting.describe(
        config, candidates, plan, dataset, _again(command, shares.slots), TEST_NAME
    )
    under_way = (
        "The sweep is not over: this is what it has found so far. Should nothing run it any more, go on: "
    )
    setting.write(dataclasses.replace(metadata, notes=[f"{under_way}`{resume_command(out)}`"]), out)
    output.write_config(out, config)
    print(_opening(config, metadata, plan, shares, out), file=sys.stderr)
    storage = ray.storage and ray.storage / metadata.unique_name
    checkpoints = Checkpoints(out, config.checkpoint_seconds, storage, config.revive > 0)
    session = Session(out, config.wandb, metadata)
    with (
        closing(ledger),
        closing(checkpoints),
        leaving_on_second_signal(out),
        _concluding(out, metadata, plan, session),
        _listening(out, metadata, plan, session) as listeners,
    ):
        dispatcher = TrialRunner(plan, [*listeners, checkpoints], ledger, config.max_failures)
        dispatcher.go_on(past)
        ray.run(dispatcher, shares, checkpoints, dataset)


def _candidates(config: SweepConfig) -> Candidates:
    """The space within its budget, after all that can be checked without a machine."""
    task = _task(config)
    fields = task_kind(task.name).counted_fields(task)
    candidates = Candidates(config, open_task(task).model_fields if fields is None else fields)
    # A plan in memory refuses what the real one would refuse after the folder is made.
    plan = Scheduler(config, candidates, None, slots=1)
    if config.baseline.presets and not plan.presets:
        reasons = "; ".join(f"{place.name} {place.misfit}" for place in plan.left_out)
        raise BudgetError(
            "baseline.presets", config.baseline.presets, f"none of them can be trained here: {reasons}",
            "Name another preset, raise the budget, or leave baseline.presets out",
        )  # fmt: skip
    _check_metric(config)
    check_mode(config.wandb)
    return candidates


def _check_metric(config: SweepConfig) -> None:
    """A model that is never measured by an objective would fail every trial."""
    measured = [name for name in METRIC_DIRECTIONS if name in get_family(config.family).metrics]
    for objective in metrics(config):
        if objective.metric.removeprefix("valid/") not in measured:
            rule = f"models of family={config.family} are measured by: {', '.join(measured)}"
            raise ConfigError("objective", objective.name, rule, f"Use objective=valid/{measured[0]}")


def _check_objective(config: SweepConfig, dataset: Dataset) -> None:
    """A task without blank cells never reports their accuracy, and every trial would fail for it."""
    asked = [one.name for one in metrics(config) if "blank_accuracy" in one.name]
    if asked and dataset.valid.blank_token is None:
        rule = f"task {config.task['name']} has no blank cells to be judged by"
        raise ConfigError("objective", asked[0], rule, "Use objective=valid/cell_accuracy_auc")


def _storage(config: SweepConfig) -> Storage | None:
    """The storage that sweeps share, if any.

    Raises:
        ResourceError: it cannot be reached, or not be written.
    """
    if config.ray.storage_path is None:
        return None
    storage = Storage.at(config.ray.storage_path)
    storage.check()
    return storage


def _task(config: SweepConfig) -> Any:
    return build_config(task_kind(config.task["name"]).config_class, config.task, "task")


def _check_machine(config: SweepConfig, candidates: Candidates) -> Machine:
    """This machine, which can do what is asked of it unless a cluster is to."""
    machine = Machine.local()
    if config.ray.address is not None:
        return machine
    from hrm.system.device import resolve_device

    resolve_device(config.device)
    shares = share(config, [machine], candidates.largest(MEMORY))
    # Ray counts processors to keep trials apart; slots beyond them are the user's wish.
    num_cpus = max(machine.num_cpus, shares.slots * shares.cpus_per_trial)
    return dataclasses.replace(machine, num_cpus=num_cpus)


@contextmanager
def _listening(
    out: Path, metadata: SweepMetadata, plan: Scheduler, session: Session
) -> Iterator[list[Callback]]:
    """Tables first: what the others tell of is on disk."""
    listeners: list[Callback] = [Tables(out, metadata, plan.trial_numbers.get)]
    if session.mode != "disabled":
        listeners.append(WandbRuns(session))
    listeners.append(progress(metadata, lambda: plan.num_jobs_expected))
    with ExitStack() as stack:
        for listener in listeners:
            stack.callback(listener.close)
        yield listeners


@contextmanager
def _needing_room(out: Path) -> Iterator[None]:
    """A full disk stops the sweep, and is the user's to mend."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        hint = f"Make room, then go on: {resume_command(out)}"
        raise OutputError("out", str(out), f"cannot be written ({error.strerror})", hint) from None


@contextmanager
def _concluding(out: Path, metadata: SweepMetadata, plan: Scheduler, session: Session) -> Iterator[None]:
    """However the sweep ends, what it has found is written and reported."""
    status = "interrupted"
    try:
        yield
        status = "completed"
    finally:
        notes = [] if status == "completed" else [
            f"The sweep was interrupted after {len(plan.outcomes)} of about {plan.num_jobs_expected} jobs. "
            f"To go on: `{resume_command(out)}`"
        ]  # fmt: skip
        setting.write(dataclasses.replace(metadata, notes=[*plan.notes, *notes]), out)
        from sweeps.report.files import write_report

        folder = SweepFolder.read(out)
        write_best(out, folder)
        write_pareto(out, folder)
        print(write_report(out, folder))
        summary.write(session, status)


def _opening(
    config: SweepConfig, metadata: SweepMetadata, plan: Scheduler, shares: Allocation, out: Path
) -> str:
    arms = ", ".join(plan.presets) or "no preset within the budget"
    blind = shares.slots > 1 and shares.slots > config.num_trials // 2
    note = (
        f"note: {shares.slots} trials at once see too few results before them to search by\n" if blind else ""
    )
    if config.revive and plan.num_unrevivable:
        note += (
            f"note: {plan.num_unrevivable} pruned trials cannot be revived: revive was 0 when they were pruned, "
            "and their checkpoints were not kept\n"
        )
    return note + (
        f"{metadata.name} on {metadata.task}: about {plan.num_jobs_expected} jobs in {shares.slots} slots, "
        f"baselines: {arms}\nwriting to {out}; to watch it: make dashboard DIR={out}, then {DASHBOARD}"
    )


def _again(command: Sequence[str], slots: int) -> list[str]:
    """The arguments that start the same sweep anywhere, without its folder."""
    arguments = [argument for argument in command if not argument.startswith(("out=", "max_concurrent="))]
    return [*arguments, f"max_concurrent={slots}"]
