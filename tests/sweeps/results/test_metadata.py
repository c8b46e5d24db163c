"""Provenance of results: commits, versions, hardware."""

from __future__ import annotations

import subprocess
from pathlib import Path

from sweeps.results.metadata import Provenance, read_git_state


def _git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_commit_and_dirtiness(tmp_path: Path) -> None:
    file = tmp_path / "code.py"
    file.write_text("a = 1\n")
    assert read_git_state(file) == (None, None)
    _git(tmp_path, "init")
    assert read_git_state(file) == (None, None), "a file that the repository does not track"
    _git(tmp_path, "add", "code.py")
    _git(tmp_path, "commit", "-m", "first")
    commit = _git(tmp_path, "rev-parse", "HEAD")
    assert read_git_state(file) == (commit, False)
    (tmp_path / "untracked").write_text("results")
    assert read_git_state(file) == (commit, False)
    file.write_text("a = 2\n")
    assert read_git_state(file) == (commit, True)


def test_this_machine() -> None:
    found = Provenance.collect()
    assert found.versions["python"] and found.versions["torch"] and found.versions["numpy"]
    assert found.hardware["cores"] >= 1 and found.hardware["memory_bytes"] > 2**28 and found.hardware["cpu"]
    assert set(found.to_columns()) == {"commit", "dirty", "versions", "hardware"}
