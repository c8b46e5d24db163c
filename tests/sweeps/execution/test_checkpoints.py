"""Checkpoints of pruned trials, from which a resumed trial reaches the result it would have had without pruning."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from hrm.data.registry import open_task
from hrm.training.checkpoint import load_checkpoint
from hrm.training.trainer import Trainer
from sweeps.events import Job, Validation
from sweeps.execution.checkpoints import CheckpointManager
from sweeps.execution.trial import run_trial
from tests.sweeps.small_jobs import ended_trial, small_job


def trained(job: Job, checkpoints: CheckpointManager | None, most: int = 4) -> list[Validation]:
    """Return a job's first validations; calling it again stands for a new worker."""
    messages = run_trial(
        job, len(job.resumed_from), checkpoints.build_checkpoint(job) if checkpoints else None
    )
    reports = [next(messages) for _ in range(most)]
    messages.close()
    assert all(isinstance(report, Validation) for report in reports), reports
    return [report for report in reports if isinstance(report, Validation)]


def timeless(reports: list[Validation]) -> list[dict[str, Any]]:
    return [dataclasses.asdict(one) | {"train_seconds": 0, "eval_seconds": 0} for one in reports]


@pytest.mark.parametrize("at", [1, 3])
def test_a_resumed_job_ends_bit_for_bit_as_one_that_was_never_pruned(at: int, tmp_path: Path) -> None:
    kept = CheckpointManager(tmp_path, seconds=3600.0, keep_pruned=True)
    job = small_job(0)
    before = trained(job, kept, most=at)
    kept.on_end(ended_trial(job, before, "pruned"))
    state = load_checkpoint(tmp_path / "checkpoints" / "0")
    assert state["trainer"]["step"] == before[-1].step, "nothing that was trained is trained again"
    resumed = dataclasses.replace(job, may_prune=False, resumed_from=tuple(before))
    after = trained(resumed, kept, most=4 - at)
    assert timeless(before + after) == timeless(trained(job, None))
    kept.on_end(ended_trial(resumed, [*before, *after]))
    assert not (tmp_path / "checkpoints" / "0").exists()


def test_a_lost_checkpoint_costs_time_only(tmp_path: Path) -> None:
    kept = CheckpointManager(tmp_path, seconds=3600.0, keep_pruned=True)
    before = trained(small_job(0), None, most=2)
    after = trained(dataclasses.replace(small_job(0), resumed_from=tuple(before)), kept, most=2)
    assert timeless(before + after) == timeless(trained(small_job(0), None))


@pytest.mark.parametrize(("keeps", "kind"), [(False, "search"), (True, "baseline")])
def test_nothing_is_kept_of_what_cannot_be_resumed(keeps: bool, kind: str, tmp_path: Path) -> None:
    checkpoints = CheckpointManager(tmp_path, seconds=3600.0, keep_pruned=keeps)
    trained(job := small_job(0, kind=kind), checkpoints, most=2)
    assert not (tmp_path / "checkpoints" / "0").exists(), "none was due"
    if not keeps:
        CheckpointManager(tmp_path, 0.0).build_checkpoint(job).save_if_due(
            Trainer(job.run, open_task(job.run.task)), []
        )
        assert (tmp_path / "checkpoints" / "0").exists()
        checkpoints.on_end(ended_trial(job, status="pruned"))
        assert not (tmp_path / "checkpoints" / "0").exists()


def test_the_folder_goes_at_the_end_when_nothing_is_left_in_it(tmp_path: Path) -> None:
    checkpoints = CheckpointManager(tmp_path, seconds=0.0, keep_pruned=True)
    checkpoints.close()
    jobs = [small_job(0), small_job(1)]
    for job in jobs:
        trained(job, checkpoints, most=2)
    checkpoints.on_end(ended_trial(jobs[0], status="pruned"))
    checkpoints.on_end(ended_trial(jobs[1]))
    checkpoints.close()
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["0"]
    checkpoints.on_end(ended_trial(jobs[0]))
    checkpoints.close()
    assert list(tmp_path.iterdir()) == []
