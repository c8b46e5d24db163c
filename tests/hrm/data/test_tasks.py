"""Tasks by name, by path and by import path."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hrm.config.errors import DataError, ImportPathError, UnknownNameError
from hrm.config.run_config import RunConfig, load_run_config
from hrm.data.directory import DirectoryConfig
from hrm.data.registry import TASKS, get_task_class
from hrm.data.sudoku.csv_task import SudokuCsvConfig
from hrm.train import main
from tests.hrm.conftest import SMALL_MODEL
from tests.hrm.data.outside_task import CopyConfig

OUTSIDE = "tests.hrm.data.outside_task"


def test_tasks_that_ship() -> None:
    assert list(TASKS) == ["sudoku4", "sudoku6", "sudoku9", "text"]
    assert all(get_task_class(name) is task and task.summary for name, task in TASKS.items())


def test_an_unknown_name_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as caught:
        get_task_class("sudoku16")
    assert str(caught.value).startswith("task: given 'sudoku16'; must be one of: sudoku4, sudoku6, sudoku9")
    assert "Did you mean 'sudoku6'?" in str(caught.value)


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "official" / "train").mkdir(parents=True)
    (tmp_path / "official" / "notes.csv").write_text("")
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "train.csv").write_text("")
    monkeypatch.chdir(tmp_path)
    assert get_task_class("official") is DirectoryConfig
    assert get_task_class("./nowhere") is DirectoryConfig
    assert get_task_class("tables") is SudokuCsvConfig
    assert get_task_class("nowhere.csv") is SudokuCsvConfig
    monkeypatch.setenv("HOME", str(tmp_path))
    assert get_task_class("~/tables") is SudokuCsvConfig


def test_a_file_that_is_no_csv_is_refused(tmp_path: Path) -> None:
    (tmp_path / "afile").write_text("text")
    with pytest.raises(DataError) as caught:
        get_task_class(str(tmp_path / "afile"))
    assert caught.value.rule.startswith(
        "is a file; a path must be a folder in the official directory format or a"
    )
    assert caught.value.hint == f"Text is given as task=text task.text={tmp_path}/afile"
    (tmp_path / "PUZZLES.CSV").write_text("")
    assert get_task_class(str(tmp_path / "PUZZLES.CSV")) is SudokuCsvConfig


def test_a_task_outside_the_package(data_cache: str, tmp_path: Path) -> None:
    name = f"{OUTSIDE}:CopyConfig"
    assert get_task_class(name) is CopyConfig
    options = [f"model.{field}={value}" for field, value in SMALL_MODEL.items()]
    options += ["steps=3", "num_reports=1", "batch_size=4", "device=cpu", f"out={tmp_path / 'run'}"]
    assert main([f"task={name}", "task.length=5", *options]) == 0
    config = load_run_config(tmp_path / "run" / "config.yaml")
    assert config.task == CopyConfig(name=name, length=5)
    assert (config.model.seq_len, config.model.vocab_size) == (5, 10)
    with pytest.raises(UnknownNameError, match="Did you mean 'length'"):
        RunConfig.from_dict({"task": {"name": name, "lenght": 5}})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (f"{OUTSIDE}:Missing", "cannot be imported: AttributeError"),
        ("no.such.module:Task", "cannot be imported: ModuleNotFoundError"),
        (f"{OUTSIDE}:NOT_A_TASK", "must be of type type"),
        (f"{OUTSIDE}:CopyDataset", "must be a class derived from hrm.data.base.TaskConfig"),
    ],
)
def test_an_import_path_that_leads_to_no_task(name: str, message: str) -> None:
    with pytest.raises(ImportPathError, match=message):
        get_task_class(name)


def test_tasks_start_without_torch() -> None:
    """Generator processes import the tasks: torch would cost each of them seconds."""
    code = "import sys, hrm.data.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
