"""The device of a run: finding it by name, moving data to it, CPU threads, memory and out-of-memory errors."""

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
    """Return the device that `name` means on this machine.

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
    """Return the device types of this machine, fastest first; `cpu` is always the last."""
    devices = []
    if torch.cuda.is_available():
        devices.append("cuda")
    if torch.backends.mps.is_available():
        devices.append("mps")
    return [*devices, "cpu"]


def move_batch(batch: Batch, device: torch.device) -> TensorBatch:
    """Return a batch of arrays as tensors on a device; on CUDA the copy is asynchronous."""
    tensors = {name: torch.tensor(array) for name, array in batch.items()}
    if device.type == "cuda":  # a copy from pageable memory would wait for the queue
        return {name: tensor.pin_memory().to(device, non_blocking=True) for name, tensor in tensors.items()}
    # On MPS an asynchronous copy may read memory that has been freed and used again.
    return {name: tensor.to(device) for name, tensor in tensors.items()}


def move_tensors(nested: Any, device: torch.device) -> Any:
    """Return nested dicts of tensors and other values, with the tensors on a device."""
    if isinstance(nested, dict):
        return {name: move_tensors(value, device) for name, value in nested.items()}
    return nested.to(device) if isinstance(nested, Tensor) else nested


def synchronize(device: torch.device) -> None:
    """Wait for the queued work of an asynchronous device; do nothing on a CPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


@contextmanager
def use_threads(threads: int | None) -> Iterator[None]:
    """Compute with that many CPU threads of torch inside the block; None leaves the number as it is.

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
    """Create tensors on the CPU inside the block, where no device is given."""
    # A device used as a context slows down every call of torch, so it is entered only where it changes something.
    cpu = torch.device("cpu")
    return nullcontext() if torch.get_default_device() == cpu else cpu


def get_allocated_bytes(device: torch.device) -> int:
    """Return the memory of this process: on a GPU what torch has allocated there, else the resident memory."""
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
    """Check whether the error says that memory ran out, on a device or on the host."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    # The CPU and MPS allocators raise a bare RuntimeError.
    signs = ("can't allocate memory", "out of memory", "ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in signs)
