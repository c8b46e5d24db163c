"""Ray itself: starting a private one, joining a running cluster, and the machines that either consists of."""

from __future__ import annotations

import dataclasses
import logging
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.update(  # Ray reads these when it is imported
    {
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # a trial without a share of a GPU sees none
        "RAY_AIR_NEW_OUTPUT": "0",
        "RAY_CHDIR_TO_TRIAL_DIR": "0",  # a task's path may be relative to the user's working directory
        "RAY_USAGE_STATS_ENABLED": "0",
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "TUNE_DISABLE_SIGINT_HANDLER": "1",  # ours also closes the tables
        "TUNE_GLOBAL_CHECKPOINT_S": "inf",  # the study and the tables survive, Ray's snapshots need not
        "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    }
)

import ray
from ray._private import services
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sweeps.errors import ResourceError
from sweeps.execution.resources import Machine
from sweeps.execution.storage import Storage
from sweeps.execution.worker import inspect_node

_OBJECT_STORE_BYTES = 128 * 2**20
"""Object store of a local Ray, small: only configs and validations travel between its processes."""
_ANSWER_SECONDS = 120.0
"""How long a node may take to describe itself: its first worker has to start."""


def start_local_ray(machine: Machine, scratch: Path) -> None:
    """Start a private Ray that takes this machine to be `machine`."""
    ray.init(
        address="local",
        num_cpus=machine.num_cpus,
        num_gpus=machine.num_gpus,
        object_store_memory=_OBJECT_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.CRITICAL,
        # What Tune sets for its actors: workers that Ray starts ahead of time then fit them.
        runtime_env={"env_vars": {"PL_DISABLE_FORK": "1", "RAY_CHDIR_TO_TRIAL_DIR": "0"}},
        _temp_dir=str(scratch),
    )


def join_cluster(address: str, here: Machine, storage: Storage | None) -> list[Machine]:
    """Join the cluster at `address`; return its nodes as machines, with the resources that Ray assigns.

    Args:
        here: this machine.
        storage: where checkpoints are to be kept.

    Raises:
        ResourceError: there is no such cluster, or its nodes do not share the storage.
    """
    code = [str(Path(__file__).parents[2] / package) for package in ("hrm", "sweeps")]
    try:
        ray.init(
            address=_probe(address),
            log_to_driver=False,
            logging_level=logging.CRITICAL,
            runtime_env={"py_modules": code},
        )
    except (OSError, ValueError, RuntimeError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        hint = "Start one with `ray start --head`, or leave ray.address out for a local Ray"
        raise ResourceError("ray.address", address, f"no such Ray cluster ({reason})", hint) from None
    nodes = [node for node in ray.nodes() if node["Alive"]]
    machines = [here] if len(nodes) == 1 else _inspect_nodes(nodes, storage)
    resources = [node["Resources"] for node in nodes]
    return [
        dataclasses.replace(machine, num_cpus=int(has.get("CPU", 0)), num_gpus=int(has.get("GPU", 0)))
        for machine, has in zip(machines, resources, strict=True)
    ]


def _probe(address: str) -> str:
    """Return the cluster's host and port.

    Raises:
        OSError, ValueError: nothing answers there. Ray itself would try for two minutes and end the process.
    """
    if "://" in address:
        raise ValueError("run the sweep on a machine of the cluster, with ray.address=auto")
    found = resolve_address(address)
    host, _, port = found.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    return found


def _inspect_nodes(nodes: Sequence[dict[str, Any]], storage: Storage | None) -> list[Machine]:
    """Ask each node what machine it is.

    Raises:
        ResourceError: one does not answer, or does not share the storage.
    """
    if storage is None:
        raise ResourceError(
            "ray.storage_path",
            None,
            f"must be given on a cluster of {len(nodes)} nodes: a job whose node is lost is resumed from its "
            "checkpoint on another",
            "Give a path on storage that the nodes share, or a URI such as s3://bucket/folder",
        )
    task = ray.remote(num_cpus=0)(inspect_node)
    with storage.place_marker() as marker:
        answers = []
        for node in nodes:
            strategy = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            answers.append(task.options(scheduling_strategy=strategy).remote(storage, marker))
        return [_get_answer(node, answer) for node, answer in zip(nodes, answers, strict=True)]


def _get_answer(node: dict[str, Any], answer: Any) -> Machine:
    try:
        return ray.get(answer, timeout=_ANSWER_SECONDS)
    except RayError as error:
        cause = getattr(error, "cause", None)
        where, reason = f"the node at {node['NodeManagerAddress']}", str(cause or type(error).__name__)
        if isinstance(cause, ResourceError):
            raise ResourceError(f"{cause.where} on {where}", cause.given, cause.rule, cause.hint) from None
        raise ResourceError("ray.address", where, f"must be able to run trials ({reason})") from None


# All private names of Ray that this project uses are in the four functions below. `test_ray_tune.py` and
# `test_faults.py` fail if Ray changes them.


def silence_ray() -> None:
    """Keep Ray's own messages off the terminal."""
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    # `log_to_driver=False` still prints what the raylet says, for example about a dead worker.
    assert hasattr(ray._private.worker, "_worker_logs_enabled")
    ray._private.worker._worker_logs_enabled = False


def resolve_address(address: str) -> str:
    """Return host and port of a cluster, with `auto` and RAY_ADDRESS resolved as `ray.init` does.

    Raises:
        OSError, ValueError: no cluster is found, or the address is malformed.
    """
    # Ray has no public function that finds a cluster without connecting to it.
    return str(services.canonicalize_bootstrap_address(address))


def is_local_ray_dead() -> bool:
    """Return whether a process without which a local Ray cannot run has died."""
    # Public calls such as `ray.nodes()` would hang, and end this process after a minute.
    node = ray._private.worker._global_node
    return node is not None and bool({"raylet", "gcs_server"} & {kind for kind, _ in node.dead_processes()})


def keep_idle_workers(tune_controller: Any, resources: Any, num_workers: int) -> None:
    """Make Tune keep so many idle workers for trials with these resources."""
    # Tune keeps one idle worker and ends the others. A scheduler that waits for the slowest of several trials needs
    # them all again, and a new worker takes seconds to start.
    tune_controller._tune_controller._actor_cache.increase_max(resources, num_workers)
