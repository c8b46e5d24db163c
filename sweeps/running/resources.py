"""What a machine or a cluster offers, and how it is shared out: slots, and CPUs and GPUs of each."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from hrm.machine import available_cpus, memory_bytes
from sweeps.config import SweepConfig
from sweeps.errors import ResourceError

MAX_SLOTS_PER_GPU = 4
"""Trials that share a GPU unless told otherwise."""
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
            num_cpus=available_cpus(),
            num_gpus=len(gpu_memory),
            memory_bytes=memory_bytes(),
            gpu_memory_bytes=min(gpu_memory, default=None),
        )


@dataclass(frozen=True, kw_only=True)
class Shares:
    """How trials share it."""

    slots: int
    """Trials running at once."""
    cpus_per_trial: int
    gpus_per_trial: float
    """Ray's unit: below 1 a share of one GPU, else whole GPUs."""
    memory_bytes: int | None = None
    """What one trial may use, on its GPU where it has one; None where not known."""


def share(config: SweepConfig, machine: Machine) -> Shares:
    """Divides what there is among trials.

    `max_concurrent` may ask for more slots than there are processors, at the price of each other's speed: so
    a sweep made in many slots can be repeated on a small machine.

    Raises:
        ResourceError: one trial alone needs more than there is.
    """
    cpus = config.resources.cpus_per_trial
    if cpus > machine.num_cpus:
        raise ResourceError(
            "resources.cpus_per_trial", cpus, f"must be at most {machine.num_cpus}, the CPUs that are there"
        )
    slots, gpus = _slots_and_gpus(config, machine.num_cpus // cpus, machine.num_gpus)
    memory = machine.memory_bytes and machine.memory_bytes // slots
    if gpus:
        memory = machine.gpu_memory_bytes and int(machine.gpu_memory_bytes * min(gpus, 1))
    return Shares(slots=slots, cpus_per_trial=cpus, gpus_per_trial=gpus, memory_bytes=memory)


def _slots_and_gpus(config: SweepConfig, slots_by_cpu: int, num_gpus: int) -> tuple[int, float]:
    given = config.resources.gpus_per_trial
    if given is not None and given > num_gpus:
        raise ResourceError(
            "resources.gpus_per_trial", given, f"must be at most {num_gpus}, the GPUs that are there"
        )
    if given is not None and given > 1 and given != int(given):
        raise ResourceError("resources.gpus_per_trial", given, "must be a whole number where it is above 1")
    if given == 0 and config.device == "cuda":
        raise ResourceError("resources.gpus_per_trial", given, "must be above 0 for device=cuda, or null")
    if not num_gpus or given == 0 or config.device in ("cpu", "mps"):
        return config.max_concurrent or slots_by_cpu, 0.0
    if given is None:
        slots = config.max_concurrent or min(slots_by_cpu, num_gpus * MAX_SLOTS_PER_GPU)
        per_gpu = -(-slots // num_gpus)
        # Ray keeps four decimals; rounded down, `per_gpu` shares fit a GPU.
        return slots, int(10_000 / per_gpu) / 10_000
    slots_by_gpu = int(num_gpus // given) if given >= 1 else num_gpus * int(1 / given)
    return config.max_concurrent or min(slots_by_cpu, slots_by_gpu), given


def _gpu_memory_bytes() -> list[int]:
    """Memory of each GPU that this process may use."""
    # torch takes seconds to import, and without a driver there is nothing to ask it for.
    if os.name == "posix" and not any(Path(driver).exists() for driver in _GPU_DRIVERS):
        return []
    import torch

    return [
        torch.cuda.get_device_properties(index).total_memory for index in range(torch.cuda.device_count())
    ]
