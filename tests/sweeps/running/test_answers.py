"""What a trained model answers to a few held-out puzzles, segment by segment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sweeps.jobs import Outcome, Report
from sweeps.results.answers import read_answers, write_answers
from sweeps.running import trial
from tests.sweeps.small_jobs import TASK, small_job

FEW = {**TASK, "valid_puzzles": 3}


def reports(**changes: Any) -> list[Report]:
    messages = list(trial.run(small_job(0, task=FEW, **{"model.halt_max_steps": 3}, **changes)))
    assert not any(isinstance(message, Outcome) for message in messages), messages
    return [message for message in messages if isinstance(message, Report)]


def test_the_last_segment_is_what_the_validation_judged() -> None:
    *early, last = reports(show_answers=True)
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
    assert [report.metrics for report in reports(show_answers=True)] == [
        report.metrics for report in reports()
    ]
    assert reports()[-1].answers is None


def test_they_are_plain_data_and_come_back_from_the_folder(tmp_path: Path) -> None:
    answers = reports(show_answers=True)[-1].answers
    assert answers is not None and json.loads(json.dumps(answers)) == answers
    assert read_answers(tmp_path) == {}
    write_answers(tmp_path, 10, answers)
    write_answers(tmp_path, 9, answers)
    assert list(read_answers(tmp_path).items()) == [(9, answers), (10, answers)]
