"""One run, whole: family, model, task, training, seed, device. A dumped RunConfig reproduces its run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hrm.config.errors import ConfigError, UnknownNameError
from hrm.config.schema import build_config, convert_fields, parse_dotlist, read_yaml, write_yaml
from hrm.config.train_config import TrainConfig
from hrm.config.validation import SEED, at_least, check, one_of
from hrm.data.registry import TASKS, get_task_kind
from hrm.models.registry import get_family

DEVICES = ("auto", "cuda", "mps", "cpu")
SECTIONS = ("model", "task", "train")
ALIASES = {"arch": "model"}
"""Spellings of the size guide that mean a section of ours."""


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
        """From the nested mapping that `to_dict` gives; missing keys take their defaults.

        Raises:
            UserError: an unknown key or name, or a value that breaks its rule.
        """
        fields = {field.name for field in dataclasses.fields(cls)}
        for key in values:
            if key not in fields:
                raise UnknownNameError.among("configuration", key, fields)
        kind = get_family(str(values.get("family", "puzzle")))
        model, task, train = (_section(values, name) for name in SECTIONS)
        task_name = str(task.get("name", get_default_task(kind.name)))
        task_entry = get_task_kind(task_name)
        if task_entry.family != kind.name:
            rule = f"fits the {task_entry.family} family, not family={kind.name}"
            raise ConfigError("task", task_name, rule)
        if task_name not in TASKS:
            # A dumped config must find its data from any folder.
            task_name = str(Path(task_name).expanduser().absolute())
        tops = {name: values[name] for name in _TOP_FIELDS if name in values}
        return cls(
            model=build_config(kind.config_class, model, "model"),
            task=build_config(task_entry.config_class, {**task, "name": task_name}, "task"),
            train=build_config(TrainConfig, train, "train"),
            **convert_fields(cls, tops, "configuration"),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain nested values, in the order of the fields."""
        return dataclasses.asdict(self)

    def replace(self, **overrides: Any) -> RunConfig:
        """A copy with dotted names replaced: `replace(**{"model.hidden_size": 64, "seed": 3})`."""
        return RunConfig.from_dict(merge_overrides(self.to_dict(), overrides))


DEFAULT_TASK = "sudoku9"
DEFAULT_TASKS = {"puzzle": DEFAULT_TASK, "text": "text"}
PROVENANCE = "sweep"
"""A mapping that a sweep may write beside the config of its winner; a run does not depend on it."""
_TOP_FIELDS = ("family", "seed", "device", "threads")
RULES = (
    *one_of(DEVICES, "device"),
    *SEED,
    *at_least(1, "threads", null=""),
)


def get_default_task(family_name: str) -> str:
    """The task of a run that names none."""
    return DEFAULT_TASKS.get(family_name, DEFAULT_TASK)


def merge_overrides(values: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """`values` (nested) with dotted `overrides` set; bare field names are qualified first.

    Raises:
        UnknownNameError: a name that no section has.
    """
    merged = dict(values) | {name: _section(values, name) for name in SECTIONS if name in values}
    family_name = str(overrides.get("family", merged.get("family", "puzzle")))
    own_task = _section(merged, "task").get("name", get_default_task(family_name))
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


def _section(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A copy of one section's values; a bare task name stands for its section, nothing for an empty one."""
    section = values.get(name)
    if name == "task" and isinstance(section, str):
        return {"name": section}
    if section is None or isinstance(section, Mapping):
        return dict(section or {})
    raise ConfigError(name, section, "must be a mapping of names to values")


def qualify(name: str, family_name: str = "puzzle", task_name: str = DEFAULT_TASK) -> str:
    """The full name of an option: `hidden_size` and `arch.hidden_size` are `model.hidden_size`.

    Raises:
        UnknownNameError: no section has it.
    """
    sections = {
        "model": _field_names(get_family(family_name).config_class),
        "train": _field_names(TrainConfig),
        "task": _field_names(get_task_kind(task_name).config_class),
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


def _field_names(cls: type) -> list[str]:
    return [field.name for field in dataclasses.fields(cls)]


def save_run_config(config: RunConfig, path: Path) -> None:
    """Writes the config as YAML; `load_run_config` reads the same config back."""
    write_yaml(config.to_dict(), path)


def load_run_config(path: Path, overrides: Iterable[str] = ()) -> RunConfig:
    """A dumped config, with dotlist overrides.

    Raises:
        UserError: the file or an override is at fault.
    """
    return RunConfig.from_dict(merge_overrides(read_run_values(path), parse_dotlist(overrides)))


def read_run_values(path: Path) -> dict[str, Any]:
    """The nested values of a dumped config; a sweep's provenance in the file is passed over.

    Raises:
        ConfigError: the file is missing or holds no mapping.
    """
    values = read_yaml(path)
    values.pop(PROVENANCE, None)
    return values
