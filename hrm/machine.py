"""What this process may use of its machine, within its container's limits."""

from __future__ import annotations

import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def available_cpus() -> int:
    """Processors that this process may use: its affinity, within its container's quota."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cpu_quota(_CGROUP)
    return cpus if quota is None else max(1, min(cpus, int(quota)))


def memory_bytes(cgroup: Path = _CGROUP) -> int | None:
    """The machine's memory, within its container's limit (cgroup v2, else v1); None where not known."""
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


def _cpu_quota(cgroup: Path) -> float | None:
    """Processors that a container's quota grants (cgroup v2, else v1); None where there is none."""
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text()
        except OSError:
            return None
    return None if quota == "max" or int(quota) <= 0 else int(quota) / int(period)
