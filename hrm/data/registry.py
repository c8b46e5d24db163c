"""The tasks by name: `TASKS` names those that ship, a path names a data set on disk, an import path any other."""

from __future__ import annotations

from pathlib import Path

from hrm.config.errors import DataError, ImportPathError, UnknownNameError
from hrm.config.schema import import_object, is_import_path
from hrm.data.base import Dataset, Progress, TaskConfig
from hrm.data.directory import DirectoryConfig
from hrm.data.sudoku.csv_task import SudokuCsvConfig
from hrm.data.sudoku.task import Sudoku4Config, Sudoku6Config, Sudoku9Config
from hrm.data.text.config import TextConfig

TASKS: dict[str, type[TaskConfig]] = {
    "sudoku4": Sudoku4Config,
    "sudoku6": Sudoku6Config,
    "sudoku9": Sudoku9Config,
    "text": TextConfig,
}
PATH_TASKS: dict[str, type[TaskConfig]] = {"PATH": DirectoryConfig, "PATH.csv": SudokuCsvConfig}
"""Data sets on disk."""


def get_task_class(name: str) -> type[TaskConfig]:
    """Return the config class of a task.

    Args:
        name: of a task that ships; the path of a folder in the official format or of a Sudoku-Extreme CSV; or an
            import path `package.module:Class`.

    Raises:
        UnknownNameError: it is no task and does not look like a path.
        ImportPathError: the import path does not lead to a `TaskConfig`.
        DataError: it is a file, but no CSV.
    """
    if name in TASKS:
        return TASKS[name]
    if is_import_path(name):
        found: type = import_object(name, "task", type)
        if not issubclass(found, TaskConfig):
            raise ImportPathError("task", name, "must be a class derived from hrm.data.base.TaskConfig")
        return found
    path = Path(name).expanduser()
    if path.suffix.lower() == ".csv" or (any(path.glob("*.csv")) and not (path / "train").is_dir()):
        return SudokuCsvConfig
    if path.is_file():
        rule = f"is a file; a path must be {' or '.join(task.summary for task in PATH_TASKS.values())}"
        raise DataError("task", name, rule, f"Text is given as task=text task.text={name}")
    if path.exists() or "/" in name or "\\" in name:
        return DirectoryConfig
    raise UnknownNameError.among("task", name, TASKS)


def open_task(config: TaskConfig, progress: Progress | None = None) -> Dataset:
    """Open the data of a task, and prepare them first if necessary.

    Raises:
        UserError: the data are missing, malformed, or cannot be made.
    """
    return config.open(config.prepare(progress))
