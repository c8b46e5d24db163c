"""What the doors' help says of the tasks: a line for each, and the options of each."""

from __future__ import annotations

import dataclasses

from hrm.option_help import field_docs, option_lines, shown
from hrm.tasks import PATH_KINDS, TASKS


def task_summaries() -> dict[str, str]:
    """A line for each task, and for each sort of path."""
    return {name: kind.summary for name, kind in (TASKS | PATH_KINDS).items()}


def task_options() -> dict[str, str]:
    """The option lines of each task, and of each sort of path. Where only defaults differ from those of a task
    before, they alone."""
    whole: dict[str, type] = {}
    options = {}
    for name, kind in (TASKS | PATH_KINDS).items():
        cls = kind.config_class
        like = next((other for other in whole if field_docs(whole[other]) == field_docs(cls)), None)
        if like is None:
            whole[name] = cls
            options[name] = option_lines(cls, "task", skip=["name"])
        else:
            options[name] = f"  those of {like}, but {_other_defaults(cls, whole[like])}"
    return options


def _other_defaults(cls: type, like: type) -> str:
    pairs = zip(dataclasses.fields(cls), dataclasses.fields(like))
    changed = [own for own, other in pairs if own.name != "name" and own.default != other.default]
    return " ".join(f"task.{field.name}={shown(field.default)}" for field in changed)
