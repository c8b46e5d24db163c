"""What a config must keep to: each rule with its message, for one config and for one of arrays alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from hrm.config.errors import ConfigError


@dataclass(frozen=True)
class Rule:
    """One rule of a config class. It may rely on the rules before it.

    Args:
        field: the field that is at fault when it is broken.
        holds: from a config to whether it keeps the rule; where fields are arrays of numbers, to an array.
        text: what the field must be, or how to say it of a config.
    """

    field: str
    holds: Callable[[Any], Any]
    text: str | Callable[[Any], str]


def check(config: object, rules: Iterable[Rule], section: str = "") -> None:
    """Holds one config to its rules, in their order.

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


def each(fields: Iterable[str], holds: Callable[[Any], Any], text: str) -> list[Rule]:
    """A rule for each of several fields, of its value alone."""

    def rule(field: str) -> Rule:
        return Rule(field, lambda config: holds(getattr(config, field)), text)

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
    return each(fields, lambda value: (value >= 0) & (value <= 1), "must lie in 0..1")


def from_0_below_1(*fields: str) -> list[Rule]:
    """Allocation and decays that stay below 1."""
    return each(fields, lambda value: (value >= 0) & (value < 1), "must lie in 0..1, 1 excluded")


def between(low: float, high: float, *fields: str) -> list[Rule]:
    """Numbers above `low` and below `high`."""
    return each(fields, lambda value: (value > low) & (value < high), f"must lie between {low} and {high}")


def one_of(allowed: tuple[str, ...], field: str) -> list[Rule]:
    """Words."""
    return each([field], lambda value: value in allowed, f"must be one of: {', '.join(allowed)}")


FORWARD_DTYPE = one_of(("float32", "bfloat16", "float16"), "forward_dtype")
"""Types of the forward pass, in every family."""

MAX_SEED = 2**63
"""Where torch's seeds end."""
SEED = each(["seed"], lambda value: 0 <= value < MAX_SEED, f"must lie in 0..{MAX_SEED - 1}")
