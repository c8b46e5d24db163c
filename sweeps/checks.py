"""Checks of a sweep that need neither its data nor a machine; every sweep and every dry run begin with them."""

from __future__ import annotations

from typing import Any

from hrm.config.errors import ConfigError
from hrm.config.schema import build_config
from hrm.data.registry import get_task_class, open_task
from hrm.models.registry import get_family
from sweeps.callbacks.wandb.session import check_mode
from sweeps.config import SweepConfig
from sweeps.errors import BudgetError
from sweeps.scheduler.phases.baseline import choose_presets
from sweeps.scheduler.scheduler import check_decisions
from sweeps.search.objectives import METRIC_DIRECTIONS, list_metrics
from sweeps.space.candidates import Candidates


def check_sweep(config: SweepConfig) -> Candidates:
    """Return the space within its budget, after all checks that need no machine.

    Raises:
        UserError: the configuration is at fault.
    """
    task = read_task(config)
    fields = task.get_model_fields()
    candidates = Candidates(config, open_task(task).model_fields if fields is None else fields)
    check_decisions(config, candidates)
    presets, left_out = choose_presets(config.baseline.presets, candidates, None)
    if config.baseline.presets and not presets:
        reasons = "; ".join(f"{one.name} {one.violation}" for one in left_out)
        rule = f"none of them can be trained here: {reasons}"
        hint = "Name another preset, raise the budget, or leave baseline.presets out"
        raise BudgetError("baseline.presets", config.baseline.presets, rule, hint)
    _check_metric(config)
    check_mode(config.wandb)
    return candidates


def read_task(config: SweepConfig) -> Any:
    """Return the config of the sweep's task.

    Raises:
        UserError: the task or an option of it is at fault.
    """
    return build_config(get_task_class(config.task["name"]), config.task, "task")


def _check_metric(config: SweepConfig) -> None:
    """Check that models are measured by the objectives: every trial would fail otherwise."""
    measured = [name for name in METRIC_DIRECTIONS if name in get_family(config.family).metrics]
    for objective in list_metrics(config):
        if objective.metric.removeprefix("valid/") not in measured:
            rule = f"models of family={config.family} are measured by: {', '.join(measured)}"
            raise ConfigError("objective", objective.name, rule, f"Use objective=valid/{measured[0]}")
