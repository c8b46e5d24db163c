"""Sweeps of version 0.1 are reported, and resumed to the end that they would have had."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.cli.compose import compose_sweep
from sweeps.cli.resume import read_resumed_config
from sweeps.report.files import write_report
from sweeps.results.tables import read_trials

ROOT = Path(__file__).resolve().parents[2]
OLD = ROOT / "tests" / "old_sweeps"
DECIDED = ("number", "kind", "arm", "seed", "params", "flops_per_step", "trial", "config")


@pytest.fixture
def sweeps(tmp_path: Path) -> Path:
    shutil.copytree(OLD, tmp_path / "old")
    return tmp_path / "old"


def decided(out: Path) -> list[dict[str, Any]]:
    return [{name: row[name] for name in DECIDED} for row in read_trials(out).to_pylist()]


@pytest.mark.parametrize("name", ["finished", "killed"])
def test_an_old_sweep_is_reported(name: str, sweeps: Path) -> None:
    write_report(sweeps / name, SweepFolder.read(sweeps / name))
    text = (sweeps / name / "report.md").read_text()
    assert "Where do the layers go" in text and "trial 0" in text


def test_an_old_space_and_an_old_folder_say_revive(sweeps: Path, capsys: pytest.CaptureFixture[str]) -> None:
    killed, old = f"resume={sweeps / 'killed'}", f"space={sweeps / 'old.yaml'}"
    assert read_resumed_config([killed]).resume_pruned == 1
    assert read_resumed_config([killed, "resume_pruned=2"]).resume_pruned == 2
    assert not capsys.readouterr().err, "nobody has just written it"
    assert compose_sweep([old]).resume_pruned == 1
    assert capsys.readouterr().err == "note: revive is called resume_pruned now\n"
    assert compose_sweep([old, "resume_pruned=4"]).resume_pruned == 4
    assert compose_sweep([old, "revive=3", "resume_pruned=4"]).resume_pruned == 4, "the last one holds"


@pytest.mark.ray
@pytest.mark.slow
def test_a_killed_old_sweep_is_resumed(sweeps: Path) -> None:
    ended = read_trials(sweeps / "killed").to_pylist()
    done = subprocess.run(
        [sys.executable, str(ROOT / "run_sweep.py"), f"resume={sweeps / 'killed'}"],
        cwd=sweeps,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    rows = {row["number"]: row for row in read_trials(sweeps / "killed").to_pylist()}
    for row in ended:
        if row["status"] != "pruned":  # a pruned trial may have been resumed
            assert {name: rows[row["number"]][name] for name in row} == row, "what had ended stands"
    # On another processor numbers may differ in their last digits, and with them what is pruned and confirmed.
    search = [row for row in decided(sweeps / "killed") if row["kind"] == "search"]
    assert search[:4] == decided(sweeps / "finished")[:4]
    assert [row["number"] for row in decided(sweeps / "killed")] == list(range(8))
