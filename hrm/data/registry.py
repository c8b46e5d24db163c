"""The tasks: `TASKS` names those that ship; a path names a data set on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hrm.config.errors import DataError, UnknownNameError
from hrm.data.base import Dataset, TaskKind
from hrm.data.directory import DIRECTORY
from hrm.data.sudoku.csv_task import SUDOKU_CSV
from hrm.data.sudoku.task import SUDOKU_KINDS
from hrm.data.text.task import TEXT

TASKS: dict[str, TaskKind] = {**SUDOKU_KINDS, "text": TEXT}

PATH_KINDS: dict[str, TaskKind] = {"PATH": DIRECTORY, "PATH.csv": SUDOKU_CSV}
"""What a path may name."""


def get_task_kind(name: str) -> TaskKind:
    """The kind of a task by name, or by path: a folder in the official format, or a Sudoku-Extreme CSV.

    Raises:
        UnknownNameError: neither a task nor something that looks like a path.
        DataError: a file that is no CSV.
    """
    if name in TASKS:
        return TASKS[name]
    path = Path(name).expanduser()
    if path.suffix.lower() == ".csv" or (any(path.glob("*.csv")) and not (path / "train").is_dir()):
        return SUDOKU_CSV
    if path.is_file():
        rule = f"is a file; a path must be {' or '.join(kind.summary for kind in PATH_KINDS.values())}"
        raise DataError("task", name, rule, f"Text is given as task=text task.text={name}")
    if path.exists() or "/" in name or "\\" in name:
        return DIRECTORY
    raise UnknownNameError.among("task", name, TASKS)


def open_task(config: Any, progress: Callable[[int, int], None] | None = None) -> Dataset:
    """The data of a task, prepared first where needed.

    Args:
        config: of the task's `config_class`.
        progress: called with what is done and in all, while data are prepared.

    Raises:
        UserError: the data are missing, malformed, or cannot be made.
    """
    kind = get_task_kind(config.name)
    return kind.open(config, kind.prepare(config, progress))
