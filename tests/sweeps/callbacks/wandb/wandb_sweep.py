"""Made-up sweeps that W&B watches, and what their runs must hold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sweeps.analysis.best import write_best
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.callbacks.wandb.runs import WandbRuns
from sweeps.callbacks.wandb.session import WandbSession, build_run_id
from sweeps.callbacks.wandb.summary import write_summary
from sweeps.config import BaselineConfig, ConfirmConfig, WandbConfig
from sweeps.events import Job
from sweeps.execution.checkpoints import get_weights_path
from sweeps.results.metadata import SweepMetadata, read_metadata
from sweeps.results.tables import read_answers, read_curves, read_trials
from sweeps.scheduler.scheduler import Scheduler
from tests.sweeps.synthetic_sweep import Curve, plausible, run_sweep
from tests.sweeps.wandb_log import OfflineRun
from tests.sweeps.wandb_server import StoredRun, WandbServer

SMALL: dict[str, Any] = {
    "num_trials": 5,
    "baseline": BaselineConfig(trials=1),
    "confirm": ConfirmConfig(finalists=1, seeds=2),
}
TINY: dict[str, Any] = SMALL | {"num_trials": 1, "confirm": ConfirmConfig(finalists=0)}


def one_fails(job: Job, fraction: float) -> float:
    if job.number == 4 and fraction > 0.15:
        raise RuntimeError("loss is nan at step 37")
    return plausible(job, fraction)


def ending(server: WandbServer, curve: Curve) -> Curve:
    """The curve, whose fourth job ends the server in the middle of its run."""

    def ends(job: Job, fraction: float) -> float:
        if job.number == 3 and fraction > 0.5 and server.dies_after is None:
            server.wait_for_runs(4)
            server.dies_after = server.num_requests
        return curve(job, fraction)

    return ends


def watched_sweep(
    out: Path,
    mode: str,
    warnings: list[str],
    curve: Curve = plausible,
    project: str = "hrm-sweeps",
    **overrides: Any,
) -> SweepMetadata:
    """Runs a sweep with a W&B run per job and its summary."""
    sessions: list[WandbSession] = []

    def listener(metadata: SweepMetadata, plan: Scheduler) -> WandbRuns:
        config = WandbConfig(mode=mode, project=project)
        sessions.append(WandbSession(out, config, metadata, warnings.append))
        return WandbRuns(sessions[0])

    run_sweep(out, curve, listener, **overrides)
    for number in read_answers(out):
        path = get_weights_path(out, number)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"weights of job %d" % number)
    write_best(out, SweepFolder.read(out))
    write_summary(sessions[0], "completed")
    return sessions[0].metadata


def check_runs(out: Path, runs: Mapping[str, OfflineRun] | Mapping[str, StoredRun]) -> None:
    """Every trial, every logged row, the right status; and the sweep's own run."""
    metadata, rows, points = read_metadata(out), read_trials(out).to_pylist(), read_curves(out).to_pylist()
    assert set(runs) == {
        build_run_id(metadata, name) for name in (*(row["number"] for row in rows), "summary")
    }
    assert len({run.group for run in runs.values()}) == 1
    for row in rows:
        curve = [point for point in points if point["number"] == row["number"]]
        _check_run(runs[build_run_id(metadata, row["number"])], row, curve)
    own = runs[build_run_id(metadata, "summary")]
    assert own.job_type == "summary" and "completed" in own.tags and own.exit_code == 0
    assert own.summary["verdict"] and own.summary["runs/failed"] == 1
    assert len(own.rows) == sum(row["kind"] == "search" for row in rows)
    best = [row["search/best_so_far"] for row in own.rows if "search/best_so_far" in row]
    assert best == sorted(best) and best


def _check_run(run: OfflineRun | StoredRun, row: dict[str, Any], curve: list[dict[str, Any]]) -> None:
    assert run.group is not None and run.group.startswith("depth_vs_width-")
    assert run.job_type == row["kind"]
    assert set(run.tags) == {"depth_vs_width", "sudoku6", "max_params=527490", row["kind"], row["status"]}
    assert run.exit_code == (1 if row["status"] == "failed" else 0)
    assert run.summary["status"] == row["status"] and run.summary.get("error") == row["error"]
    assert run.config["p"]["hidden_size"] == row["p.hidden_size"] == run.config["model"]["hidden_size"]
    assert run.config["params"] == row["params"] and run.config["seed"] == row["seed"]
    assert len(run.rows) == len(curve)
    for logged, point in zip(run.rows, curve):
        for name in ("step", "train_flops", "objective", "valid/blank_accuracy"):
            assert logged[name] == pytest.approx(point[name], rel=1e-12)
        assert "train/lm_loss" not in logged, "a missing metric is not logged"
