"""Resources of a machine or a cluster, and how concurrent trials share them."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hrm.system.machine import count_cpus, get_memory_bytes
from sweeps.config import AUTO, SweepConfig
from sweeps.errors import ResourceError

WORKER_BYTES = 512 * 2**20
"""Memory of a worker process besides its model: Python, torch and Ray. An allowance; 454 MiB were seen once."""
DRIVER_BYTES = 2**30
"""Memory of the driver and of Ray's own processes. An allowance; 0.9 GiB were seen once."""
CUDA_BYTES = 2**30
"""GPU memory of a process besides its model: CUDA's context, kernels and workspaces. An allowance."""
HELD_PER_COUNTED = 1.5
"""Bytes held per byte counted, including temporary buffers and the allocator's reserve. An allowance; 1.34 to
1.42 were seen once on a CPU, for models of 0.2 to 2.8 GB."""
_GPU_DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""Device files of CUDA, ROCm and CUDA under WSL: without any of them no GPU can be used."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """One machine: this one, or a node of a cluster."""

    num_cpus: int
    num_gpus: int
    """CUDA or ROCm devices, which Ray assigns."""
    memory_bytes: int | None = None
    """None where not known."""
    gpu_memory_bytes: int | None = None
    """Of the smallest GPU."""

    @classmethod
    def local(cls) -> Machine:
        """Return this machine, as far as this process may use it."""
        gpu_memory = _measure_gpu_memory()
        return cls(
            num_cpus=count_cpus(),
            num_gpus=len(gpu_memory),
            memory_bytes=get_memory_bytes(),
            gpu_memory_bytes=min(gpu_memory, default=None),
        )


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """The number of workers and the resources of each."""

    num_workers: int
    """Trials that run at once."""
    cpus_per_trial: int
    gpus_per_trial: float
    """Ray's unit: a fraction of one GPU, or 0."""
    memory_bytes: int | None = None
    """Counted bytes that one trial may use, on its GPU where it has one; None where not known."""


def allocate_resources(
    config: SweepConfig, machines: Sequence[Machine], model_bytes: int | None
) -> Allocation:
    """Divide the machines among trials, none of which spans two machines.

    `max_concurrent` may ask for more workers than there are processors, which then slow each other down: a
    sweep made by many workers can so be repeated on a small machine.

    Args:
        model_bytes: most bytes that a trial counts. With None memory is ignored, and no two trials share a GPU
            unless the configuration says so.

    Raises:
        ResourceError: one trial alone needs more than there is.
    """
    cpus = config.resources.cpus_per_trial
    per_gpu = _find_trials_per_gpu(config, machines, model_bytes)
    used = [machine for machine in machines if machine.num_gpus or not per_gpu]
    most_cpus = max(machine.num_cpus for machine in used)
    if cpus > most_cpus:
        raise ResourceError(
            "resources.cpus_per_trial", cpus, f"must be at most {most_cpus}, the CPUs that are there"
        )
    used = [machine for machine in used if machine.num_cpus >= cpus]
    num_workers = config.max_concurrent
    if not isinstance(num_workers, int):
        num_workers = sum(_count_workers(machine, cpus, per_gpu, model_bytes) for machine in used)
    if num_workers == 0:
        assert model_bytes is not None
        most = max(_find_room(machine.memory_bytes or 0, 1, DRIVER_BYTES, WORKER_BYTES) for machine in used)
        raise _build_error("max_concurrent", model_bytes, most, "max_concurrent=1")
    if per_gpu:
        # Fewer workers than the GPUs have room for get a larger fraction of a GPU each.
        per_gpu = min(per_gpu, -(-num_workers // sum(machine.num_gpus for machine in used)))
        memory, each, taken, process = [one.gpu_memory_bytes for one in used], per_gpu, 0, CUDA_BYTES
    else:
        each = -(-num_workers // len(used))
        memory, taken, process = [one.memory_bytes for one in used], DRIVER_BYTES, WORKER_BYTES
    return Allocation(
        num_workers=num_workers,
        cpus_per_trial=cpus,
        # Ray keeps four decimals; rounded down, `per_gpu` fractions fit a GPU.
        gpus_per_trial=int(10_000 / per_gpu) / 10_000 if per_gpu else 0.0,
        memory_bytes=min(
            (_find_room(known, each, taken, process) for known in memory if known), default=None
        ),
    )


def _find_trials_per_gpu(config: SweepConfig, machines: Sequence[Machine], model_bytes: int | None) -> int:
    """Return the most trials that share a GPU; 0 where trials run on the CPU."""
    asked = config.resources.trials_per_gpu
    if config.device in ("cpu", "mps") or not any(machine.num_gpus for machine in machines):
        return 0
    if isinstance(asked, int):
        return asked
    smallest = min((one.gpu_memory_bytes for one in machines if one.gpu_memory_bytes), default=None)
    if smallest is None or model_bytes is None:
        return 1
    if not (fitting := smallest // _estimate_held(model_bytes, CUDA_BYTES)):
        room = _find_room(smallest, 1, 0, CUDA_BYTES)
        raise _build_error("resources.trials_per_gpu", model_bytes, room, "resources.trials_per_gpu=1")
    return fitting


def _count_workers(machine: Machine, cpus: int, per_gpu: int, model_bytes: int | None) -> int:
    """Return how many trials a machine has processors, GPUs and memory for."""
    limits = [machine.num_cpus // cpus]
    if per_gpu:
        limits.append(machine.num_gpus * per_gpu)
    if machine.memory_bytes is not None and model_bytes is not None:
        held = _estimate_held(0 if per_gpu else model_bytes, WORKER_BYTES)
        by_memory = max(0, machine.memory_bytes - DRIVER_BYTES) // held
        limits.append(max(1, by_memory) if per_gpu else by_memory)
    return min(limits)


def _estimate_held(model_bytes: int, process_bytes: int) -> int:
    """Return the memory of a trial's process, from the bytes that its model counts."""
    return math.ceil(HELD_PER_COUNTED * model_bytes) + process_bytes


def _find_room(memory_bytes: int, num_trials: int, taken: int, process_bytes: int) -> int:
    """Return the bytes that each of `num_trials` models may count: the inverse of `_estimate_held`."""
    return max(0, int(((memory_bytes - taken) // num_trials - process_bytes) / HELD_PER_COUNTED))


def _build_error(where: str, needed: int, room: int, instead: str) -> ResourceError:
    rule = f"the largest model of the space counts {needed:,} bytes, and there is room for {room:,} here"
    return ResourceError(
        where, AUTO, rule, f"Give budget.max_memory={room}, or {instead} to try it all the same"
    )


def _measure_gpu_memory() -> list[int]:
    """Return the memory of each GPU that this process may use, in bytes."""
    # torch takes seconds to import, and without a driver it would find nothing.
    if os.name == "posix" and not any(Path(driver).exists() for driver in _GPU_DRIVERS):
        return []
    import torch

    return [torch.cuda.get_device_properties(i).total_memory for i in range(torch.cuda.device_count())]
