"""From the values that Hydra composed to a checked `SweepConfig`."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from typing import Any, get_type_hints

from hrm import config as reader
from hrm.errors import ConfigError, UnknownNameError
from hrm.families import family
from hrm.run_config import ALIASES, DEVICES
from hrm.tasks import task_kind
from sweeps.config import SweepConfig
from sweeps.search.objectives import canonical, parse

SHORTHANDS = {"budget": "budget.max_params", "wandb": "wandb.mode"}
"""Sections whose name alone means the one option that most users set."""
_TOP = "configuration"
_INSTEAD = {"objective": "objectives", "objectives": "objective"}
"""Options of which only one may be said, and which other one each replaces."""


def sweep_config(values: Mapping[str, Any]) -> SweepConfig:
    """The configuration in nested plain values.

    Raises:
        UserError: an unknown key or name, or a value that breaks its rule.
    """
    hints = get_type_hints(SweepConfig)
    merged = dict(values)
    for alias, section in ALIASES.items():
        if alias in merged:
            merged[section] = {**_section(merged, section), **_section(merged, alias)}
            del merged[alias]
    for key in merged:
        if key not in hints:
            raise _unknown(key, merged)
    for name, cls in _sections(hints).items():
        merged[name] = reader.build(cls, _section(merged, name), name)
    merged |= _objectives(merged)
    try:
        config = reader.build(SweepConfig, {**merged, "model": _section(merged, "model")}, _TOP)
    except ConfigError as error:
        raise ConfigError(error.where.removeprefix(f"{_TOP}."), *error.args[1:]) from None
    _check(config)
    return config


def alone(said: Collection[str], where: str) -> dict[str, None]:
    """What else to set, where only one of two options may be said: the other to null.

    Args:
        said: names of options.
        where: they are said.

    Raises:
        ConfigError: both of two are said.
    """
    replaced = {_INSTEAD[name]: None for name in said if name in _INSTEAD}
    if both := [name for name in replaced if name in said]:
        raise ConfigError(where, " and ".join(sorted(both)), "one replaces the other", "Say only one of them")
    return replaced


def _objectives(values: Mapping[str, Any]) -> dict[str, Any]:
    """The options of that name in full: with several objectives, `objective` is the first."""
    kind, given = str(values.get("family", SweepConfig.family)), values.get("objectives")
    if given is None:
        return {"objective": canonical(values.get("objective") or SweepConfig.objective, kind)}
    if not isinstance(given, list):
        raise ConfigError("objectives", given, "must be a list, such as [accuracy,params]")
    names = [canonical(name, kind) for name in given]
    parse(names)
    first = values.get("objective")
    if first is not None and canonical(first, kind) != names[0]:
        raise ConfigError(
            "objective", first, f"is not the first of objectives={names}", "Say only one of them"
        )
    return {"objective": names[0], "objectives": names}


def _sections(hints: Mapping[str, Any]) -> dict[str, Any]:
    """The sections that are dataclasses, by name."""
    return {name: cls for name, cls in hints.items() if dataclasses.is_dataclass(cls)}


def _section(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = values.get(name, {})
    if not isinstance(section, Mapping):
        fields = [field for field in _section_fields(values) if field.startswith(f"{name}.")]
        mend = f"Set one of them, such as {fields[0]}." if fields else ""
        raise ConfigError(name, section, "is a section of options", mend)
    return section


def _check(config: SweepConfig) -> None:
    """What the sections' own types do not know of each other."""
    kind = family(config.family)
    known = [field.name for field in dataclasses.fields(kind.config_class)]
    for name in config.model:
        if name not in known:
            raise UnknownNameError.among("model", name, known)
    if config.device not in DEVICES:
        raise ConfigError("device", config.device, f"must be one of: {', '.join(DEVICES)}")
    task = task_kind(str(config.task["name"]))
    reader.build(task.config_class, config.task, "task")
    if task.family != config.family:
        raise ConfigError(
            "task", config.task["name"], f"fits the {task.family} family, not family={config.family}"
        )


def _unknown(key: str, values: Mapping[str, Any]) -> UnknownNameError:
    """The error for a key that no sweep has; a field of a section is recognised without its section."""
    for name in _section_fields(values):
        if name.partition(".")[2] == key:
            return UnknownNameError(
                _TOP, key, "is no option of a sweep by this name", f"Did you mean {name!r}?"
            )
    return UnknownNameError.among(_TOP, key, get_type_hints(SweepConfig))


def _section_fields(values: Mapping[str, Any]) -> Iterator[str]:
    """The full names of all options in sections; the model's are those of the family in `values`."""
    model = family(str(values.get("family", SweepConfig.family))).config_class
    for section, cls in {**_sections(get_type_hints(SweepConfig)), "model": model}.items():
        for field in dataclasses.fields(cls):
            yield f"{section}.{field.name}"
