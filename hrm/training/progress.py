"""The progress of a training run: its validations, a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Validation:
    """The measurements at one of the `train.num_reports` equal fractions of a run."""

    index: int
    """1 to `train.num_reports`."""
    step: int
    """Optimizer steps so far."""
    train_flops: int
    """Training FLOPs so far, exact."""
    train_seconds: float
    """Seconds in training steps so far."""
    eval_seconds: float
    """Seconds in evaluations so far."""
    metrics: dict[str, float | None]
    """`train/...`: means since the last validation; `valid/...`: over the whole validation split; null is "nothing to
    measure". A sweep adds `test/...` to the last validation of a confirmation."""
    answers: dict[str, Any] | None = None
    """The model's answers to a few validation examples, if the caller of the trainer asked for them."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Validation:
        """Return the validation that was stored as plain values; versions before 0.2 also stored `batches`."""
        return cls(**{name: value for name, value in values.items() if name != "batches"})


class ProgressReporter:
    """Shows a run on stderr while it trains: a live bar on a terminal, else a line for each validation.

    A context manager.

    Args:
        steps: of the whole run.
        start: steps made already.
    """

    def __init__(self, steps: int, start: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._steps, self._start, self._clock = steps, start, time.monotonic()
        self._bar = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps, left"),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task("", total=steps, completed=start)

    def __enter__(self) -> ProgressReporter:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def on_step(self, step: int) -> None:
        """Show that `step` optimizer steps have been made."""
        self._bar.update(self._task, completed=step)

    def on_validation(self, validation: Validation) -> None:
        """Show what the run has just measured."""
        summary = format_validation(validation)
        self._bar.update(self._task, completed=validation.step, description=summary)
        if self._bar.disable:
            made = validation.step - self._start
            left = (time.monotonic() - self._clock) / max(made, 1) * (self._steps - validation.step)
            line = f"step {validation.step}/{self._steps}, {left:.0f} s left, {summary}"
            print(line, file=sys.stderr, flush=True)


def format_validation(validation: Validation) -> str:
    """Format the main figures of a validation, for a puzzle or a text model."""
    metrics = validation.metrics
    shown = {
        "loss": "train/loss",
        "valid exact": "valid/exact_accuracy",
        "blank": "valid/blank_accuracy",
        "valid loss": "valid/loss" if "valid/perplexity" in metrics else "",
        "bits per byte": "valid/bits_per_byte",
    }
    return ", ".join(
        f"{label} {format_metric(metrics[name])}" for label, name in shown.items() if name in metrics
    )


def format_metric(value: float | None) -> str:
    """Format a metric with four significant digits, or as a dash if it was not measured."""
    return "-" if value is None else f"{value:.4g}"


class DataProgress:
    """Says on stderr that data are being made, once that begins; nothing for data found in the cache.

    A callback (done, total) for `hrm.data.registry.open_task`, and a context manager that ends its line.
    """

    def __init__(self) -> None:
        self._is_live = sys.stderr.isatty()
        self._is_shown = False

    def __enter__(self) -> DataProgress:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._is_shown and self._is_live:
            print(file=sys.stderr)

    def __call__(self, done: int, total: int) -> None:
        if self._is_live:
            print(f"\rpreparing data: {done}/{total}", end="", file=sys.stderr, flush=True)
        elif not self._is_shown:
            print("preparing data", file=sys.stderr, flush=True)
        self._is_shown = True
