"""Reading configuration: from YAML, dotlists, mappings and import paths to validated objects."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import math
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hrm.config.errors import ConfigError, ImportPathError, UnknownNameError

T = TypeVar("T")


def build_config(cls: type[T], values: Mapping[str, Any], where: str) -> T:
    """Build an instance of the dataclass `cls` from `values`.

    Args:
        cls: a flat dataclass whose fields all have defaults and whose `__post_init__` checks its ranges.
        values: field values; types are converted where nothing is lost ("3" to 3, 1e3 to 1000, 1 to 1.0).
        where: what to call this mapping in an error, for example `model`.

    Raises:
        UnknownNameError: a key that is no field.
        ConfigError: `values` is no mapping, or a value has the wrong type, is not finite or out of range.
    """
    return cls(**convert_fields(cls, values, where))


def convert_fields(cls: type, values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Convert `values` to the types of the fields of the dataclass `cls`; see `build_config`."""
    if not isinstance(values, Mapping):
        raise ConfigError(where, values, "must be a mapping of names to values")
    kinds = field_kinds(cls)
    fields = {}
    for key, value in values.items():
        if key not in kinds:
            raise UnknownNameError.among(where, str(key), kinds)
        try:
            fields[key] = _convert(value, kinds[key])
        except ValueError:
            rule = " or ".join(_TYPE_NAMES.get(kind, str(kind)) for kind in kinds[key])
            raise ConfigError(f"{where}.{key}", value, f"must be {rule}") from None
    return fields


_TYPE_NAMES = {
    int: "a whole number",
    float: "a finite number",
    bool: "true or false",
    str: "text",
    type(None): "null",
}
_BOOLS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


@functools.cache
def field_kinds(cls: type) -> dict[str, tuple[Any, ...]]:
    """Return the types that each field of a dataclass may hold."""
    hints = get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls)]
    return {
        name: get_args(hints[name]) if isinstance(hints[name], UnionType) else (hints[name],)
        for name in names
    }


def _convert(value: Any, kinds: tuple[Any, ...]) -> Any:
    """Convert `value` to the first of `kinds` that loses nothing, its own type first; ValueError if all do."""
    for kind in sorted(kinds, key=lambda kind: kind is not type(value)):
        with contextlib.suppress(ValueError):
            return _convert_to(value, kind)
    raise ValueError(value)


def _convert_to(value: Any, kind: Any) -> Any:
    given = type(value)
    if kind is int and (given is str or (given is float and value.is_integer())):
        return int(value)
    if kind is float and given in (int, float, str):
        if math.isfinite(float(value)):
            return float(value)
    elif kind is bool and str(value).lower() in _BOOLS:
        return _BOOLS[str(value).lower()]
    elif kind is str and given in (int, float):
        return str(value)
    elif given is (get_origin(kind) or kind):
        return value
    raise ValueError(value)


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file; values such as 1e-4 are numbers.

    Raises:
        ConfigError: the file is missing, is not YAML, or does not hold a mapping.
    """
    try:
        loaded = OmegaConf.load(path)
    except FileNotFoundError:
        raise ConfigError(str(path), "no such file", "must be a YAML file") from None
    except (yaml.YAMLError, OmegaConfBaseException, OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), " ".join(str(error).split()), "must be valid YAML") from None
    values = OmegaConf.to_container(loaded)
    if not isinstance(values, dict):
        raise ConfigError(str(path), type(values).__name__, "must hold a mapping of names to values")
    return {str(key): value for key, value in values.items()}


def write_yaml(values: Mapping[str, Any], path: Path) -> None:
    """Write plain values as YAML, in their order."""
    path.write_text(OmegaConf.to_yaml(OmegaConf.create(dict(values))), encoding="utf-8")


def parse_dotlist(items: Iterable[str]) -> dict[str, Any]:
    """Return names and values of `name=value` items; values are read as YAML, and a later item wins.

    >>> parse_dotlist(["train.lr=1e-3", "task=sudoku6"])
    {'train.lr': 0.001, 'task': 'sudoku6'}

    Raises:
        ConfigError: an item without `=` or with an empty name or an unreadable value.
    """
    values: dict[str, Any] = {}
    for item in items:
        name, equals, text = item.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_][\w.]*", name):
            raise ConfigError("command line", item, "must read name=value")
        try:
            values[name] = OmegaConf.to_container(OmegaConf.from_dotlist([f"value={text}"]))["value"]  # type: ignore[index,call-overload]
        except (yaml.YAMLError, OmegaConfBaseException):
            raise ConfigError(name, text, "must be a value that YAML can read") from None
    return values


def is_import_path(text: str) -> bool:
    """Check whether a text reads like an import path `package.module:Name`."""
    return re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", text) is not None


def import_object(path: str, where: str, kind: type[T]) -> T:
    """Import an object by its path `package.module:Name`.

    Args:
        path: the module, importable from the current folder or the environment, and a name in it.
        where: the option that holds the path, for example `family`.
        kind: what the object must be an instance of; for a class give `type`.

    Raises:
        ImportPathError: the path is malformed, the module cannot be imported, or the object is missing or of
            another kind.
    """
    if not is_import_path(path):
        raise ImportPathError(where, path, "must read package.module:Name")
    if os.getcwd() not in sys.path:  # an installed command has its own folder there, not the current one
        sys.path.append(os.getcwd())
    module_name, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), name)
    except Exception as error:
        # The module is the user's: show what it raises instead of a traceback through our code.
        raise ImportPathError(where, path, f"cannot be imported: {type(error).__name__}: {error}") from error
    if not isinstance(found, kind):
        raise ImportPathError(where, path, f"must be of type {kind.__name__}, not {type(found).__name__}")
    return found
