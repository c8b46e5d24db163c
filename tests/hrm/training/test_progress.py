"""The progress of a training run, on a terminal and elsewhere."""

from __future__ import annotations

import re
import sys

import pytest

from hrm.training.progress import DataProgress, ProgressReporter, Validation, format_validation


def _validation(step: int, exact: float | None) -> Validation:
    metrics = {"train/loss": 1.23456, "valid/exact_accuracy": exact, "valid/blank_accuracy": 0.5}
    return Validation(index=1, step=step, train_flops=1, train_seconds=1.0, eval_seconds=1.0, metrics=metrics)


def test_summary_shows_a_dash_for_what_is_missing() -> None:
    assert format_validation(_validation(5, 0.25)) == "loss 1.235, valid exact 0.25, blank 0.5"
    assert format_validation(_validation(5, None)) == "loss 1.235, valid exact -, blank 0.5"


def test_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressReporter(10, 0) as reporter:
        reporter.on_step(4)
        reporter.on_validation(_validation(5, 0.25))
        reporter.on_validation(_validation(10, 0.25))
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == ["step 5/10", "step 10/10"]
    assert lines[1] == "step 10/10, 0 s left, loss 1.235, valid exact 0.25, blank 0.5"


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "120")
    with ProgressReporter(10, 2) as reporter:
        reporter.on_step(4)
        reporter.on_validation(_validation(10, 0.25))
    captured = capsys.readouterr()
    assert captured.out == ""
    shown = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", captured.err)
    assert "10/10 steps, left 0:00:00 loss 1.235, valid exact 0.25, blank 0.5" in shown


@pytest.mark.parametrize(
    ("tty", "shown"),
    [(False, "preparing data\n"), (True, "\rpreparing data: 1/2\rpreparing data: 2/2\n")],
)
def test_data_progress(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tty: bool, shown: str
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: tty)
    with DataProgress():
        pass
    assert capsys.readouterr().err == ""
    with DataProgress() as progress:
        progress(1, 2)
        progress(2, 2)
    assert capsys.readouterr().err == shown
