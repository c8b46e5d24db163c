"""What may change in a sweep's configuration when it is resumed: limits upwards, and how it is run."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from hrm.config.errors import ConfigError
from sweeps.config import SweepConfig
from sweeps.quantities import TRAINING_FLOPS, parse_count
from sweeps.scheduler.phases.baseline import num_baseline_trials

LIMITS = (
    *("num_trials", "resume_pruned", "baseline.trials", "confirm.finalists", "confirm.seeds"),
    *("stop.trials", "stop.hours", "stop.flops", "stop.no_improvement"),
)
"""Options, by dotted name, of which a higher value extends the sweep."""
PER_SESSION = "stop.hours"
"""The one limit that counts anew when a sweep goes on, and so may be lower then."""
FREE = ("max_concurrent", "max_failures", "checkpoint_seconds", "resources", "ray", "wandb", "out", "dry_run")
"""Options and sections that say how and where jobs run, not what they are."""


def read_limits(config: SweepConfig) -> dict[str, Any]:
    """Return the values of `LIMITS`, by dotted name."""
    values = flatten(dataclasses.asdict(config))
    return {name: values[name] for name in LIMITS}


def with_limits(config: SweepConfig, values: Mapping[str, Any]) -> SweepConfig:
    """Return the configuration with these values of `LIMITS`."""
    sections: dict[str, dict[str, Any]] = {}
    tops: dict[str, Any] = {}
    for name, value in values.items():
        section, _, option = name.rpartition(".")
        if section:
            sections.setdefault(section, {})[option] = value
        else:
            tops[option] = value
    changed = {
        name: dataclasses.replace(getattr(config, name), **options) for name, options in sections.items()
    }
    return dataclasses.replace(config, **tops, **changed)


def check_overrides(stored: SweepConfig, asked: SweepConfig) -> None:
    """Check that a resumed sweep differs from the stored one in its limits only.

    Raises:
        ConfigError: what decides its trials differs, each difference is named; or a limit is lower.
    """
    before, after = flatten(dataclasses.asdict(stored)), flatten(dataclasses.asdict(asked))
    for name in LIMITS:
        if name == PER_SESSION:
            continue
        old, new = _find_limit(name, stored), _find_limit(name, asked)
        if new < old:
            least = "stay null: the sweep was to go on without this limit"
            if old < math.inf:
                least = f"be at least {old:g}, as far as the sweep was to go already"
            raise ConfigError(name, new, f"must {least}")
    differing = [
        name
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name) and name not in LIMITS and name.split(".")[0] not in FREE
    ]
    if differing:
        shown = "; ".join(f"{name} is {before.get(name)!r}, not {after.get(name)!r}" for name in differing)
        hint = "Leave that out to resume it, or start a new sweep in another folder"
        raise ConfigError("resume", asked.out, f"must go on as it began: {shown}", hint)


def _find_limit(name: str, config: SweepConfig) -> float:
    if name == "baseline.trials":
        return num_baseline_trials(config)
    value = flatten(dataclasses.asdict(config))[name]
    if value is None:
        return math.inf
    return parse_count(value, TRAINING_FLOPS, name) if name == "stop.flops" else value


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of nested mappings by dotted name."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            found |= flatten(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found
