"""W&B runs on disk and on a server: started, synced, continued, interrupted."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from hrm.config.errors import ConfigError
from hrm.config.run_config import load_run_config
from sweeps.callbacks.wandb import session as run_folders
from sweeps.callbacks.wandb.runs import WandbRuns
from sweeps.callbacks.wandb.session import WandbSession, build_run_id, check_mode, find_unsent_runs
from sweeps.config import BaselineConfig, WandbConfig
from sweeps.events import Job
from sweeps.results.metadata import SweepMetadata, read_metadata
from sweeps.results.tables import read_curves, read_trials
from sweeps.scheduler.scheduler import Scheduler
from tests.sweeps.callbacks.wandb.wandb_sweep import SMALL, TINY, check_runs, ending, one_fails, watched_sweep
from tests.sweeps.processes import ROOT
from tests.sweeps.synthetic_sweep import plausible, run_sweep
from tests.sweeps.wandb_log import OfflineRun, read_run
from tests.sweeps.wandb_server import KEY, StoredRun, WandbServer

DEAD_SERVER = "http://127.0.0.1:9"
RESUMING = TINY | {"num_trials": 5, "resume_pruned": 1, "baseline": BaselineConfig(presets=[])}
"""A sweep in which one trial is pruned and resumed at once."""


def _offline_runs(out: Path, count: int) -> list[OfflineRun]:
    """Waits for `count` ended runs: the last bytes of one follow a moment after `finish`."""
    deadline = time.monotonic() + 60
    while True:
        found = [read_run(path) for path in out.glob("wandb/offline-run-*/*.wandb")]
        ended = [run for run in found if run.exit_code is not None]
        if len(ended) >= count or time.monotonic() > deadline:
            return ended
        time.sleep(0.05)


def test_offline_runs_are_what_the_tables_say(tmp_path: Path) -> None:
    warnings: list[str] = []
    watched_sweep(tmp_path / "sweep", "offline", warnings, curve=one_fails, **SMALL)
    count = len(read_trials(tmp_path / "sweep")) + 1
    check_runs(tmp_path / "sweep", {run.id: run for run in _offline_runs(tmp_path / "sweep", count)})
    assert not warnings


def test_an_online_sweep_reaches_the_server_whole(tmp_path: Path, server: WandbServer) -> None:
    warnings: list[str] = []
    assert check_mode(WandbConfig(mode="online")) == "online"
    out = tmp_path / "sweep"
    watched_sweep(out, "online", warnings, curve=one_fails, **SMALL)
    check_runs(out, server.runs)
    assert not warnings and not server.unknown
    kept = {artifact.type: artifact for artifact in server.artifacts.values() if artifact.committed}
    assert set(kept) == {"tables", "config", "model"}
    assert kept["tables"].files["trials.parquet"] == (out / "trials.parquet").read_bytes()
    assert set(kept["tables"].files) >= {"sweep.json", "curves/0.parquet"}
    assert kept["config"].files == {"best.yaml": (out / "best.yaml").read_bytes()}
    best = load_run_config(out / "best.yaml").to_dict()
    winners = [row["number"] for row in read_trials(out).to_pylist() if json.loads(row["config"]) == best]
    assert kept["model"].files["best.pt"] in [b"weights of job %d" % number for number in winners]


def test_modes_that_need_no_login_are_taken_as_they_are() -> None:
    assert check_mode(WandbConfig(mode="disabled")) == "disabled"
    assert check_mode(WandbConfig(mode="offline")) == "offline"


def test_online_without_a_login_is_refused_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        check_mode(WandbConfig(mode="online"))
    message = str(refused.value)
    assert message.startswith("wandb.mode: given 'online'; needs a W&B login")
    assert "wandb login" in message and "wandb.mode=offline" in message


def test_a_server_that_is_not_there_costs_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", DEAD_SERVER)
    warnings: list[str] = []
    watched_sweep(tmp_path / "sweep", "online", warnings, **TINY)
    (warning,) = warnings
    assert warning.startswith("W&B cannot be reached: ") and "can be synced later" in warning
    runs = _offline_runs(tmp_path / "sweep", 3)
    assert sorted(run.summary["status"] for run in runs) == ["completed"] * 3


def test_a_project_that_cannot_be_does_not_stop_the_sweep(tmp_path: Path) -> None:
    warnings: list[str] = []
    watched_sweep(tmp_path / "sweep", "offline", warnings, project="not/a/project", **TINY)
    (warning,) = warnings
    assert warning.startswith("W&B stopped: ") and "\n" not in warning
    assert len(read_trials(tmp_path / "sweep")) == 2


def test_a_server_that_dies_in_the_middle_costs_nothing(
    tmp_path: Path, server: WandbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeps.callbacks.wandb.session.FINISH_SECONDS", 1.0)
    out, warnings = tmp_path / "sweep", []
    watched_sweep(out, "online", warnings, ending(server, plausible), **SMALL)
    (warning,) = warnings
    assert "can be synced later" in warning
    metadata, rows = read_metadata(out), read_trials(out).to_pylist()
    assert all(row["status"] in ("completed", "pruned") for row in rows)
    files = [read_run(path) for path in out.glob("wandb/*run-*/*.wandb")]
    kept = {run.id.removesuffix("-offline"): run for run in files if run.exit_code is not None}
    for row in rows:
        run = kept[build_run_id(metadata, row["number"])]
        assert run.summary["status"] == row["status"] and run.rows[-1]["step"] == row["steps"]


def test_a_job_of_a_resumed_sweep_continues_its_run(tmp_path: Path, server: WandbServer) -> None:
    out, warnings = tmp_path / "sweep", []

    def stops(job: Job, fraction: float) -> float:
        if job.number == 1 and fraction > 0.55:
            raise KeyboardInterrupt
        return plausible(job, fraction)

    out.mkdir()
    callbacks: list[WandbRuns] = []
    contexts: list[SweepMetadata] = []

    def build_callback(metadata: SweepMetadata, plan: Scheduler) -> WandbRuns:
        contexts.append(metadata)  # a resumed sweep keeps the first, its start among the rest
        callbacks.append(
            WandbRuns(WandbSession(out, WandbConfig(mode="online"), contexts[0], warnings.append))
        )
        return callbacks[-1]

    with pytest.raises(KeyboardInterrupt):
        run_sweep(out, stops, build_callback, **SMALL)
    callbacks[0].close()
    cut = server.runs[build_run_id(contexts[0], 1)]
    assert cut.exit_code == 1 and "interrupted" in cut.tags and len(cut.rows) == 5
    run_sweep(out, plausible, build_callback, **SMALL)
    assert not warnings
    again = server.runs[build_run_id(contexts[0], 1)]
    assert again.exit_code == 0
    assert [row["step"] for row in again.rows] == _steps(out, 1)
    assert "completed" in again.tags and "interrupted" not in again.tags


def test_an_offline_run_that_is_written_again_replaces_the_interrupted_one(tmp_path: Path) -> None:
    out, warnings = tmp_path / "sweep", []

    def stops(job: Job, fraction: float) -> float:
        if job.number == 1 and fraction > 0.55:
            raise KeyboardInterrupt
        return plausible(job, fraction)

    callbacks: list[WandbRuns] = []
    contexts: list[SweepMetadata] = []

    def build_callback(metadata: SweepMetadata, plan: Scheduler) -> WandbRuns:
        contexts.append(metadata)
        session = WandbSession(out, WandbConfig(mode="offline"), contexts[0], warnings.append)
        callbacks.append(WandbRuns(session))
        return callbacks[-1]

    with pytest.raises(KeyboardInterrupt):
        run_sweep(out, stops, build_callback, **TINY)
    callbacks[0].close()
    run_sweep(out, plausible, build_callback, **TINY)
    assert not warnings
    assert len(list(out.glob("wandb/offline-run-*"))) == 4
    _offline_runs(out, 4)
    runs = _unsent(out)
    assert set(runs) == {build_run_id(contexts[0], number) for number in (0, 1)}
    again = runs[build_run_id(contexts[0], 1)]
    assert again.summary["status"] == "completed" and [row["step"] for row in again.rows] == _steps(out, 1)


def test_a_resumed_trial_continues_its_run(tmp_path: Path, server: WandbServer) -> None:
    out, warnings = tmp_path / "sweep", []
    watched_sweep(out, "online", warnings, **RESUMING)
    _check_resumed(out, server.runs)
    assert not warnings and not server.unknown


def test_an_offline_run_of_a_resumed_trial_is_complete(tmp_path: Path) -> None:
    out, warnings = tmp_path / "sweep", []
    watched_sweep(out, "offline", warnings, **RESUMING)
    count = len(read_trials(out)) + 1
    _offline_runs(out, count + 1)
    runs = _unsent(out)
    assert len(runs) == count
    _check_resumed(out, runs)
    assert not warnings


def test_offline_nothing_leaves_the_machine(tmp_path: Path, server: WandbServer) -> None:
    run_sweep(tmp_path, **TINY)
    code = f"""
