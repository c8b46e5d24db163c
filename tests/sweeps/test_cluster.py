"""A real sweep on a real Ray cluster of three nodes, of which one is lost while it trains."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from sweeps.cli.compose import build_sweep_config
from sweeps.results.tables import read_trials
from tests.sweeps.processes import descendants, start
from tests.sweeps.test_faults import check_each_event_once, found, run_in_turns

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

SPACE = """\
question: Where do the layers go?
parameters:
  H_layers: [1, 2]
fixed: {hidden_size: 16, num_heads: 2, L_layers: 1, H_cycles: 1, L_cycles: 1, mlp_multiple: 16}
run:
  task: {name: sudoku4, train_puzzles: 32, valid_puzzles: 16, test_puzzles: 16}
  train: {steps: 800, num_reports: 4, batch_size: 8, equal: steps}
  model: {halt_max_steps: 1, forward_dtype: float32}
  budget: {max_params: 100k}
  baseline: {presets: []}
  confirm: {finalists: 0}
  num_trials: 2
  max_concurrent: 2
  checkpoint_seconds: 0
  wandb: {mode: disabled}
"""
MARK = 1e6
"""Seconds: more than any job has trained."""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Any]:
    """Yield a head without processors and two nodes with one each, whose data caches are empty."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for name in ("first", "second"):
            cluster.add_node(num_cpus=1, env_vars={"HRM_SWEEPS_CACHE": str(tmp_path / name)})
        yield cluster
    finally:
        cluster.shutdown()


def undisturbed(out: Path) -> Path:
    out.mkdir()
    values = yaml.safe_load(SPACE)
    run = values.pop("run")
    run_in_turns(
        build_sweep_config({**run, "space": {"name": "mine", **values}, "sampler": {"name": "tpe"}}), out
    )
    return out


def checkpoint_files(storage: Path) -> dict[int, Path]:
    """Return the checkpoints of running jobs, by number."""
    return {int(path.parent.name): path for path in storage.glob("*/*/checkpoint.pt")}


def step(path: Path) -> int:
    return torch.load(path, weights_only=True)["trainer"]["step"]


def mark(path: Path) -> int:
    """Mark a checkpoint, in the seconds that it counts, to see whether it is read again; return its step."""
    state = torch.load(path, weights_only=True)
    state["trainer"]["train_seconds"] += MARK
    written = path.with_name("marked")
    torch.save(state, written)
    os.replace(written, path)
    return state["trainer"]["step"]


def lose(cluster: Any, node: Any) -> None:
    """Kill a node and all that it runs at once, as a power cut does."""
    [raylet] = node.all_processes["raylet"]
    for pid in descendants(raylet.process.pid):
        os.kill(pid, signal.SIGKILL)
    cluster.remove_node(node, allow_graceful=False)


@pytest.mark.slow
def test_the_job_of_a_lost_node_resumes_from_its_checkpoint_on_another(cluster: Any, tmp_path: Path) -> None:
    space, out, storage = tmp_path / "mine.yaml", tmp_path / "out", tmp_path / "storage"
    space.write_text(SPACE)
    process = start(
        f"space={space}", f"out={out}", f"ray.address={cluster.address}", f"ray.storage_path=file://{storage}"
    )
    while sum(step(path) >= 50 for path in checkpoint_files(storage).values()) < 2:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    lose(cluster, next(iter(cluster.worker_nodes)))
    steps = {number: mark(path) for number, path in checkpoint_files(storage).items()}
    said, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "Traceback" not in err and "in 2 slots" in err and "out/report.md" in said

    # The job of the node that is left has overwritten its mark, or never read it.
    [lost] = [row for row in read_trials(out).to_pylist() if row["train_seconds"] > MARK]
    assert steps[lost["number"]] >= 50
    assert [row["status"] for row in read_trials(out).to_pylist()] == ["completed"] * 2
    check_each_event_once(out)
    assert found(out) == found(undisturbed(tmp_path / "undisturbed"))

    assert not (out / "checkpoints").exists() and not checkpoint_files(storage)
    assert not (tmp_path / "first").exists() and not (tmp_path / "second").exists(), "data came along"
