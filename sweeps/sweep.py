"""One sweep, from its configuration to its verdict: checked, prepared, run, reported."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from hrm import config as reader
from hrm.errors import ConfigError
from hrm.families import family
from hrm.tasks import open_task, task_kind
from hrm.tasks.base import Dataset
from hrm.train_progress import DataProgress
from sweeps import report
from sweeps.config import SweepConfig
from sweeps.doors import output
from sweeps.errors import BudgetError
from sweeps.faces.progress import progress
from sweeps.faces.wandb import summary
from sweeps.faces.wandb.runs import WandbRuns
from sweeps.faces.wandb.session import Session, check_mode
from sweeps.listener import Listener
from sweeps.results import context as setting
from sweeps.results.best import write_best
from sweeps.results.context import Context
from sweeps.results.tables import Tables
from sweeps.running.resources import Machine, Shares, share
from sweeps.search.limits import stopwatch
from sweeps.search.objective import DIRECTIONS, Objective
from sweeps.search.plan import Plan
from sweeps.space.candidates import Candidates


def describe(config: SweepConfig) -> str:
    """The space, its counts and the presets' places in it; trains nothing (`dry_run=true`).

    Raises:
        UserError: the configuration is at fault.
    """
    from sweeps.space import dry_run

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
    machine = _check_machine(config)
    with DataProgress() as show:
        dataset = open_task(_task(config), show)
    _check_objective(config, dataset)
    from sweeps.running import ray_bridge

    with ray_bridge.connect(config.ray.address, machine) as there:
        shares = share(config, there)
        output.create(out, config)
        plan = Plan(config, candidates, out / output.JOURNAL, shares.slots, shares.memory_bytes, stopwatch())
        context = setting.describe(config, candidates, plan, dataset, _without_out(command))
        setting.write(context, out)
        print(_opening(config, context, plan, shares, out), file=sys.stderr)
        session = Session(out, config.wandb, context)
        with _concluding(out, context, plan, session), _listening(out, context, plan, session) as listeners:
            ray_bridge.run(plan, shares, listeners)
    return out


def _candidates(config: SweepConfig) -> Candidates:
    """The space within its budget, after all that can be checked without a machine."""
    task = _task(config)
    fields = task_kind(task.name).counted_fields(task)
    candidates = Candidates(config, open_task(task).model_fields if fields is None else fields)
    # A plan in memory refuses what the real one would refuse after the folder is made.
    plan = Plan(config, candidates, None, slots=1)
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
    """A model that is never measured by the objective would fail every trial."""
    metric = Objective.parse(config.objective).metric.removeprefix("valid/")
    measured = [name for name in DIRECTIONS if name in family(config.family).metrics]
    if metric not in measured:
        rule = f"models of family={config.family} are measured by: {', '.join(measured)}"
        raise ConfigError("objective", config.objective, rule, f"Use objective=valid/{measured[0]}")


def _check_objective(config: SweepConfig, dataset: Dataset) -> None:
    """A task without blank cells never reports their accuracy, and every trial would fail for it."""
    if "blank_accuracy" in config.objective and dataset.valid.blank_token is None:
        rule = f"task {config.task['name']} has no blank cells to be judged by"
        raise ConfigError("objective", config.objective, rule, "Use objective=valid/cell_accuracy_auc")


def _task(config: SweepConfig) -> Any:
    return reader.build(task_kind(config.task["name"]).config_class, config.task, "task")


def _check_machine(config: SweepConfig) -> Machine:
    """This machine, which can do what is asked of it unless a cluster is to."""
    machine = Machine.local()
    if config.ray.address is not None:
        return machine
    from hrm.device import resolve_device

    resolve_device(config.device)
    shares = share(config, machine)
    # Ray counts processors to keep trials apart; slots beyond them are the user's wish.
    num_cpus = max(machine.num_cpus, shares.slots * shares.cpus_per_trial)
    return dataclasses.replace(machine, num_cpus=num_cpus)


@contextmanager
def _listening(out: Path, context: Context, plan: Plan, session: Session) -> Iterator[list[Listener]]:
    """Tables first: what the others tell of is on disk."""
    listeners: list[Listener] = [Tables(out, context, plan.trial_numbers.get)]
    if session.mode != "disabled":
        listeners.append(WandbRuns(session))
    listeners.append(progress(context, lambda: plan.num_jobs_expected))
    with ExitStack() as stack:
        for listener in listeners:
            stack.callback(listener.close)
        yield listeners


@contextmanager
def _concluding(out: Path, context: Context, plan: Plan, session: Session) -> Iterator[None]:
    """However the sweep ends, what it has found is written and reported."""
    notes, status = [], "interrupted"
    try:
        yield
        status = "completed"
    except KeyboardInterrupt:
        notes = [
            f"The sweep was interrupted after {len(plan.outcomes)} of about {plan.num_jobs_expected} jobs."
        ]
        raise
    finally:
        setting.write(dataclasses.replace(context, notes=[*plan.notes, *notes]), out)
        write_best(out)
        print(report.write(out))
        summary.write(session, status)


def _opening(config: SweepConfig, context: Context, plan: Plan, shares: Shares, out: Path) -> str:
    arms = ", ".join(plan.presets) or "no preset within the budget"
    blind = shares.slots > 1 and shares.slots >= config.num_trials // 2
    note = (
        f"note: {shares.slots} trials at once see too few results before them to search by\n" if blind else ""
    )
    return note + (
        f"{context.name} on {context.task}: about {plan.num_jobs_expected} jobs in {shares.slots} slots, "
        f"baselines: {arms}\nwriting to {out}; to watch it: make dashboard DIR={out}"
    )


def _without_out(command: Sequence[str]) -> list[str]:
    return [argument for argument in command if not argument.startswith("out=")]
