"""How a sweep goes, on stderr: a live bar on a terminal, elsewhere one plain line per ended job."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweeps.callbacks.base import Callback
from sweeps.events import Job, Trial
from sweeps.results.metadata import SweepMetadata
from sweeps.results.tables import short, space_values


def progress(metadata: SweepMetadata, planned: Callable[[], int], stream: TextIO | None = None) -> Callback:
    """The listener that suits the stream.

    Args:
        context: the sweep's setting.
        planned: how many jobs the sweep is expected to make in all.
        stream: where to write; None is stderr.
    """
    standing = Standing(metadata, planned)
    console = Console(file=stream or sys.stderr, highlight=False, soft_wrap=True)
    return LiveProgress(standing, console) if console.is_terminal else PlainProgress(standing, console)


class Standing:
    """What is known so far. Told by the listener, read by the display."""

    def __init__(self, metadata: SweepMetadata, planned: Callable[[], int]) -> None:
        self.metadata, self._goal, self._planned = metadata, metadata.goal, planned
        self.running: dict[int, float] = {}
        """Fraction done, by job number."""
        self.ended: Counter[str] = Counter()
        """Jobs by status."""
        self.best: tuple[float, Job] | None = None
        self.started: float | None = None
        self.done_before = 0.0
        """Jobs and parts of jobs of earlier sessions: the time left is estimated without them."""

    @property
    def num_ended(self) -> int:
        return self.ended.total()

    @property
    def num_planned(self) -> int:
        return max(self._planned(), self.num_ended + len(self.running))

    def start(self, trial: Trial) -> None:
        """Count a job that has reached its worker."""
        if self.started is None:
            self.started = time.monotonic()
        self.update(trial)
        self.ended["pruned"] -= bool(trial.job.resumed_from)

    def restore(self, trial: Trial) -> None:
        """Count what earlier sessions had reached."""
        if self.started is None:
            self.started = time.monotonic()
        self.update(trial)
        if trial.ended is not None:
            self.end(trial)
        self.done_before = self.num_ended + sum(self.running.values())

    def update(self, trial: Trial) -> None:
        """Take in how far a running job has come."""
        self.running[trial.number] = trial.job.fraction_done(trial.last) if trial.last else 0.0

    def end(self, trial: Trial) -> float | None:
        """Count an ended job, and return its objective if it has one."""
        assert trial.ended is not None
        self.running.pop(trial.number, None)
        self.ended[trial.ended.status] += 1
        value = self._goal.value(trial.validations)
        comparable = trial.is_completed and trial.job.kind != "confirm"
        if value is not None and comparable and (self.best is None or self._better(value, self.best[0])):
            self.best = (value, trial.job)
        return value

    def seconds_left(self) -> float | None:
        """As long as the work so far took for its share of the jobs; None before there is any."""
        done = self.num_ended + sum(self.running.values())
        done_now = done - self.done_before
        if self.started is None or done_now < 0.5:
            return None
        return (time.monotonic() - self.started) * max(self.num_planned - done, 0) / done_now

    def _better(self, value: float, other: float) -> bool:
        return self._goal.best_first(value) < self._goal.best_first(other)

    def describe(self, job: Job, value: float | None) -> str:
        """Objective, size and values of a job, in a line."""
        values = space_values(job, self.metadata.value_names).items()
        parts = [
            f"{self.metadata.objective} {'none' if value is None else f'{value:.4f}'}",
            f"{job.num_params:,} parameters",
            " ".join(f"{name}={short(value)}" for name, value in values if value is not None),
        ]
        return ", ".join(part for part in parts if part)


class PlainProgress(Callback):
    """One line per ended job."""

    def __init__(self, standing: Standing, console: Console) -> None:
        self._standing, self._console = standing, console
        self._started: dict[int, float] = {}

    def on_restore(self, trial: Trial) -> None:
        self._standing.restore(trial)
        self._started[trial.number] = time.monotonic()

    def on_start(self, trial: Trial) -> None:
        self._standing.start(trial)
        self._started[trial.number] = time.monotonic()

    def on_validation(self, trial: Trial) -> None:
        self._standing.update(trial)

    def on_end(self, trial: Trial) -> None:
        assert trial.ended is not None
        value = self._standing.end(trial)
        seconds = time.monotonic() - self._started.pop(trial.number)
        standing = self._standing
        line = f"[{standing.num_ended}/{standing.num_planned}] {_title(trial.job)} {trial.ended.status}"
        line += f" in {seconds:.1f} s: {standing.describe(trial.job, value)}"
        self._console.print(Text(line + (f"; {trial.ended.error}" if trial.ended.error else "")))


class LiveProgress(Callback):
    """Two lines that stay in place and vanish at the end; a failure's reason stays above them."""

    def __init__(self, standing: Standing, console: Console) -> None:
        self._standing = standing
        self._lock = threading.Lock()
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=4, transient=True)
        self._live.start()

    def on_restore(self, trial: Trial) -> None:
        with self._lock:
            self._standing.restore(trial)

    def on_start(self, trial: Trial) -> None:
        with self._lock:
            self._standing.start(trial)

    def on_validation(self, trial: Trial) -> None:
        with self._lock:
            self._standing.update(trial)

    def on_end(self, trial: Trial) -> None:
        assert trial.ended is not None
        with self._lock:
            self._standing.end(trial)
        if trial.ended.status == "failed":
            self._live.console.print(Text(f"{_title(trial.job)} failed: {trial.ended.error}"))

    def close(self) -> None:
        self._live.stop()

    def _render(self) -> Group:
        with self._lock:
            standing = self._standing
            ended, planned, left = standing.num_ended, standing.num_planned, standing.seconds_left()
            done = ended + sum(standing.running.values())
            counts = [f"{len(standing.running)} running"]
            counts += [f"{standing.ended[status]} {status}" for status in ("completed", "pruned", "failed")]
            best = standing.best
        bar = Table.grid(padding=(0, 1))
        since = 0.0 if standing.started is None else time.monotonic() - standing.started
        clock = f"{_clock(since)} gone, {'about ' + _clock(left) if left is not None else 'no estimate yet'}"
        bar.add_row(
            Text(standing.metadata.name, style="bold"),
            ProgressBar(total=max(planned, 1), completed=done, width=18),
            Text(f"{ended}/{planned} jobs, {clock}{' left' if left is not None else ''}"),
        )
        lines = [Text(" · ".join(counts), no_wrap=True, overflow="ellipsis")]
        if best:
            text = f"best so far: {best[1].arm}, {standing.describe(best[1], best[0])}"
            lines.append(Text(text, no_wrap=True, overflow="ellipsis"))
        return Group(bar, *lines)


def _title(job: Job) -> str:
    return f"job {job.number} ({job.kind}, {job.arm})"


def _clock(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
