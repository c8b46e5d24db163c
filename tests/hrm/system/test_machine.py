"""What a container leaves of a machine, and what memory is taken there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hrm.system import machine


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2.0),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_a_container_s_processors(tmp_path: Path, files: dict[str, str], quota: float | None) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert machine._cpu_quota(tmp_path) == quota


def test_a_container_s_memory(tmp_path: Path) -> None:
    whole = machine.get_memory_bytes(tmp_path)
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.get_memory_bytes(tmp_path) == whole
    (tmp_path / "memory.max").write_text("1048576\n")
    assert machine.get_memory_bytes(tmp_path) == 1048576


V1, V2 = "4:memory:/user/a:b\n3:cpuset:/\n0::/\n", "0::/user.slice/me.scope\n"
V1_COUNTER = "oom_kill_disable 0\nunder_oom 0\noom_kill {}\n"
V2_COUNTER = "low 0\noom 9\noom_kill {}\noom_group_kill 7\n"


@pytest.mark.parametrize(
    ("groups", "counters", "kills"),
    [
        (V2, {"user.slice/me.scope/memory.events": 2, "user.slice/memory.events": 3}, 2),
        (V2, {"user.slice/memory.events": 3}, 3),
        (V2, {"memory.events": 4}, 4),
        ("0::/\n", {"memory.events": 4}, 4),
        (V1, {"memory/user/a:b/memory.oom_control": 2, "memory/memory.oom_control": 3}, 2),
        (V1, {"memory/memory.oom_control": 3}, 3),
        (V1, {}, 5),
        ("", {}, 5),
        (None, {}, 5),
    ],
    ids=[
        "v2",
        "v2 above",
        "v2 container",
        "v2 root",
        "v1",
        "v1 container",
        "no counter",
        "no group",
        "no file",
    ],
)
def test_kills_for_memory_are_those_of_the_nearest_group_that_counts(
    tmp_path: Path, groups: str | None, counters: dict[str, int], kills: int
) -> None:
    proc, cgroup = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "vmstat").write_text("pgfault 812\noom_kill 5\n")
    if groups is not None:
        (proc / "self" / "cgroup").write_text(groups)
    for name, count in counters.items():
        (cgroup / name).parent.mkdir(parents=True, exist_ok=True)
        text = V1_COUNTER if name.endswith("oom_control") else V2_COUNTER
        (cgroup / name).write_text(text.format(count))
    assert machine.count_oom_kills(proc, cgroup) == kills


def test_a_system_that_does_not_count_kills(tmp_path: Path) -> None:
    assert machine.count_oom_kills(tmp_path, tmp_path) is None
    (tmp_path / "vmstat").write_text("pgfault 812\n")
    assert machine.count_oom_kills(tmp_path, tmp_path) is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the /proc to read it from")
def test_what_a_process_has_in_memory() -> None:
    before = machine.get_resident_bytes()
    assert before is not None
    taken = b"1" * 2**26
    assert machine.get_resident_bytes(os.getpid()) >= before + len(taken) // 2  # type: ignore[operator]
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert machine.get_resident_bytes(ended.pid) is None
