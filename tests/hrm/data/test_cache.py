"""The cache: built once, believed only while sound, safe for many processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hrm.config.errors import DataError
from hrm.data import cache
from hrm.data.cache import MANIFEST, MAX_COPIES, compute_fingerprint, get_cache_root, get_or_build


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HRM_SWEEPS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Builder:
    """Writes one file, and counts how often."""

    def __init__(self, text: str = "data") -> None:
        self.text, self.calls = text, 0

    def __call__(self, folder: Path) -> None:
        self.calls += 1
        (folder / "data.txt").write_text(self.text)


def test_builds_once_for_a_key() -> None:
    build = Builder()
    first, second = get_or_build("kind", {"a": 1}, build), get_or_build("kind", {"a": 1}, build)
    assert first == second
    assert build.calls == 1
    assert (first / "data.txt").read_text() == "data"
    assert get_or_build("kind", {"a": 2}, build) != first


def test_root_is_in_the_home_unless_said_otherwise(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert get_cache_root() == root
    monkeypatch.delenv("HRM_SWEEPS_CACHE")
    assert get_cache_root() == Path.home() / ".cache" / "hrm-sweeps"


def _truncate(folder: Path) -> None:
    (folder / "data.txt").write_text("dat")


def _flip(folder: Path) -> None:
    (folder / "data.txt").write_text("dada")


def _remove(folder: Path) -> None:
    (folder / "data.txt").unlink()


def _lose_manifest(folder: Path) -> None:
    (folder / MANIFEST).unlink()


def _spoil_manifest(folder: Path) -> None:
    (folder / MANIFEST).write_text("[1, 2")


@pytest.mark.parametrize("damage", [_truncate, _flip, _remove, _lose_manifest, _spoil_manifest])
def test_a_damaged_copy_is_rebuilt_not_believed(damage: Callable[[Path], None]) -> None:
    build = Builder()
    damage(get_or_build("kind", {}, build))
    for _ in range(2):
        sound = get_or_build("kind", {}, build)
        assert (sound / "data.txt").read_text() == "data"
    assert build.calls == 2


def test_a_failed_build_leaves_nothing(root: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half.txt").write_text("half")
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        get_or_build("kind", {}, fail)
    assert list(root.iterdir()) == []


def _message() -> str:
    with pytest.raises(DataError) as caught:
        get_or_build("kind", {}, Builder())
    return str(caught.value)


def test_an_unwritable_cache_says_how_to_mend_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HRM_SWEEPS_CACHE", str(tmp_path / "file"))
    message = _message()
    assert message.startswith(f"data cache {tmp_path}/file: given ")
    assert "must be a folder that can be written. Set HRM_SWEEPS_CACHE to another folder" in message


def test_a_disk_that_always_spoils_ends_in_a_message(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "hash_file", lambda path: str(os.urandom(8)))
    message = _message()
    assert message.startswith(f"data cache {root}: given '{MAX_COPIES} damaged copies of kind-")
    assert message.endswith(f"Delete {root} and check the disk")


def test_fingerprints_follow_the_content_alone() -> None:
    first, same = get_or_build("kind", {"a": 1}, Builder()), get_or_build("other", {"a": 2}, Builder())
    different = get_or_build("kind", {"a": 3}, Builder("other data"))
    assert compute_fingerprint(first) == compute_fingerprint(same) != compute_fingerprint(different)


RACE = """
import os, sys, time
from pathlib import Path
from hrm.data.cache import get_or_build

meeting = Path(sys.argv[1])

def build(folder):
    (meeting / str(os.getpid())).write_text("")
    while len(list(meeting.iterdir())) < 3:
        time.sleep(0.01)
    (folder / "data.txt").write_text("data")

folder = get_or_build("kind", {}, build)
print(folder, (folder / "data.txt").read_text())
"""


@pytest.mark.parametrize("damaged", [False, True])
def test_processes_that_build_at_once_agree(root: Path, tmp_path: Path, damaged: bool) -> None:
    if damaged:
        _flip(get_or_build("kind", {}, Builder()))
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    command = [sys.executable, "-c", RACE, str(meeting)]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = {run.communicate(timeout=60)[0] for run in runs}
    assert all(run.returncode == 0 for run in runs)
    assert len(answers) == 1
    assert answers.pop().split()[1] == "data"
    assert len(list(root.iterdir())) == 1 + damaged
