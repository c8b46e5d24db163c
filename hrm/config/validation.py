"""Rules of config classes, each with its message."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hrm.config.errors import ConfigError


@dataclass(frozen=True)
class Rule:
    """One rule of a config class. It may rely on the rules before it.

    Args:
        field: the field that is at fault when it is broken.
        holds: from a config to whether it keeps the rule.
        text: what the field must be, or how to say it of a config.
        is_about_one_field: whether the rule reads nothing but `field`.
    """

    field: str
    holds: Callable[[Any], bool]
    text: str | Callable[[Any], str]
    is_about_one_field: bool = False


def check(config: object, rules: Iterable[Rule], section: str = "") -> None:
    """Check one config against its rules, in their order.

    Args:
        section: what the message puts before the field, for example `model`.

    Raises:
        ConfigError: the first rule that is broken.
    """
    for rule in rules:
        if not rule.holds(config):
            text = rule.text if isinstance(rule.text, str) else rule.text(config)
            where = f"{section}.{rule.field}" if section else rule.field
            raise ConfigError(where, getattr(config, rule.field), text)


def keeps_rules(config: object, rules: Iterable[Rule]) -> bool:
    """Check whether a config keeps all its rules."""
    return all(rule.holds(config) for rule in rules)


def construct_unvalidated(config_class: type, fields: Mapping[str, Any]) -> Any:
    """Return a config with these values in its fields, without checking a rule: a tenth of the time.

    Args:
        fields: a value for every field.
    """
    config: Any = object.__new__(config_class)
    config.__dict__.update(fields)
    return config


def each(fields: Iterable[str], holds: Callable[[Any], bool], text: str) -> list[Rule]:
    """Return a rule for each of several fields, about its value alone."""

    def rule(field: str) -> Rule:
        return Rule(field, lambda config: holds(getattr(config, field)), text, is_about_one_field=True)

    return [rule(field) for field in fields]


def at_least(least: int, *fields: str, null: str | None = None) -> list[Rule]:
    """Numbers from `least` on.

    Args:
        null: what None stands for; without it None is not allowed. "" says no more of it.
    """
    text = f"must be at least {least}" if least else "must be 0 or more"
    if null is None:
        return each(fields, lambda value: value >= least, text)
    text += f", or null for {null}" if null else ", or null"
    return each(fields, lambda value: value is None or value >= least, text)


def above_0(*fields: str) -> list[Rule]:
    """Positive numbers."""
    return each(fields, lambda value: value > 0, "must be above 0")


def from_0_to_1(*fields: str) -> list[Rule]:
    """Allocation and chances, both ends included."""
    return each(fields, lambda value: 0 <= value <= 1, "must lie in 0..1")


def from_0_below_1(*fields: str) -> list[Rule]:
    """Allocation and decays that stay below 1."""
    return each(fields, lambda value: 0 <= value < 1, "must lie in 0..1, 1 excluded")


def between(low: float, high: float, *fields: str) -> list[Rule]:
    """Numbers above `low` and below `high`."""
    return each(fields, lambda value: low < value < high, f"must lie between {low} and {high}")


def one_of(allowed: tuple[str, ...], field: str) -> list[Rule]:
    """Words."""
    return each([field], lambda value: value in allowed, f"must be one of: {', '.join(allowed)}")


FORWARD_DTYPE = one_of(("float32", "bfloat16", "float16"), "forward_dtype")
"""Types of the forward pass, in every family."""

MAX_SEED = 2**63
"""Where torch's seeds end."""
SEED = each(["seed"], lambda value: 0 <= value < MAX_SEED, f"must lie in 0..{MAX_SEED - 1}")
