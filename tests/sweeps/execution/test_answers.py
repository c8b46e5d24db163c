"""What a trained model answers to a few held-out puzzles, segment by segment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from hrm.data.registry import open_task
from hrm.models.puzzle.checkpoint_names import load_official
from hrm.training.trainer import Trainer
from sweeps.analysis.best import write_weights
from sweeps.events import Ended, Validation
from sweeps.execution.checkpoints import CheckpointManager, get_weights_path
from sweeps.execution.trial import collect_answers, run_trial
from sweeps.results.tables import read_answers, write_answers
from tests.sweeps.small_jobs import TASK, ended_trial, small_job

FEW = {**TASK, "valid_puzzles": 3}


def reports(**changes: Any) -> list[Validation]:
    messages = list(run_trial(small_job(0, task=FEW, **{"model.halt_max_steps": 3}, **changes)))
    assert not any(isinstance(message, Ended) for message in messages), messages
    return [message for message in messages if isinstance(message, Validation)]


def test_the_last_segment_is_what_the_validation_judged() -> None:
    *early, last = reports(keep_model=True)
    assert all(report.answers is None for report in early)
    assert last.answers is not None
    blank, examples = last.answers["blank_token"], last.answers["examples"]
    assert len(examples) == 3
    shares = []
    for example in examples:
        assert len(example["segments"]) == 3
        tokens = example["segments"][-1]["tokens"]
        asked = [i for i, token in enumerate(example["inputs"]) if token == blank]
        shares.append(sum(tokens[i] == example["labels"][i] for i in asked) / len(asked))
        assert all(0 <= value <= 1 for segment in example["segments"] for value in segment["confidence"])
        assert all(0 <= segment["halting"] <= 1 for segment in example["segments"])
    assert last.metrics["valid/blank_accuracy"] == pytest.approx(sum(shares) / 3)


def test_showing_answers_changes_nothing_else() -> None:
    assert [report.metrics for report in reports(keep_model=True)] == [report.metrics for report in reports()]
    assert reports()[-1].answers is None


def test_the_winner_s_weights_give_the_winner_s_answers(tmp_path: Path) -> None:
    """Through the folder of a job, that of the sweep, and `best.pt` into a new model."""
    job = small_job(7, kind="confirm", keep_model=True, task=FEW)
    kept = CheckpointManager(tmp_path, seconds=9.0)
    told = [
        report
        for report in run_trial(job, checkpoint=kept.build_checkpoint(job))
        if isinstance(report, Validation)
    ]
    kept.on_end(ended_trial(job, told))
    assert not (tmp_path / "checkpoints" / "7").exists() and get_weights_path(tmp_path, 7).exists()
    write_weights(tmp_path, 7)

    trainer = Trainer(job.run, open_task(job.run.task))
    named = torch.load(tmp_path / "best.pt", weights_only=True)
    assert collect_answers(trainer) != told[-1].answers
    load_official(trainer.model, named)
    assert collect_answers(trainer) == told[-1].answers

    write_weights(tmp_path, 8)
    assert not (tmp_path / "best.pt").exists(), "not the weights of another winner"


def test_only_finished_models_that_are_asked_for_are_kept(tmp_path: Path) -> None:
    kept = CheckpointManager(tmp_path, seconds=9.0)
    for job, num_reports in ((small_job(7, task=FEW), 4), (small_job(8, task=FEW, keep_model=True), 3)):
        running = run_trial(job, checkpoint=kept.build_checkpoint(job))
        for _ in range(num_reports):
            next(running)
        kept.on_end(ended_trial(job))
    assert not (tmp_path / "weights").exists()


def test_they_are_plain_data_and_come_back_from_the_folder(tmp_path: Path) -> None:
    shown = reports(keep_model=True)[-1].answers
    assert shown is not None and json.loads(json.dumps(shown)) == shown
    assert read_answers(tmp_path) == {}
    write_answers(tmp_path, 10, shown)
    write_answers(tmp_path, 9, shown)
    assert list(read_answers(tmp_path).items()) == [(9, shown), (10, shown)]
