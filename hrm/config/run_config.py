"""The config of one run: family, model, task, training, seed, device. A saved RunConfig reproduces its run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hrm.config.errors import ConfigError, UnknownNameError
from hrm.config.schema import (
    build_config,
    convert_fields,
    is_import_path,
    parse_dotlist,
    read_yaml,
    write_yaml,
)
from hrm.config.train_config import TrainConfig
from hrm.config.validation import SEED, at_least, check, one_of
from hrm.data.registry import TASKS, get_task_class
from hrm.models.registry import Family, get_family

DEVICES = ("auto", "cuda", "mps", "cpu")
SECTIONS = ("model", "task", "train")
ALIASES = {"arch": "model"}
"""Spellings of the size guide for our sections."""
DEFAULT_TASK = "sudoku9"
_DEFAULT_TASKS = {"puzzle": DEFAULT_TASK, "text": "text"}
PROVENANCE = "sweep"
"""A mapping that a sweep may write next to the config of its winner; a run does not depend on it."""
_TOP_FIELDS = ("family", "seed", "device", "threads")
RULES = (*one_of(DEVICES, "device"), *SEED, *at_least(1, "threads", null=""))


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that decides one training run.

    Raises:
        ConfigError: a value is out of range.
    """

    family: str = "puzzle"
    model: Any
    """The family's config."""
    task: Any
    """The task kind's config; its `name` picks the kind."""
    train: TrainConfig
    seed: int = 0
    """Decides initial weights, batches and exploration."""
    device: str = "auto"
    """`auto` (cuda, then mps, then cpu), `cuda`, `mps` or `cpu`."""
    threads: int | None = None
    """CPU threads of torch; null leaves torch's own choice."""

    def __post_init__(self) -> None:
        check(self, RULES)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunConfig:
        """Build the config from the nested mapping of `to_dict`; missing keys take their defaults.

        Raises:
            UserError: an unknown key or name, or a value that breaks its rule.
        """
        known = _list_fields(cls)
        for key in values:
            if key not in known:
                raise UnknownNameError.among("configuration", key, known)
        family = get_family(str(values.get("family", "puzzle")))
        model, task, train = (_copy_section(values, name) for name in SECTIONS)
        task_name = str(task.get("name", get_default_task(family.name)))
        check_task_fits(task_name, family)
        task_class = get_task_class(task_name)
        if task_name not in TASKS and not is_import_path(task_name):
            # A saved config must find its data from any folder.
            task_name = str(Path(task_name).expanduser().absolute())
        tops = {name: values[name] for name in _TOP_FIELDS if name in values}
        return cls(
            model=build_config(family.config_class, model, "model"),
            task=build_config(task_class, {**task, "name": task_name}, "task"),
            train=build_config(TrainConfig, train, "train"),
            **convert_fields(cls, tops, "configuration"),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain nested values, in the order of the fields."""
        return dataclasses.asdict(self)

    def replace(self, **overrides: Any) -> RunConfig:
        """Return a copy with dotted names replaced: `replace(**{"model.hidden_size": 64, "seed": 3})`."""
        return RunConfig.from_dict(merge_overrides(self.to_dict(), overrides))


def check_task_fits(task_name: str, family: Family) -> None:
    """Check that a family learns this kind of task.

    Raises:
        UserError: it does not, or there is no such task.
    """
    tasks = get_task_class(task_name).family
    if tasks != family.tasks:
        raise ConfigError("task", task_name, f"fits the {tasks} family, not family={family.name}")


def get_default_task(family_name: str) -> str:
    """Return the task of a run that names none."""
    return _DEFAULT_TASKS[get_family(family_name).tasks]


def merge_overrides(values: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested `values` with dotted `overrides` set; field names without a section are qualified first.

    Raises:
        UnknownNameError: a name that no section has.
    """
    merged = dict(values) | {name: _copy_section(values, name) for name in SECTIONS if name in values}
    family_name = str(overrides.get("family", merged.get("family", "puzzle")))
    own_task = _copy_section(merged, "task").get("name", get_default_task(family_name))
    task_name = overrides.get("task.name", overrides.get("task", own_task))
    if task_name != own_task:
        merged["task"] = {}  # options of one task mean nothing to another
    for name, value in overrides.items():
        section, _, field = qualify(name, family_name, str(task_name)).partition(".")
        if field:
            merged.setdefault(section, {})[field] = value
        else:
            merged[section] = value
    return merged


def _copy_section(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a copy of one section; a task name alone stands for its section, null for an empty one."""
    section = values.get(name)
    if name == "task" and isinstance(section, str):
        return {"name": section}
    if section is None or isinstance(section, Mapping):
        return dict(section or {})
    raise ConfigError(name, section, "must be a mapping of names to values")


def qualify(name: str, family_name: str = "puzzle", task_name: str = DEFAULT_TASK) -> str:
    """Return the full name of an option.

    >>> qualify("hidden_size"), qualify("arch.hidden_size"), qualify("task"), qualify("seed")
    ('model.hidden_size', 'model.hidden_size', 'task.name', 'seed')

    Raises:
        UnknownNameError: no section has it.
    """
    sections = {
        "model": _list_fields(get_family(family_name).config_class),
        "train": _list_fields(TrainConfig),
        "task": _list_fields(get_task_class(task_name)),
    }
    section, _, field = name.partition(".")
    section = ALIASES.get(section, section)
    if field:
        if section not in sections:
            raise UnknownNameError.among(name, section, sections)
        if field not in sections[section]:
            raise UnknownNameError.among(section, field, sections[section])
        return f"{section}.{field}"
    if name == "task":
        return "task.name"
    if name in _TOP_FIELDS:
        return name
    for section, fields in sections.items():
        if name in fields and name != "name":
            return f"{section}.{name}"
    known = {*_TOP_FIELDS, *(field for fields in sections.values() for field in fields)} - {"name"}
    raise UnknownNameError.among("configuration", name, known)


def _list_fields(cls: type) -> list[str]:
    return [field.name for field in dataclasses.fields(cls)]


def save_run_config(config: RunConfig, path: Path) -> None:
    """Write the config as YAML; `load_run_config` reads the same config back."""
    write_yaml(config.to_dict(), path)


def load_run_config(path: Path, overrides: Iterable[str] = ()) -> RunConfig:
    """Read a saved config and set dotlist overrides.

    Raises:
        UserError: the file or an override is at fault.
    """
    return RunConfig.from_dict(merge_overrides(read_run_values(path), parse_dotlist(overrides)))


def read_run_values(path: Path) -> dict[str, Any]:
    """Return the nested values of a saved config, without the provenance that a sweep may have added.

    Raises:
        ConfigError: the file is missing or holds no mapping.
    """
    values = read_yaml(path)
    values.pop(PROVENANCE, None)
    return values
