"""Checks that the option classes of all tasks share."""

from __future__ import annotations

from hrm.errors import ConfigError


def require(config: object, name: str, holds: bool, rule: str) -> None:
    """Raises the ConfigError of a task's option `name` unless it `holds`."""
    if not holds:
        raise ConfigError(f"task.{name}", getattr(config, name), rule)
