"""How the resources of machines are divided among trials."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.config import ResourcesConfig, SweepConfig
from sweeps.errors import ResourceError
from sweeps.execution.resources import (
    CUDA_BYTES,
    DRIVER_BYTES,
    HELD_PER_COUNTED,
    WORKER_BYTES,
    Allocation,
    Machine,
    allocate_resources,
)

GIB = 2**30


def config(
    cpus: int = 1, per_gpu: int | str = "auto", max_concurrent: int | str = "auto", device: str = "auto"
) -> SweepConfig:
    asked = ResourcesConfig(cpus_per_trial=cpus, trials_per_gpu=per_gpu)
    return SweepConfig(space={}, resources=asked, max_concurrent=max_concurrent, device=device)


@pytest.mark.parametrize(
    ("asked", "cpus", "gpus", "workers", "gpus_per_trial"),
    [
        ({}, 2, 0, 2, 0.0),
        ({"cpus": 2}, 5, 0, 2, 0.0),
        ({"max_concurrent": 1}, 8, 0, 1, 0.0),
        ({"max_concurrent": 6}, 2, 0, 6, 0.0),
        ({"per_gpu": 2}, 2, 1, 2, 0.5),
        ({}, 16, 1, 1, 1.0),
        ({"per_gpu": 4}, 16, 1, 4, 0.25),
        ({"per_gpu": 4, "max_concurrent": 3}, 16, 1, 3, 0.3333),
        ({"per_gpu": 4}, 16, 2, 8, 0.25),
        ({"per_gpu": 4}, 2, 4, 2, 1.0),
        ({"per_gpu": 2, "max_concurrent": 6}, 16, 1, 6, 0.5),
        ({"device": "cpu"}, 16, 1, 16, 0.0),
        ({"device": "mps"}, 8, 0, 8, 0.0),
    ],
)
def test_workers_and_what_each_gets(
    asked: dict[str, Any], cpus: int, gpus: int, workers: int, gpus_per_trial: float
) -> None:
    allocation = allocate_resources(config(**asked), [Machine(num_cpus=cpus, num_gpus=gpus)], None)
    assert allocation == Allocation(
        num_workers=workers,
        cpus_per_trial=asked.get("cpus", 1),
        gpus_per_trial=gpus_per_trial,
        memory_bytes=None,
    )


@pytest.mark.parametrize(
    ("machine", "model_gib", "workers", "per_gpu"),
    [
        # 2 GiB counted are 3 held, and half a GiB or one comes with each process.
        (Machine(num_cpus=8, num_gpus=0, memory_bytes=64 * GIB), 2, 8, 0),
        (Machine(num_cpus=8, num_gpus=0, memory_bytes=8 * GIB), 2, 2, 0),
        (Machine(num_cpus=2, num_gpus=0, memory_bytes=8 * GIB), 2, 2, 0),
        (Machine(num_cpus=16, num_gpus=1, memory_bytes=64 * GIB, gpu_memory_bytes=24 * GIB), 2, 6, 6),
        (Machine(num_cpus=16, num_gpus=2, memory_bytes=64 * GIB, gpu_memory_bytes=24 * GIB), 2, 12, 6),
        (Machine(num_cpus=4, num_gpus=1, memory_bytes=64 * GIB, gpu_memory_bytes=24 * GIB), 2, 4, 4),
        (Machine(num_cpus=16, num_gpus=1, memory_bytes=3 * GIB, gpu_memory_bytes=24 * GIB), 2, 4, 4),
        (Machine(num_cpus=16, num_gpus=1, memory_bytes=64 * GIB, gpu_memory_bytes=4 * GIB), 2, 1, 1),
    ],
)
def test_workers_by_memory(machine: Machine, model_gib: int, workers: int, per_gpu: int) -> None:
    allocation = allocate_resources(config(), [machine], model_gib * GIB)
    assert allocation.num_workers == workers
    assert round(1 / allocation.gpus_per_trial) if per_gpu else allocation.gpus_per_trial == 0
    assert not per_gpu or round(1 / allocation.gpus_per_trial) == per_gpu


@given(
    machines=st.lists(
        st.builds(
            Machine,
            num_cpus=st.integers(0, 64),
            num_gpus=st.integers(0, 8),
            memory_bytes=st.one_of(st.none(), st.integers(2**28, 2**40)),
            gpu_memory_bytes=st.one_of(st.none(), st.integers(2**30, 2**38)),
        ),
        min_size=1,
        max_size=4,
    ),
    model_bytes=st.one_of(st.none(), st.integers(1, 2**36)),
    max_concurrent=st.one_of(st.just("auto"), st.integers(1, 32)),
    per_gpu=st.one_of(st.just("auto"), st.integers(1, 8)),
)
def test_no_more_is_allocated_than_there_is(
    machines: list[Machine], model_bytes: int | None, max_concurrent: int | str, per_gpu: int | str
) -> None:
    try:
        allocation = allocate_resources(
            config(max_concurrent=max_concurrent, per_gpu=per_gpu), machines, model_bytes
        )
    except ResourceError as error:
        with_gpu = [machine for machine in machines if machine.num_gpus]
        enough = [machine for machine in with_gpu or machines if machine.num_cpus]
        assert not enough or "auto" in (max_concurrent, per_gpu), error
        return
    gpus = sum(machine.num_gpus for machine in machines)
    assert allocation.num_workers >= 1
    assert (allocation.gpus_per_trial > 0) == (gpus > 0)
    if isinstance(max_concurrent, int):
        assert allocation.num_workers == max_concurrent
    else:
        assert allocation.num_workers <= sum(machine.num_cpus for machine in machines)
    if not gpus and max_concurrent == "auto" and len(machines) == 1:
        [machine] = machines
        if machine.memory_bytes is not None and model_bytes is not None:
            held = allocation.num_workers * (WORKER_BYTES + HELD_PER_COUNTED * model_bytes)
            assert held + DRIVER_BYTES <= machine.memory_bytes
            assert allocation.memory_bytes is not None and allocation.memory_bytes >= model_bytes - 1
    if gpus:
        sharing = int(1 / allocation.gpus_per_trial)
        assert sharing * allocation.gpus_per_trial <= 1
        smallest = [one.gpu_memory_bytes for one in machines if one.gpu_memory_bytes and one.num_gpus]
        if per_gpu == "auto" and model_bytes is not None and smallest:
            assert sharing * (CUDA_BYTES + HELD_PER_COUNTED * model_bytes) <= min(smallest)
        elif isinstance(per_gpu, int):
            assert sharing <= per_gpu


def test_workers_of_a_cluster_are_those_of_its_nodes() -> None:
    """Three processors on each of two nodes hold one trial of two each, not three in all."""
    nodes = [Machine(num_cpus=0, num_gpus=0), *[Machine(num_cpus=3, num_gpus=0)] * 2]
    assert allocate_resources(config(cpus=2), nodes, None).num_workers == 2
    mixed = [Machine(num_cpus=32, num_gpus=0), Machine(num_cpus=4, num_gpus=1)]
    assert allocate_resources(config(per_gpu=8), mixed, None) == Allocation(
        num_workers=4, cpus_per_trial=1, gpus_per_trial=0.25
    )


@pytest.mark.parametrize(
    ("asked", "rule"),
    [
        ({"cpus": 3, "per_gpu": 1}, "resources.cpus_per_trial: given 3; must be at most 2"),
        (
            {"device": "cpu"},
            r"max_concurrent: given 'auto'; the largest model of the space counts 10,000,000,000",
        ),
        (
            {},
            r"resources.trials_per_gpu: given 'auto'; .* room for 2,147,483,648 here. Give budget.max_memory=",
        ),
    ],
)
def test_more_than_there_is(asked: dict[str, Any], rule: str) -> None:
    machine = Machine(num_cpus=2, num_gpus=1, memory_bytes=8 * GIB, gpu_memory_bytes=4 * GIB)
    with pytest.raises(ResourceError, match=rule):
        allocate_resources(config(**asked), [machine], 10**10)
    told = {"per_gpu": 1, "max_concurrent": 1} | asked | {"cpus": 1}
    assert allocate_resources(config(**told), [machine], 10**10).num_workers == 1, "told to, it is tried"


def test_the_bound_that_a_message_proposes_is_enough() -> None:
    machine = Machine(num_cpus=2, num_gpus=0, memory_bytes=8 * GIB)
    with pytest.raises(ResourceError) as raised:
        allocate_resources(config(), [machine], 10**10)
    bound = int(raised.value.hint.split("=")[1].split(",")[0])
    assert allocate_resources(config(), [machine], bound).num_workers == 1
    with pytest.raises(ResourceError):
        allocate_resources(config(), [machine], bound + 2)


def test_memory_of_a_trial_is_where_it_computes() -> None:
    machine = Machine(num_cpus=4, num_gpus=1, memory_bytes=9 * GIB, gpu_memory_bytes=8 * GIB)
    assert allocate_resources(config(device="cpu"), [machine], 2**20).memory_bytes == GIB
    assert allocate_resources(config(max_concurrent=2), [machine], 2**20).memory_bytes == 2 * GIB


def test_this_machine() -> None:
    machine = Machine.local()
    assert machine.num_cpus >= 1
    assert machine.memory_bytes is None or machine.memory_bytes > 2**28
