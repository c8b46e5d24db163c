"""The faces of a training run: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # the trainer imports torch, and who only prepares data need not wait for it
    from hrm.training.trainer import Validation


class Face(Protocol):
    """Shows a run while it trains; a context manager."""

    def __enter__(self) -> Face: ...

    def __exit__(self, *exception: object) -> None: ...

    def on_step(self, step: int) -> None:
        """`step` optimizer steps have been made."""

    def on_report(self, report: Validation) -> None:
        """The run has validated."""


def face_for(steps: int, start: int) -> Face:
    """The face that stderr can show.

    Args:
        steps: of the whole run.
        start: steps made already.
    """
    return LiveBar(steps, start) if sys.stderr.isatty() else PlainLines(steps, start)


class LiveBar:
    """One line, redrawn: steps, time left, training loss and validation accuracy of the last report."""

    def __init__(self, steps: int, start: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps, left"),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task("", total=steps, completed=start)

    def __enter__(self) -> LiveBar:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def on_step(self, step: int) -> None:
        self._progress.update(self._task, completed=step)

    def on_report(self, report: Validation) -> None:
        self._progress.update(self._task, completed=report.step, description=summary(report))


class PlainLines:
    """A line a report."""

    def __init__(self, steps: int, start: int) -> None:
        self._steps, self._start = steps, start
        self._clock = time.monotonic()

    def __enter__(self) -> PlainLines:
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    def on_step(self, step: int) -> None:
        return None

    def on_report(self, report: Validation) -> None:
        made = report.step - self._start
        left = (time.monotonic() - self._clock) / max(made, 1) * (self._steps - report.step)
        print(
            f"step {report.step}/{self._steps}, {left:.0f} s left, {summary(report)}",
            file=sys.stderr,
            flush=True,
        )


def summary(report: Validation) -> str:
    """The report's main figures in a few words: of a puzzle or of a text model."""
    shown = (
        ("loss", "train/loss"),
        ("valid exact", "valid/exact_accuracy"),
        ("blank", "valid/blank_accuracy"),
        ("valid loss", "valid/loss" if "valid/perplexity" in report.metrics else ""),
        ("bits per byte", "valid/bits_per_byte"),
    )
    return ", ".join(
        f"{word} {number(report.metrics[name])}" for word, name in shown if name in report.metrics
    )


def number(value: float | None) -> str:
    """Four significant digits; a dash for what was not measured."""
    return "-" if value is None else f"{value:.4g}"


class DataProgress:
    """Says that data are being made, once that takes place; data found in the cache say nothing.

    A callback (done, total) for `hrm.data.registry.open_task`, and a context manager that ends its line.
    """

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._shown = False

    def __enter__(self) -> DataProgress:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._shown and self._live:
            print(file=sys.stderr)

    def __call__(self, done: int, total: int) -> None:
        if self._live:
            print(f"\rpreparing data: {done}/{total}", end="", file=sys.stderr, flush=True)
        elif not self._shown:
            print("preparing data", file=sys.stderr, flush=True)
        self._shown = True
