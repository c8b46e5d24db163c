"""Devices by name, threads for a while, and which errors mean out of memory."""

from __future__ import annotations

import pytest
import torch

from hrm.config.errors import DeviceError
from hrm.system.device import (
    create_on_cpu,
    is_out_of_memory,
    list_devices,
    resolve_device,
    use_threads,
)


def test_auto_is_the_first_of_what_is_there() -> None:
    assert resolve_device("auto").type == list_devices()[0]
    assert resolve_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_an_absent_device_is_refused(name: str) -> None:
    if name in list_devices():
        assert resolve_device(name).type == name
        return
    with pytest.raises(
        DeviceError, match=f"device: given '{name}'; this machine has: .*cpu. Use device=auto"
    ):
        resolve_device(name)


def test_threads_are_restored() -> None:
    before = torch.get_num_threads()
    with use_threads(before + 1):
        assert torch.get_num_threads() == before + 1
        with use_threads(None):
            assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    with pytest.raises(KeyError), use_threads(before + 1):
        raise KeyError
    assert torch.get_num_threads() == before


def test_what_torch_raises_when_memory_runs_out_is_recognised() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_new_tensors_are_on_the_cpu_whatever_the_default() -> None:
    with create_on_cpu():
        assert torch.empty(1).device.type == "cpu"
    with torch.device("meta"), create_on_cpu():
        assert torch.empty(1).device.type == "cpu"
