"""Tasks by name and by path."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hrm.config.errors import DataError, UnknownNameError
from hrm.data.directory import DIRECTORY
from hrm.data.registry import TASKS, get_task_kind
from hrm.data.sudoku.csv_task import SUDOKU_CSV


def test_tasks_that_ship() -> None:
    assert list(TASKS) == ["sudoku4", "sudoku6", "sudoku9", "text"]
    assert all(get_task_kind(name) is kind and kind.summary for name, kind in TASKS.items())


def test_an_unknown_name_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as caught:
        get_task_kind("sudoku16")
    assert str(caught.value).startswith("task: given 'sudoku16'; must be one of: sudoku4, sudoku6, sudoku9")
    assert "Did you mean 'sudoku6'?" in str(caught.value)


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "official" / "train").mkdir(parents=True)
    (tmp_path / "official" / "notes.csv").write_text("")
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "train.csv").write_text("")
    monkeypatch.chdir(tmp_path)
    assert get_task_kind("official") is DIRECTORY
    assert get_task_kind("./nowhere") is DIRECTORY
    assert get_task_kind("tables") is SUDOKU_CSV
    assert get_task_kind("nowhere.csv") is SUDOKU_CSV
    monkeypatch.setenv("HOME", str(tmp_path))
    assert get_task_kind("~/tables") is SUDOKU_CSV


def test_a_file_that_is_no_csv_is_refused(tmp_path: Path) -> None:
    (tmp_path / "afile").write_text("text")
    with pytest.raises(DataError) as caught:
        get_task_kind(str(tmp_path / "afile"))
    assert caught.value.rule.startswith(
        "is a file; a path must be a folder in the official directory format or a"
    )
    assert caught.value.hint == f"Text is given as task=text task.text={tmp_path}/afile"
    (tmp_path / "PUZZLES.CSV").write_text("")
    assert get_task_kind(str(tmp_path / "PUZZLES.CSV")) is SUDOKU_CSV


def test_tasks_start_without_torch() -> None:
    """Generator processes import the tasks: torch would cost each of them seconds."""
    code = "import sys, hrm.data.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
