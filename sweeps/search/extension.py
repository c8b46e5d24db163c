"""What of a sweep's configuration may change when it goes on: limits upwards, and how it is run."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from hrm.errors import ConfigError
from sweeps.config import SweepConfig
from sweeps.quantities import TRAINING_FLOPS, parse_count
from sweeps.search.baselines import num_baseline_trials

LIMITS = (
    "num_trials", "revive", "baseline.trials", "confirm.finalists", "confirm.seeds",
    "stop.trials", "stop.hours", "stop.flops", "stop.no_improvement",
)  # fmt: skip
"""Options, by dotted name, of which a higher value extends the sweep."""
PER_SESSION = "stop.hours"
"""The one limit that counts anew when a sweep goes on, and so may be lower then."""
FREE = ("max_concurrent", "max_failures", "checkpoint_seconds", "resources", "ray", "wandb", "out", "dry_run")
"""Options and sections that say how and where jobs run, not what they are."""


def limits(config: SweepConfig) -> dict[str, Any]:
    """The values of `LIMITS`, by dotted name."""
    values = flat(dataclasses.asdict(config))
    return {name: values[name] for name in LIMITS}


def with_limits(config: SweepConfig, values: Mapping[str, Any]) -> SweepConfig:
    """The configuration with these values of `LIMITS`."""
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


def check(stored: SweepConfig, asked: SweepConfig) -> None:
    """Makes sure that the sweep that is asked for goes on with the stored one.

    Raises:
        ConfigError: what decides its trials differs, each difference named; or a limit is lower.
    """
    before, after = flat(dataclasses.asdict(stored)), flat(dataclasses.asdict(asked))
    for name in LIMITS:
        if name == PER_SESSION:
            continue
        old, new = _effective(name, stored), _effective(name, asked)
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
        raise ConfigError(
            "resume", asked.out, f"must go on as it began: {shown}",
            "Leave that out to go on, or start a new sweep in another folder",
        )  # fmt: skip


def _effective(name: str, config: SweepConfig) -> float:
    if name == "baseline.trials":
        return num_baseline_trials(config)
    value = flat(dataclasses.asdict(config))[name]
    if value is None:
        return math.inf
    return parse_count(value, TRAINING_FLOPS, name) if name == "stop.flops" else value


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings by dotted name."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found
