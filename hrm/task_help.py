"""What the doors' help says of the tasks: a line for each, and the options of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from hrm.option_help import field_docs, option_lines, shown
from hrm.tasks import PATH_KINDS, TASKS


def task_summaries() -> dict[str, str]:
    """A line for each task, and for each sort of path."""
    return {name: kind.summary for name, kind in (TASKS | PATH_KINDS).items()}


def task_options(whole: Callable[[type], str]) -> dict[str, str]:
    """What help says of the options of each task, and of each sort of path.

    Args:
        whole: says it of a config class; where only defaults differ from those of a task before, they alone are
            said.
    """
    told: dict[str, type] = {}
    said = {}
    for name, kind in (TASKS | PATH_KINDS).items():
        cls = kind.config_class
        like = next((other for other in told if field_docs(told[other]) == field_docs(cls)), None)
        if like is None:
            told[name] = cls
            said[name] = whole(cls)
        else:
            said[name] = f"  those of {like}, but {_other_defaults(cls, told[like])}"
    return said


def task_option_lines() -> dict[str, str]:
    """The same as lines for a terminal."""
    return task_options(lambda cls: option_lines(cls, "task", skip=["name"]))


def _other_defaults(cls: type, like: type) -> str:
    pairs = zip(dataclasses.fields(cls), dataclasses.fields(like))
    changed = [own for own, other in pairs if own.name != "name" and own.default != other.default]
    return " ".join(f"task.{field.name}={shown(field.default)}" for field in changed)
