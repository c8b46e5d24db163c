"""How a machine is shared out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.config import ResourcesConfig, SweepConfig
from sweeps.errors import ResourceError
from sweeps.running.resources import MAX_SLOTS_PER_GPU, Machine, Shares, share


def config(
    cpus: int = 1, gpus: float | None = None, max_concurrent: int | None = None, device: str = "auto"
) -> SweepConfig:
    asked = ResourcesConfig(cpus_per_trial=cpus, gpus_per_trial=gpus)
    return SweepConfig(space={}, resources=asked, max_concurrent=max_concurrent, device=device)


@pytest.mark.parametrize(
    ("asked", "cpus", "gpus", "slots", "gpus_per_trial"),
    [
        ({}, 2, 0, 2, 0.0),
        ({"cpus": 2}, 5, 0, 2, 0.0),
        ({"max_concurrent": 1}, 8, 0, 1, 0.0),
        ({"max_concurrent": 6}, 2, 0, 6, 0.0),
        ({}, 2, 1, 2, 0.5),
        ({}, 16, 1, MAX_SLOTS_PER_GPU, 1 / MAX_SLOTS_PER_GPU),
        ({"max_concurrent": 3}, 16, 1, 3, 0.3333),
        ({}, 16, 2, 2 * MAX_SLOTS_PER_GPU, 1 / MAX_SLOTS_PER_GPU),
        ({}, 2, 4, 2, 1.0),
        ({"gpus": 0.5}, 16, 1, 2, 0.5),
        ({"gpus": 0.4}, 16, 2, 4, 0.4),
        ({"gpus": 2.0}, 16, 5, 2, 2.0),
        ({"gpus": 0.0}, 16, 1, 16, 0.0),
        ({"device": "cpu"}, 16, 1, 16, 0.0),
        ({"device": "mps"}, 8, 0, 8, 0.0),
    ],
)
def test_slots_and_shares(
    asked: dict[str, Any], cpus: int, gpus: int, slots: int, gpus_per_trial: float
) -> None:
    shares = share(config(**asked), Machine(num_cpus=cpus, num_gpus=gpus))
    assert shares == Shares(
        slots=slots, cpus_per_trial=asked.get("cpus", 1), gpus_per_trial=gpus_per_trial, memory_bytes=None
    )


@given(st.integers(1, 64), st.integers(0, 8), st.one_of(st.none(), st.integers(1, 32)))
def test_what_is_shared_is_there(cpus: int, gpus: int, max_concurrent: int | None) -> None:
    shares = share(config(max_concurrent=max_concurrent), Machine(num_cpus=cpus, num_gpus=gpus))
    assert shares.slots >= 1
    if shares.gpus_per_trial:
        per_gpu = int(round(1 / shares.gpus_per_trial, 6))
        assert per_gpu * gpus >= shares.slots or shares.gpus_per_trial == 1.0
        assert per_gpu * shares.gpus_per_trial <= 1


@pytest.mark.parametrize(
    ("asked", "rule"),
    [
        ({"cpus": 3}, "resources.cpus_per_trial: given 3; must be at most 2"),
        ({"gpus": 2.0}, "resources.gpus_per_trial: given 2.0; must be at most 1"),
        ({"gpus": 0.0, "device": "cuda"}, "must be above 0 for device=cuda"),
    ],
)
def test_more_than_there_is(asked: dict[str, Any], rule: str) -> None:
    with pytest.raises(ResourceError, match=rule):
        share(config(**asked), Machine(num_cpus=2, num_gpus=1))


def test_a_share_of_a_gpu_above_one_is_whole() -> None:
    with pytest.raises(ResourceError, match="must be a whole number"):
        share(config(gpus=1.5), Machine(num_cpus=2, num_gpus=2))


def test_memory_of_a_trial_is_where_it_computes() -> None:
    machine = Machine(num_cpus=4, num_gpus=1, memory_bytes=4000, gpu_memory_bytes=1000)
    assert share(config(device="cpu"), machine).memory_bytes == 1000
    assert share(config(max_concurrent=2), machine).memory_bytes == 500


def test_this_machine() -> None:
    machine = Machine.local()
    assert machine.num_cpus >= 1
    assert machine.memory_bytes is None or machine.memory_bytes > 2**28
