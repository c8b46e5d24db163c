"""From YAML, dotlists and mappings to validated dataclasses: the one reader of configuration in `hrm`."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_type_hints

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hrm.errors import ConfigError, UnknownNameError

T = TypeVar("T")


def build(cls: type[T], values: Mapping[str, Any], where: str) -> T:
    """An instance of the dataclass `cls` from `values`.

    Args:
        cls: a flat dataclass whose fields all have defaults and whose `__post_init__` checks its ranges.
        values: field values; types are converted where nothing is lost ("3" to 3, 1e3 to 1000, 1 to 1.0).
        where: what to call this mapping in an error, for example `model`.

    Raises:
        UnknownNameError: a key that is no field.
        ConfigError: `values` is no mapping, or a value has the wrong type, is not finite or out of range.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(where, values, "must be a mapping of names to values")
    types = get_type_hints(cls)
    fields = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            raise UnknownNameError.among(where, str(key), fields)
    config = OmegaConf.structured(cls)
    OmegaConf.set_readonly(config, False)
    for key, value in values.items():
        _check_plain(f"{where}.{key}", value)
        if isinstance(value, float) and value.is_integer() and _holds_int_only(types[key]):
            value = int(value)
        try:
            config[key] = value
        except (OmegaConfBaseException, ValueError):
            raise ConfigError(f"{where}.{key}", value, f"must be {_in_words(types[key])}") from None
    instance = OmegaConf.to_object(config)
    assert isinstance(instance, cls)
    return instance


def _check_plain(where: str, value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(where, value, "must be a finite number")
    if isinstance(value, str) and ("${" in value or value == "???"):
        raise ConfigError(where, value, "must be plain: no interpolation, no placeholder")


def _holds_int_only(hint: Any) -> bool:
    return int in _alternatives(hint) and not {float, str} & set(_alternatives(hint))


def _in_words(hint: Any) -> str:
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}
    return " or ".join(names.get(kind, str(kind)) for kind in _alternatives(hint))


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if isinstance(hint, UnionType) else (hint,)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file (numbers such as 1e-4 read as numbers).

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
    """Writes plain values as YAML, in their order."""
    path.write_text(OmegaConf.to_yaml(OmegaConf.create(dict(values))), encoding="utf-8")


def parse_dotlist(items: Iterable[str]) -> dict[str, Any]:
    """`["a.b=1", "c=x"]` to `{"a.b": 1, "c": "x"}`, values read as YAML; a later item wins.

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
