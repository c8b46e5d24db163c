"""From a config section `{name: ..., option: ...}` to a call of the registered function of that name.

The function's keyword-only parameters are the options: their annotations give the types, their defaults the
defaults, so that adding an entry to a registry takes one function and one line.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_type_hints

from hrm.config.errors import ConfigError, UnknownNameError
from hrm.config.schema import build_config

T = TypeVar("T")


def call_named(
    registry: Mapping[str, Callable[..., T]], section: Mapping[str, Any], where: str, *args: Any
) -> T:
    """`registry[section["name"]](*args, **options)`, with the options checked.

    Raises:
        UnknownNameError: no such name in the registry, or no such option.
        ConfigError: an option's type or range is wrong.
    """
    name = str(section.get("name"))
    if name not in registry:
        raise UnknownNameError.among(f"{where}.name", name, registry)
    given = {key: value for key, value in section.items() if key != "name"}
    options = _checked(registry[name], given, where)
    try:
        return registry[name](*args, **options)
    except ValueError as error:  # how Optuna refuses a range
        raise ConfigError(where, dict(section), str(error)) from None


def at_least(where: str, value: float, least: int) -> None:
    """Checks a lower bound.

    Raises:
        ConfigError: `value` is below `least`.
    """
    if value < least:
        raise ConfigError(where, value, f"must be at least {least}")


def _checked(function: Callable[..., Any], given: Mapping[str, Any], where: str) -> dict[str, Any]:
    schema = _schema(function)
    names = [field.name for field in dataclasses.fields(schema)]
    if given and not names:
        option = next(iter(given))
        raise ConfigError(f"{where}.{option}", given[option], f"{function.__name__} takes no options")
    options: Any = build_config(schema, given, where)
    return {name: getattr(options, name) for name in names}


@functools.cache
def _schema(function: Callable[..., Any]) -> type:
    """The function's keyword-only parameters as a dataclass."""
    hints = get_type_hints(function)
    fields = [
        (parameter.name, hints[parameter.name], dataclasses.field(default=parameter.default))
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    return dataclasses.make_dataclass("Options", fields)
