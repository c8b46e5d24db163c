"""Why a worker process died, as far as Ray and the kernel tell, and what it held."""

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
class _Watched:
    process: Callable[[], int | None]
    kills_before: int | None
    most_held: int | None = None


class Deaths:
    """Of the processes that train jobs.

    The kernel tells everyone how many processes it has killed for memory, and few whom. A worker that dies while
    that number has risen since its job began, by a kill that no other death accounts for, is taken to be the
    victim. Ray has the kernel take its workers before any other process, the largest first. Were another
    process taken all the same, and the worker to die of something else during the same job, the job would be
    recorded as out of memory instead of being run again.

    Args:
        are_here: whether they are processes of this machine, started by this one; of others only Ray tells.
        kills: as `hrm.system.machine.count_oom_kills`.
    """

    def __init__(self, are_here: bool, kills: Callable[[], int | None] = count_oom_kills) -> None:
        self._are_here = are_here
        self._kills = kills
        self._num_explained = 0
        self._jobs: dict[int, _Watched] = {}

    def began(self, number: int, process: Callable[[], int | None]) -> None:
        """A job has reached its process, which `process` tells as soon as it is known."""
        if self._are_here:
            self._jobs[number] = _Watched(process, self._kills())

    def ended(self, number: int) -> None:
        """A job is over, however it ended."""
        self._jobs.pop(number, None)

    def look(self) -> None:
        """Notes what the processes hold: what one takes between the last look and its death is not known."""
        for job in self._jobs.values():
            process = job.process()
            held = None if process is None else get_resident_bytes(process)
            if held is not None:
                job.most_held = max(held, job.most_held or 0)

    def why(self, number: int, error_file: str | None) -> tuple[str, int | None]:
        """Why the process of a job died, in one line, and the most that it held when memory was the reason.

        Args:
            error_file: where Ray Tune has written of it; None where it has not.
        """
        reason, held = told_by_ray(error_file)
        job = self._jobs.get(number)
        if reason == LOST and job is not None and self._was_killed(job):
            return _BY_KERNEL, job.most_held
        return reason, held

    def _was_killed(self, job: _Watched) -> bool:
        kills = self._kills()
        if kills is None or job.kills_before is None:
            return False
        explained = max(job.kills_before, self._num_explained)
        if kills <= explained:
            return False
        self._num_explained = explained + 1
        return True


def told_by_ray(error_file: str | None) -> tuple[str, int | None]:
    """As `Deaths.why`, from what Ray has written alone."""
    text = Path(error_file).read_text(encoding="utf-8").strip() if error_file else ""
    if "memory" in text.split("Some common causes")[0]:
        used = re.search(r"memory used=([\d.]+)GB", text)
        return _BY_RAY, None if used is None else round(float(used[1]) * 2**30)
    if "creation task" in text:
        return f"WorkerDied: it could not start ({text.splitlines()[-1]})", None
    return LOST, None
