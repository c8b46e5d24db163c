"""What a machine or a cluster offers, and how it is shared out: slots, and CPUs and GPUs of each."""

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
"""Memory of a worker process beside its model: Python, torch and Ray. An allowance: 454 MiB were seen once."""
DRIVER_BYTES = 2**30
"""Memory of the driver and of Ray's own processes. An allowance: 0.9 GiB were seen once."""
CUDA_BYTES = 2**30
"""GPU memory of a process beside its model, for CUDA's context, kernels and workspaces: an allowance."""
HELD_PER_COUNTED = 1.5
"""Bytes held for a byte counted, with temporary buffers and what the allocator keeps. An allowance: 1.34 to 1.42 were
seen once on a CPU, for models of 0.2 to 2.8 GB."""
_GPU_DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""Of which one is there where CUDA, ROCm or CUDA under WSL can be used."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What there is, on one machine or in a cluster."""

    num_cpus: int
    num_gpus: int
    """CUDA or ROCm devices: those that Ray hands out."""
    memory_bytes: int | None = None
    """None where not known, or where machines differ."""
    gpu_memory_bytes: int | None = None
    """Of the smallest GPU."""

    @classmethod
    def local(cls) -> Machine:
        """This machine, as far as this process may use it."""
        gpu_memory = _gpu_memory_bytes()
        return cls(
            num_cpus=count_cpus(),
            num_gpus=len(gpu_memory),
            memory_bytes=get_memory_bytes(),
            gpu_memory_bytes=min(gpu_memory, default=None),
        )


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """How trials share it."""

    slots: int
    """Trials running at once."""
    cpus_per_trial: int
    gpus_per_trial: float
    """Ray's unit: a share of one GPU, or 0."""
    memory_bytes: int | None = None
    """What one trial may count, on its GPU where it has one; None where not known."""


def share(config: SweepConfig, machines: Sequence[Machine], model_bytes: int | None) -> Allocation:
    """Divides what there is among trials, none of which spans two machines.

    `max_concurrent` may ask for more slots than there are processors, at the price of each other's speed: so
    a sweep made in many slots can be repeated on a small machine.

    Args:
        model_bytes: most that a trial counts; None where not known: memory is then not heeded, and no two
            trials share a GPU unless told to.

    Raises:
        ResourceError: one trial alone needs more than there is.
    """
    cpus = config.resources.cpus_per_trial
    per_gpu = _trials_per_gpu(config, machines, model_bytes)
    used = [machine for machine in machines if machine.num_gpus or not per_gpu]
    most_cpus = max(machine.num_cpus for machine in used)
    if cpus > most_cpus:
        raise ResourceError(
            "resources.cpus_per_trial", cpus, f"must be at most {most_cpus}, the CPUs that are there"
        )
    used = [machine for machine in used if machine.num_cpus >= cpus]
    slots = config.max_concurrent
    if not isinstance(slots, int):
        slots = sum(_slots(machine, cpus, per_gpu, model_bytes) for machine in used)
    if slots == 0:
        assert model_bytes is not None
        most = max(_room(machine.memory_bytes or 0, 1, DRIVER_BYTES, WORKER_BYTES) for machine in used)
        raise _too_large("max_concurrent", model_bytes, most, "max_concurrent=1")
    if per_gpu:
        # Fewer slots than the GPUs could take have a larger share of them each.
        per_gpu = min(per_gpu, -(-slots // sum(machine.num_gpus for machine in used)))
        rooms = [_room(one.gpu_memory_bytes, per_gpu, 0, CUDA_BYTES) for one in used if one.gpu_memory_bytes]
    else:
        each = -(-slots // len(used))
        rooms = [
            _room(one.memory_bytes, each, DRIVER_BYTES, WORKER_BYTES) for one in used if one.memory_bytes
        ]
    return Allocation(
        slots=slots,
        cpus_per_trial=cpus,
        # Ray keeps four decimals; rounded down, `per_gpu` shares fit a GPU.
        gpus_per_trial=int(10_000 / per_gpu) / 10_000 if per_gpu else 0.0,
        memory_bytes=min(rooms, default=None),
    )


def _trials_per_gpu(config: SweepConfig, machines: Sequence[Machine], model_bytes: int | None) -> int:
    """Most trials that share a GPU; 0 where trials compute on the CPU."""
    asked = config.resources.trials_per_gpu
    if config.device in ("cpu", "mps") or not any(machine.num_gpus for machine in machines):
        return 0
    if isinstance(asked, int):
        return asked
    smallest = min((one.gpu_memory_bytes for one in machines if one.gpu_memory_bytes), default=None)
    if smallest is None or model_bytes is None:
        return 1
    if not (fitting := smallest // _held(model_bytes, CUDA_BYTES)):
        room = _room(smallest, 1, 0, CUDA_BYTES)
        raise _too_large("resources.trials_per_gpu", model_bytes, room, "resources.trials_per_gpu=1")
    return fitting


def _slots(machine: Machine, cpus: int, per_gpu: int, model_bytes: int | None) -> int:
    """Trials that a machine has processors, GPUs and memory for."""
    slots = [machine.num_cpus // cpus]
    if per_gpu:
        slots.append(machine.num_gpus * per_gpu)
    if machine.memory_bytes is not None and model_bytes is not None:
        held = _held(0 if per_gpu else model_bytes, WORKER_BYTES)
        by_memory = max(0, machine.memory_bytes - DRIVER_BYTES) // held
        slots.append(max(1, by_memory) if per_gpu else by_memory)
    return min(slots)


def _held(model_bytes: int, process_bytes: int) -> int:
    """What a trial's process holds."""
    return math.ceil(HELD_PER_COUNTED * model_bytes) + process_bytes


def _room(memory_bytes: int, trials: int, taken: int, process_bytes: int) -> int:
    """What each of so many trials may count: `_held` turned round."""
    return max(0, int(((memory_bytes - taken) // trials - process_bytes) / HELD_PER_COUNTED))


def _too_large(where: str, needed: int, room: int, instead: str) -> ResourceError:
    return ResourceError(
        where, AUTO,
        f"the largest model of the space counts {needed:,} bytes, and there is room for {room:,} here",
        f"Give budget.max_memory={room}, or {instead} to try it all the same",
    )  # fmt: skip


def _gpu_memory_bytes() -> list[int]:
    """Memory of each GPU that this process may use."""
    # torch takes seconds to import, and without a driver there is nothing to ask it for.
    if os.name == "posix" and not any(Path(driver).exists() for driver in _GPU_DRIVERS):
        return []
    import torch

    return [
        torch.cuda.get_device_properties(index).total_memory for index in range(torch.cuda.device_count())
    ]
