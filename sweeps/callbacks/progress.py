"""Progress of a sweep on stderr: a live display on a terminal, elsewhere one plain line per ended trial."""

from __future__ import annotations

import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TextIO

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from sweeps.callbacks.base import Callback
from sweeps.events import Job, Trial, list_statuses
from sweeps.results.metadata import SweepMetadata
from sweeps.results.tables import format_short, get_space_values


def build_progress_reporter(
    metadata: SweepMetadata, count_planned: Callable[[], int], stream: TextIO | None = None
) -> ProgressReporter:
    """Build the progress reporter that suits the stream.

    Args:
        metadata: the sweep's.
        count_planned: returns how many jobs the sweep is expected to run in all.
        stream: where to write; None is stderr.
    """
    console = Console(file=stream or sys.stderr, highlight=False, soft_wrap=True)
    reporter = LiveReporter if console.is_terminal else PlainReporter
    return reporter(metadata, count_planned, console)


class ProgressReporter(Callback):
    """Keeps the progress state of a sweep, which subclasses show."""

    def __init__(self, metadata: SweepMetadata, count_planned: Callable[[], int], console: Console) -> None:
        self._metadata, self._count_planned, self._console = metadata, count_planned, console
        self._started: dict[int, float] = {}
        self.running: dict[int, float] = {}
        """Fraction done of each running job, by number."""
        self.ended: Counter[str] = Counter()
        """Number of ended jobs, by status."""
        self.best: tuple[float, Job] | None = None
        """The best completed job that is no confirmation, with its objective."""

    @property
    def num_done(self) -> float:
        """Ended jobs, and the fractions of running ones that are done."""
        return self.ended.total() + sum(self.running.values())

    @property
    def num_planned(self) -> int:
        return max(self._count_planned(), self.ended.total() + len(self.running))

    def on_restore(self, trial: Trial) -> None:
        self._started[trial.number] = time.monotonic()
        self.on_validation(trial)
        if not trial.is_running:
            self.count_end(trial)

    def on_start(self, trial: Trial) -> None:
        self._started[trial.number] = time.monotonic()
        self.ended["pruned"] -= bool(trial.job.resumed_from)
        self.on_validation(trial)

    def on_validation(self, trial: Trial) -> None:
        self.running[trial.number] = trial.job.fraction_done(trial.last) if trial.last else 0.0

    def count_end(self, trial: Trial) -> float | None:
        """Count an ended trial, and return its objective if it has one."""
        assert trial.ended is not None
        del self.running[trial.number]
        self.ended[trial.ended.status] += 1
        goal = self._metadata.goal
        value = goal.compute_value(trial.validations)
        if value is not None and trial.is_completed and trial.job.kind != "confirm":
            best = self.best or (value, trial.job)
            self.best = min((best, (value, trial.job)), key=lambda one: goal.get_sort_key(one[0]))
        return value

    def describe(self, job: Job, value: float | None) -> str:
        """Describe a job in one line by its objective, its size and its values."""
        values = get_space_values(job, self._metadata.value_names).items()
        parts = [
            f"{self._metadata.objective} {'none' if value is None else f'{value:.4f}'}",
            f"{job.num_params:,} parameters",
            " ".join(f"{name}={format_short(value)}" for name, value in values if value is not None),
        ]
        return ", ".join(part for part in parts if part)


class PlainReporter(ProgressReporter):
    """Prints one line per ended job."""

    def on_end(self, trial: Trial) -> None:
        assert trial.ended is not None
        seconds = time.monotonic() - self._started.pop(trial.number)
        value = self.count_end(trial)
        line = f"[{self.ended.total()}/{self.num_planned}] {_name_job(trial.job)} {trial.ended.status}"
        line += f" in {seconds:.1f} s: {self.describe(trial.job, value)}"
        self._console.print(Text(line + (f"; {trial.ended.error}" if trial.ended.error else "")))


class LiveReporter(ProgressReporter):
    """Shows a bar and two lines that vanish at the end; the reasons of failures stay above them."""

    def __init__(self, metadata: SweepMetadata, count_planned: Callable[[], int], console: Console) -> None:
        super().__init__(metadata, count_planned, console)
        self._display = _Display(
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(bar_width=18),
            TextColumn("{task.fields[num_ended]}/{task.total} jobs,"),
            TimeElapsedColumn(),
            TextColumn("elapsed, about"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
            refresh_per_second=4,
            transient=True,
            speed_estimate_period=math.inf,
        )
        self._task = self._display.add_task(metadata.name, total=None, num_ended=0)
        self._display.start()

    def on_restore(self, trial: Trial) -> None:
        super().on_restore(trial)
        # What earlier sessions did must not count for this one's speed.
        self._display.reset(self._task, num_ended=self.ended.total())
        self._display.update(self._task, completed=self.num_done)

    def on_validation(self, trial: Trial) -> None:
        super().on_validation(trial)
        self._update()

    def on_end(self, trial: Trial) -> None:
        assert trial.ended is not None
        self.count_end(trial)
        self._update()
        if trial.ended.status == "failed":
            self._console.print(Text(f"{_name_job(trial.job)} failed: {trial.ended.error}"))

    def close(self) -> None:
        self._display.stop()

    def _update(self) -> None:
        counts = [f"{self.ended[status]} {status}" for status in list_statuses(self.ended)]
        lines = [" · ".join([f"{len(self.running)} running", *counts])]
        if self.best is not None:
            value, job = self.best
            lines.append(f"best so far: {job.arm}, {self.describe(job, value)}")
        self._display.lines = lines
        self._display.update(
            self._task, completed=self.num_done, total=self.num_planned, num_ended=self.ended.total()
        )


class _Display(Progress):
    """Rich's progress bar with further lines below."""

    lines: Sequence[str] = ()

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        yield from (Text(line, no_wrap=True, overflow="ellipsis") for line in self.lines)


def _name_job(job: Job) -> str:
    return f"job {job.number} ({job.kind}, {job.arm})"