from pathlib import Path
from sweeps.config import WandbConfig
from sweeps.callbacks.wandb.session import WandbSession
from sweeps.results.metadata import read_metadata
out = Path({str(tmp_path)!r})
session = WandbSession(out, WandbConfig(mode="offline"), read_metadata(out))
session.prepare()
run = session.open(0, "name", "search", [], {{}})
run.log({{"loss": 1.0}})
session.close(run, exit_code=0)
"""
    # A process of its own: W&B sends what it has gathered of its use when it ends.
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    (run,) = _offline_runs(tmp_path, 1)
    assert run.rows[0]["loss"] == 1.0
    assert server.num_requests == 0


def _unsent(out: Path) -> dict[str, OfflineRun]:
    """Return the runs that publishing would send."""
    folders = list(find_unsent_runs(out))
    runs = {run_folders.read_run_id(folder): read_run(*folder.glob("*.wandb")) for folder in folders}
    assert len(runs) == len(folders), "each once"
    return runs


def _check_resumed(out: Path, runs: Mapping[str, OfflineRun] | Mapping[str, StoredRun]) -> None:
    (number,) = [row["number"] for row in read_trials(out).to_pylist() if row["resumed_from"]]
    run = runs[build_run_id(read_metadata(out), number)]
    assert [row["step"] for row in run.rows] == _steps(out, number)
    assert run.exit_code == 0 and run.summary["status"] == "completed"
    assert "completed" in run.tags and "pruned" not in run.tags


def _steps(out: Path, job: int) -> list[int]:
    return [point["step"] for point in read_curves(out).to_pylist() if point["number"] == job]
