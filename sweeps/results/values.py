"""What a job holds of its space: the same for searched configurations and presets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hrm.errors import UnknownNameError
from hrm.run_config import qualify
from sweeps.jobs import Job


def space_values(job: Job, names: Iterable[str]) -> dict[str, Any]:
    """The job's values by their names in the space; None for a name that a preset does not have."""
    return {name: _value(job, name) for name in names}


def short(value: Any) -> str:
    """A value as a line of text has room for."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _value(job: Job, name: str) -> Any:
    if name in job.params:
        return job.params[name]
    try:
        section, _, field = qualify(name, job.run.family, job.run.task.name).partition(".")
    except UnknownNameError:
        return None
    return getattr(getattr(job.run, section), field) if field else getattr(job.run, section)
