"""Reasons why a worker died: from Ray's text, from the kernel's counter, and once for real."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hrm.system import machine
from sweeps.execution.checkpoints import CheckpointManager
from sweeps.execution.failures import LOST, WorkerFailures, parse_ray_error
from sweeps.execution.resources import Allocation, Machine
from sweeps.scheduler.trial_runner import TrialRunner
from tests.sweeps.small_jobs import ScriptedScheduler, small_job

OF_MEMORY = "OutOfMemory: the kernel killed the worker process because memory ran out"
BY_RAY = "1 worker killed (name=Worker, memory used=1.50GB): the node is low on memory."


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BY_RAY, "OutOfMemory: "),
        ("1 worker(s) were killed due to the node running low on memory.", "OutOfMemory: "),
        (
            "The actor died because of an error raised in its creation task\nImportError: no torch",
            "WorkerDied: it could not start (ImportError: no torch)",
        ),
        (
            "The actor died. Some common causes include: (1) the process was killed by the OOM killer due to "
            "high memory usage",
            LOST,
        ),
        ("", LOST),
    ],
)
def test_what_ray_tells(tmp_path: Path, text: str, reason: str) -> None:
    written = tmp_path / "error.txt"
    written.write_text(text)
    found, held = parse_ray_error(str(written))
    assert found.startswith(reason) and "\n" not in found
    assert held == (1.5 * 2**30 if "memory used" in text else None)
    assert parse_ray_error(None)[0] == LOST


class Kernel:
    """Kills that have been counted."""

    def __init__(self) -> None:
        self.kills: int | None = 3

    def failures(self, are_here: bool = True) -> WorkerFailures:
        return WorkerFailures(are_here, lambda: self.kills)


def unknown() -> None:
    return None


def test_a_kill_since_the_job_began_explains_one_death() -> None:
    kernel = Kernel()
    failures = kernel.failures()
    for number in range(4):
        failures.watch(number, unknown)
    assert failures.classify(0, None) == (LOST, None), "the kills of before are not its own"
    kernel.kills = 5
    assert [failures.classify(number, None)[0] for number in (1, 2, 3)] == [OF_MEMORY, OF_MEMORY, LOST]
    kernel.kills = 6
    assert failures.classify(3, None)[0] == OF_MEMORY


def test_a_kill_of_before_a_job_s_next_turn_is_not_its_own() -> None:
    kernel = Kernel()
    failures = kernel.failures()
    failures.watch(0, unknown)
    kernel.kills = 4
    failures.forget(0)
    assert failures.classify(0, None)[0] == LOST
    failures.watch(0, unknown)
    assert failures.classify(0, None)[0] == LOST


def test_what_ray_tells_comes_first_and_leaves_the_kill_to_another(tmp_path: Path) -> None:
    kernel = Kernel()
    failures = kernel.failures()
    written = tmp_path / "error.txt"
    written.write_text(BY_RAY)
    for number in (0, 1):
        failures.watch(number, unknown)
    kernel.kills = 4
    assert failures.classify(0, str(written)) == (parse_ray_error(str(written))[0], 1.5 * 2**30)
    assert failures.classify(1, None)[0] == OF_MEMORY


@pytest.mark.parametrize(("are_here", "after"), [(False, 4), (True, None)], ids=["elsewhere", "not counted"])
def test_where_the_kernel_cannot_be_asked_a_worker_is_lost(are_here: bool, after: int | None) -> None:
    kernel = Kernel()
    failures = kernel.failures(are_here)
    failures.watch(0, unknown)
    kernel.kills = after
    failures.sample_memory()
    assert failures.classify(0, None) == (LOST, None)


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux has the /proc that tells what a process holds"
)
def test_the_most_that_was_seen_is_told() -> None:
    kernel = Kernel()
    failures = kernel.failures()
    failures.watch(0, os.getpid)
    failures.watch(1, unknown)
    taken = b"1" * 2**26
    failures.sample_memory()
    seen = machine.get_resident_bytes()
    del taken
    failures.sample_memory()
    kernel.kills = 5
    assert failures.classify(0, None)[1] == pytest.approx(seen, abs=2**24)
    assert failures.classify(1, None) == (OF_MEMORY, None)


@contextmanager
def little_memory(limit: int) -> Iterator[None]:
    """Put this process and all that it starts into a memory control group of so many bytes.

    Skips where no such group may be made.
    """
    counters = machine._group_counters(Path("/proc"), Path("/sys/fs/cgroup"))
    own = next((counter.parent for counter in counters if counter.exists()), None)
    if own is None:
        pytest.skip("this process is in no memory control group")
    is_v1 = (own / "memory.oom_control").exists()
    # Processes of cgroup v2 belong to groups that have none below them.
    group = (own if is_v1 else own.parent) / f"hrm-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no memory control group may be made here ({error})")
    try:
        (group / ("memory.limit_in_bytes" if is_v1 else "memory.max")).write_text(str(limit))
        (group / "cgroup.procs").write_text(str(os.getpid()))
    except OSError as error:
        group.rmdir()
        pytest.skip(f"no memory control group may be used here ({error})")
    try:
        yield
    finally:
        (own / "cgroup.procs").write_text(str(os.getpid()))
        remove(group)


def remove(group: Path) -> None:
    deadline = time.monotonic() + 30
    while (group / "cgroup.procs").read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    group.rmdir()


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(300)
def test_a_job_that_the_kernel_kills_for_memory_is_recorded_and_not_run_again(tmp_path: Path) -> None:
    from sweeps.execution import ray_tune

    limit = 5 * 2**28
    job = small_job(0, **{"model.hidden_size": 4096, "model.num_heads": 64})
    plan = ScriptedScheduler([job])
    shares = Allocation(num_workers=1, cpus_per_trial=1, gpus_per_trial=0.0)
    with little_memory(limit), ray_tune.connect(None, Machine(num_cpus=1, num_gpus=0)) as ray:
        ray.run(TrialRunner(plan, max_failures=2), shares, CheckpointManager(tmp_path, 0.0))
    outcome = plan.state.trials[0].ended
    assert outcome is not None
    assert (outcome.status, outcome.error) == ("failed", OF_MEMORY)
    assert outcome.observed_bytes is not None and limit // 8 < outcome.observed_bytes < limit
