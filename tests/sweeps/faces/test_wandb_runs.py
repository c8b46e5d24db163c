"""W&B runs as they lie on disk, without a login, without a server and when it fails."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from hrm.errors import ConfigError
from sweeps.config import BaselineConfig, ConfirmConfig, WandbConfig
from sweeps.faces.wandb_runs import WandbRuns, check_mode
from sweeps.jobs import Job
from sweeps.results.context import Context
from sweeps.results.tables import read_curves, read_trials
from sweeps.search.plan import Plan
from tests.sweeps.synthetic_sweep import plausible, run_sweep
from tests.sweeps.wandb_log import OfflineRun, read_run

KEY = "0123456789" * 4
SMALL = {
    "num_trials": 5,
    "baseline": BaselineConfig(trials=1),
    "confirm": ConfirmConfig(finalists=1, seeds=2),
}
TINY = SMALL | {"num_trials": 1, "confirm": ConfirmConfig(finalists=0)}
DEAD_SERVER = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def nobody_logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "home" / "netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "home" / "wandb"))
    _forget()


def _forget() -> None:
    """W&B remembers its environment until it is torn down."""
    import wandb

    wandb.teardown()


def _one_fails(job: Job, fraction: float) -> float:
    if job.number == 4 and fraction > 0.15:
        raise RuntimeError("loss is nan at step 37")
    return plausible(job, fraction)


def _runs(out: Path, count: int) -> list[OfflineRun]:
    """Waits for `count` ended runs: the last bytes of one follow a moment after `finish`."""
    deadline = time.monotonic() + 60
    while True:
        found = [read_run(path) for path in out.glob("wandb/offline-run-*/*.wandb")]
        ended = [run for run in found if run.exit_code is not None and run.history]
        if len(ended) >= count or time.monotonic() > deadline:
            return ended
        time.sleep(0.05)


def test_an_offline_run_per_job(tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    out.mkdir()
    warnings: list[str] = []

    def listener(context: Context, plan: Plan) -> WandbRuns:
        return WandbRuns(out, WandbConfig(mode="offline"), context, warnings.append)

    run_sweep(out, _one_fails, listener, **SMALL)
    rows, points = read_trials(out).to_pylist(), read_curves(out).to_pylist()
    runs = _runs(out, len(rows))
    assert not warnings and len(runs) == len(rows)
    assert len({run.group for run in runs}) == 1
    for row in rows:
        (run,) = [run for run in runs if run.id.endswith(f"-{row['number']}")]
        assert run.group.startswith("depth_vs_width-") and run.job_type == row["kind"]
        assert {"depth_vs_width", "sudoku6", row["kind"]} == set(run.tags)
        assert run.exit_code == (1 if row["status"] == "failed" else 0)
        assert run.summary["status"] == row["status"] and run.summary.get("error") == row["error"]
        assert run.config["p"]["hidden_size"] == row["p.hidden_size"] == run.config["model"]["hidden_size"]
        assert run.config["params"] == row["params"] and run.config["seed"] == row["seed"]
        wanted = [point for point in points if point["number"] == row["number"]]
        assert len(run.history) == len(wanted)
        for logged, point in zip(run.history, wanted):
            assert logged["valid/blank_accuracy"] == point["valid/blank_accuracy"]
            assert (logged["step"], logged["train_flops"]) == (point["step"], point["train_flops"])
            assert "train/lm_loss" not in logged, "a missing metric is not logged"


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
    monkeypatch.setattr("sweeps.faces.wandb_runs.CONNECT_SECONDS", 1.0)
    _forget()
    assert check_mode(WandbConfig(mode="online")) == "online"
    out = tmp_path / "sweep"
    out.mkdir()
    warnings: list[str] = []

    def listener(context: Context, plan: Plan) -> WandbRuns:
        return WandbRuns(out, WandbConfig(mode="online"), context, warnings.append)

    run_sweep(out, listeners=listener, **TINY)
    (warning,) = warnings
    assert warning.startswith("W&B cannot be reached: ") and "kept offline" in warning
    assert sorted(run.summary["status"] for run in _runs(out, 2)) == ["completed", "completed"]


def test_a_folder_that_cannot_be_written_does_not_stop_the_sweep(tmp_path: Path) -> None:
    out, warnings = tmp_path / "sweep", []
    out.mkdir()

    def listener(context: Context, plan: Plan) -> WandbRuns:
        return WandbRuns(out, WandbConfig(mode="offline", project="not/a/project"), context, warnings.append)

    run_sweep(out, listeners=listener, **TINY)
    (warning,) = warnings
    assert warning.startswith("W&B stopped: ") and "\n" not in warning
    assert len(read_trials(out)) == 2
