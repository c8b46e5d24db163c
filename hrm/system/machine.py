"""Processors and memory that this process may use within its container's limits, and memory in use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_PROC = Path("/proc")


def count_cpus() -> int:
    """Return the number of processors that this process may use: its affinity, within its container's quota."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cpu_quota(_CGROUP)
    return cpus if quota is None else max(1, min(cpus, int(quota)))


def get_memory_bytes(cgroup: Path = _CGROUP) -> int | None:
    """Return the machine's memory, within its container's limit (cgroup v2, else v1); None if unknown."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            return min(memory, int((cgroup / name).read_text()))
        except (OSError, ValueError):
            continue
    return memory


def get_resident_bytes(process: int | None = None) -> int | None:
    """Return the resident memory of a process (None: this one), including shared pages.

    Returns:
        None where the system does not say (macOS), or there is no such process.
    """
    try:
        pages = int((_PROC / str(process or "self") / "statm").read_text().split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def count_oom_kills(proc: Path = _PROC, cgroup: Path = _CGROUP) -> int | None:
    """Return how many processes the kernel has killed so far because memory ran out.

    Counts this process's control group (with cgroup v2 also the groups within it), whether its own limit or the
    machine's was reached, and the whole machine if no group has a counter.

    Returns:
        None if there is no counter: macOS, Linux before 4.13.
    """
    for counter in [*_group_counters(proc, cgroup), proc / "vmstat"]:
        try:
            lines = counter.read_text().splitlines()
        except OSError:
            continue
        for name, value in (line.split() for line in lines):
            if name == "oom_kill":
                return int(value)
    return None


def _group_counters(proc: Path, cgroup: Path) -> Iterator[Path]:
    """Yield the files in which this process's control group may count kills, nearest first.

    A container sees its own group as the root, while the path in /proc may be the host's.
    """
    try:
        groups = [line.split(":", 2) for line in (proc / "self" / "cgroup").read_text().splitlines()]
    except OSError:
        return
    for _, controllers, path in groups:
        if controllers not in ("", "memory"):
            continue
        root, name = (cgroup / "memory", "memory.oom_control") if controllers else (cgroup, "memory.events")
        parts = Path(path).parts[1:]
        yield from (root.joinpath(*parts[:depth], name) for depth in range(len(parts), -1, -1))


def _cpu_quota(cgroup: Path) -> float | None:
    """Return the processors that a container's quota grants (cgroup v2, else v1); None if there is no quota."""
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text()
        except OSError:
            return None
    return None if quota == "max" or int(quota) <= 0 else int(quota) / int(period)
