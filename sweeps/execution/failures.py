"""Failures of worker processes: why one died, as far as Ray and the kernel say, and how much memory it held."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hrm.system.machine import count_oom_kills, get_resident_bytes
from sweeps.events import OUT_OF_MEMORY

LOST = "WorkerDied: the worker process was killed, crashed or lost its machine"
_BY_RAY = f"{OUT_OF_MEMORY}: the worker process was ended because the machine's memory ran out"
_BY_KERNEL = f"{OUT_OF_MEMORY}: the kernel killed the worker process because memory ran out"


@dataclass
class _WatchedJob:
    get_process: Callable[[], int | None]
    kills_before: int | None
    max_held: int | None = None


class WorkerFailures:
    """Watches the processes that train jobs, to tell why one died.

    The kernel tells everyone how many processes it has killed for memory, but not which. A worker is taken to be its
    victim if that number has risen since its job began, by a kill that explains no other death. Ray makes the kernel
    choose its workers before any other process, the largest first. If another process is killed all the same, and
    the worker dies of something else during the same job, the job is recorded as out of memory and not run again.

    Args:
        are_local: whether the workers are on this machine, started by this process; of others only Ray knows.
        count_kills: as `hrm.system.machine.count_oom_kills`.
    """

    def __init__(self, are_local: bool, count_kills: Callable[[], int | None] = count_oom_kills) -> None:
        self._are_local, self._count_kills = are_local, count_kills
        self._num_explained = 0
        self._jobs: dict[int, _WatchedJob] = {}

    def watch(self, number: int, get_process: Callable[[], int | None]) -> None:
        """Watch a job that has reached its process; `get_process` returns its id once that is known."""
        if self._are_local:
            self._jobs[number] = _WatchedJob(get_process, self._count_kills())

    def forget(self, number: int) -> None:
        """Stop watching a job that has ended in any way."""
        self._jobs.pop(number, None)

    def sample_memory(self) -> None:
        """Note what the processes hold; what one takes between its last sample and its death is not known."""
        for job in self._jobs.values():
            process = job.get_process()
            held = None if process is None else get_resident_bytes(process)
            if held is not None:
                job.max_held = max(held, job.max_held or 0)

    def classify(self, number: int, error_file: str | None) -> tuple[str, int | None]:
        """Return why a job's process died, in one line, and the most memory it held if that was the reason.

        Args:
            error_file: where Ray Tune has written about it; None if it has not.
        """
        reason, held = parse_ray_error(error_file)
        job = self._jobs.get(number)
        if reason == LOST and job is not None and self._was_killed(job):
            return _BY_KERNEL, job.max_held
        return reason, held

    def _was_killed(self, job: _WatchedJob) -> bool:
        kills = self._count_kills()
        if kills is None or job.kills_before is None:
            return False
        explained = max(job.kills_before, self._num_explained)
        if kills <= explained:
            return False
        self._num_explained = explained + 1
        return True


def parse_ray_error(error_file: str | None) -> tuple[str, int | None]:
    """Return reason and memory as `WorkerFailures.classify` does, from what Ray has written alone."""
    text = Path(error_file).read_text(encoding="utf-8").strip() if error_file else ""
    if "memory" in text.split("Some common causes")[0]:
        used = re.search(r"memory used=([\d.]+)GB", text)
        return _BY_RAY, None if used is None else round(float(used[1]) * 2**30)
    if "creation task" in text:
        return f"WorkerDied: it could not start ({text.splitlines()[-1]})", None
    return LOST, None
