"""Where a run computes: the device by name, data on it, the CPU's threads, which errors mean out of memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from hrm.config.errors import DeviceError
from hrm.data.base import Batch
from hrm.models.base import TensorBatch
from hrm.system.machine import get_resident_bytes


def resolve_device(name: str) -> torch.device:
    """The device that `name` means on this machine.

    Args:
        name: `auto` (cuda, then mps, then cpu), `cuda`, `mps` or `cpu`.

    Raises:
        DeviceError: the machine has no such device.
    """
    present = list_devices()
    if name == "auto":
        return torch.device(present[0])
    if name not in present:
        raise DeviceError("device", name, f"this machine has: {', '.join(present)}", "Use device=auto")
    return torch.device(name)


def list_devices() -> list[str]:
    """The device types of this machine, fastest first; `cpu` is always the last."""
    devices = []
    if torch.cuda.is_available():
        devices.append("cuda")
    if torch.backends.mps.is_available():
        devices.append("mps")
    return [*devices, "cpu"]


def move_batch(batch: Batch, device: torch.device) -> TensorBatch:
    """A batch of arrays as tensors on a device; on CUDA nobody waits for the copy."""
    tensors = {name: torch.tensor(array) for name, array in batch.items()}
    if device.type == "cuda":  # a copy from pageable memory would wait for the queue
        return {name: tensor.pin_memory().to(device, non_blocking=True) for name, tensor in tensors.items()}
    # MPS lets a copy that nobody waits for read memory that has been freed and used again.
    return {name: tensor.to(device) for name, tensor in tensors.items()}


def move_tensors(nested: Any, device: torch.device) -> Any:
    """Nested dicts of tensors and other values, the tensors on a device."""
    if isinstance(nested, dict):
        return {name: move_tensors(value, device) for name, value in nested.items()}
    return nested.to(device) if isinstance(nested, Tensor) else nested


def synchronize(device: torch.device) -> None:
    """Waits for the work given to an asynchronous device; nothing on a CPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


@contextmanager
def use_threads(threads: int | None) -> Iterator[None]:
    """Computes with that many CPU threads of torch inside the block; None leaves them alone.

    The number belongs to the whole process, so it is restored: runs of different `threads` may follow each
    other in one process, or take turns.
    """
    if threads is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def create_on_cpu() -> AbstractContextManager[object]:
    """In the block, tensors are made on the CPU where no device is named."""
    # As a context, a device slows every call of torch down: entered only where it changes something.
    cpu = torch.device("cpu")
    return nullcontext() if torch.get_default_device() == cpu else cpu


def get_allocated_bytes(device: torch.device) -> int:
    """Memory that this process holds: on a GPU what torch has allocated there, else what is resident."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    if device.type == "mps":
        return torch.mps.current_allocated_memory()
    resident = get_resident_bytes()
    if resident is None:  # no /proc: the peak of this process, which macOS counts in bytes
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return resident


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the error says that memory ran out, on a device or in the host."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    # The CPU and MPS allocators raise a bare RuntimeError.
    signs = ("can't allocate memory", "out of memory", "ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in signs)
