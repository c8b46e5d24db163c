"""Ray itself: a private one started here, or a running cluster joined, and the machines that it is made of."""

from __future__ import annotations

import dataclasses
import logging
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_ENVIRONMENT = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # a trial without a share of a GPU sees none
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # a task's path may be relative to where the user stands
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # ours also ends the tables
    "TUNE_GLOBAL_CHECKPOINT_S": "inf",  # the study and the tables are what survives, not Ray's snapshots
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}
os.environ.update(_ENVIRONMENT)  # Ray reads it when it is imported

import ray  # noqa: E402
from ray._private import services  # noqa: E402
from ray.exceptions import RayError  # noqa: E402
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: E402

from sweeps.errors import ResourceError  # noqa: E402
from sweeps.execution.resources import Machine  # noqa: E402
from sweeps.execution.storage import Storage  # noqa: E402
from sweeps.execution.worker import look_around  # noqa: E402

_OBJECT_STORE_BYTES = 128 * 2**20
"""Of a local Ray, small: only configs and reports travel between its processes."""

_ANSWER_SECONDS = 120.0
"""How long a node may take to say what it is: its first worker has to start."""


def quiet() -> None:
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    # `log_to_driver=False` still lets the raylet's own messages through, for example of a dead worker.
    ray._private.worker._worker_logs_enabled = False


def start(machine: Machine, scratch: Path) -> None:
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


def join(address: str, here: Machine, storage: Storage | None) -> list[Machine]:
    """Joins the cluster at `address`; its nodes as machines, each as far as Ray hands it out.

    Args:
        here: this machine.
        storage: where checkpoints are to lie.

    Raises:
        ResourceError: there is no such cluster, or its nodes do not share the storage.
    """
    _connect(address)
    nodes = [node for node in ray.nodes() if node["Alive"]]
    machines = [here] if len(nodes) == 1 else _asked(nodes, storage)
    return [_offered(node, machine) for node, machine in zip(nodes, machines, strict=True)]


def _connect(address: str) -> None:
    code = [str(Path(__file__).parents[2] / package) for package in ("hrm", "sweeps")]
    try:
        ray.init(
            address=_reached(address),
            log_to_driver=False,
            logging_level=logging.CRITICAL,
            runtime_env={"py_modules": code},
        )
    except (OSError, ValueError, RuntimeError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ResourceError(
            "ray.address", address, f"no such Ray cluster ({reason})",
            "Start one with `ray start --head`, or leave ray.address out for a local Ray",
        ) from None  # fmt: skip


def _reached(address: str) -> str:
    """The cluster's host and port.

    Raises:
        OSError, ValueError: nothing answers there. Ray itself would try for two minutes and end the process.
    """
    if "://" in address:
        raise ValueError("run the sweep on a machine of the cluster, with ray.address=auto")
    found = str(services.canonicalize_bootstrap_address(address))
    host, _, port = found.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    return found


def _asked(nodes: Sequence[dict[str, Any]], storage: Storage | None) -> list[Machine]:
    """What machine each node is, asked of itself.

    Raises:
        ResourceError: one does not answer, or does not share the storage.
    """
    if storage is None:
        raise ResourceError(
            "ray.storage_path", None, f"must be given on a cluster of {len(nodes)} nodes: a job whose node is "
            "lost goes on from its checkpoint on another",
            "Give a path on storage that the nodes share, or a URI such as s3://bucket/folder",
        )  # fmt: skip
    question = ray.remote(num_cpus=0)(look_around)
    with storage.marked() as marker:
        asked = [
            question.options(
                scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            ).remote(storage, marker)
            for node in nodes
        ]
        return [_answer(node, reference) for node, reference in zip(nodes, asked, strict=True)]


def _answer(node: dict[str, Any], reference: Any) -> Machine:
    try:
        return ray.get(reference, timeout=_ANSWER_SECONDS)
    except RayError as error:
        cause = getattr(error, "cause", None)
        where, reason = f"the node at {node['NodeManagerAddress']}", str(cause or type(error).__name__)
        if isinstance(cause, ResourceError):
            raise ResourceError(f"{cause.where} on {where}", cause.given, cause.rule, cause.hint) from None
        raise ResourceError("ray.address", where, f"must be able to run trials ({reason})") from None


def _offered(node: dict[str, Any], machine: Machine) -> Machine:
    """The machine as far as Ray hands it out."""
    resources = node["Resources"]
    return dataclasses.replace(
        machine, num_cpus=int(resources.get("CPU", 0)), num_gpus=int(resources.get("GPU", 0))
    )


def short_temporary_folder() -> str | None:
    # Ray keeps sockets there, and a socket's path has at most 107 bytes (103 on macOS).
    return "/tmp" if os.path.isdir("/tmp") else None
