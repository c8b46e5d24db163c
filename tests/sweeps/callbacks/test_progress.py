"""What a user sees while a sweep runs: plain lines without a terminal, a bar with one."""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from sweeps.callbacks.base import Callback
from sweeps.callbacks.progress import LiveReporter, PlainReporter, build_progress_reporter
from sweeps.events import Job, Trial
from sweeps.results.metadata import SweepMetadata
from sweeps.scheduler.scheduler import Scheduler
from tests.sweeps.search_cases import jobs_of
from tests.sweeps.small_jobs import ended_trial
from tests.sweeps.synthetic_sweep import make_report, plausible, run_sweep


def _one_fails(job: Job, fraction: float) -> float:
    if job.number == 4:
        raise RuntimeError("loss is nan at step 37")
    return plausible(job, fraction)


def test_plain_lines(tmp_path: Path) -> None:
    stream, plans = io.StringIO(), []

    def listener(metadata: SweepMetadata, plan: Scheduler) -> PlainReporter:
        plans.append(plan)
        found = build_progress_reporter(metadata, lambda: plan.num_jobs_expected, stream)
        assert isinstance(found, PlainReporter)
        return found

    run_sweep(tmp_path, _one_fails, listener, num_trials=8)
    lines = stream.getvalue().splitlines()
    (plan,) = plans
    assert len(lines) == len(jobs_of(plan)), "one line a job"
    assert "\x1b" not in stream.getvalue()
    pattern = (
        r"\[\d+/\d+\] job \d+ \(baseline, tiny_demo\) completed in \d+\.\d s: valid/blank_accuracy 0\.\d{4}, "
        r"527,490 parameters, H_layers=1 L_layers=1 lr=\S+ hidden_size=128 num_heads=4"
    )
    assert re.fullmatch(pattern, next(line for line in lines if "(baseline" in line))
    assert lines[0].startswith("[1/")
    (failed,) = [line for line in lines if "failed" in line]
    assert failed.startswith("[") and "job 4 (search, trial 1) failed" in failed
    assert "valid/blank_accuracy none" in failed
    assert failed.endswith("; RuntimeError: loss is nan at step 37")
    assert lines[-1].startswith(f"[{len(lines)}/{len(lines)}] ")


def test_the_bar_counts_and_leaves_nothing_behind(tmp_path: Path) -> None:
    stream = io.StringIO()
    seen: list[str] = []

    class Watched(LiveReporter):
        def on_end(self, trial: Trial) -> None:
            super().on_end(trial)
            console = Console(file=io.StringIO(), width=150)
            console.print(self._display.get_renderable())
            seen.append(console.file.getvalue())  # type: ignore[attr-defined]

    def listener(metadata: SweepMetadata, plan: Scheduler) -> LiveReporter:
        console = Console(file=stream, force_terminal=True, width=150)
        return Watched(metadata, lambda: plan.num_jobs_expected, console)

    run_sweep(tmp_path, _one_fails, listener, num_trials=8)
    assert re.search(r"depth_vs_width .* 6/\d+ jobs, 0:00:0\d elapsed, about \d:\d\d:\d\d left", seen[5])
    last = seen[-1]
    assert re.search(r"0 running · \d+ completed · \d+ pruned · 1 failed", last)
    assert re.search(r"best so far: .*, valid/blank_accuracy 0\.\d{4}, [\d,]+ parameters, H_layers=", last)
    written = stream.getvalue()
    assert written.count("\x1b[?25l") == written.count("\x1b[?25h") == 1, "the cursor comes back"
    left = _screen_after(written)
    assert left == ["job 4 (search, trial 1) failed: RuntimeError: loss is nan at step 37"]


def _screen_after(written: str) -> list[str]:
    """The lines left on a terminal: enough of one for what rich's live display writes."""
    lines, row = [""], 0
    for token in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", written):
        if token == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif token == "\x1b[2K":
            lines[row] = ""
        elif re.fullmatch(r"\x1b\[\d+A", token):
            row = max(row - int(token[2:-1]), 0)
        elif not token.startswith(("\x1b", "\r")):
            lines[row] += token
    return [line for line in lines if line.strip()]


@pytest.fixture
def reporter(tmp_path: Path) -> Iterator[tuple[LiveReporter, list[Job]]]:
    """A reporter of a sweep of 10 jobs, and some of them."""
    made: list[tuple[SweepMetadata, Scheduler]] = []

    def listener(metadata: SweepMetadata, plan: Scheduler) -> Callback:
        made.append((metadata, plan))
        return Callback()

    run_sweep(tmp_path, listeners=listener, num_trials=4)
    metadata, plan = made[0]
    live = LiveReporter(metadata, lambda: 10, Console(file=io.StringIO(), force_terminal=True))
    yield live, list(jobs_of(plan).values())
    live.close()


def test_the_best_is_a_completed_run_and_no_confirmation(reporter: tuple[LiveReporter, list[Job]]) -> None:
    live, jobs = reporter
    search = next(job for job in jobs if job.kind == "search")
    confirm = next(job for job in jobs if job.kind == "confirm")
    whole = search.run.train.num_reports

    for job, level, status, best in (
        (search, 0.5, "completed", 0.5),
        (search, 0.9, "pruned", 0.5),
        (search, 0.9, "failed", 0.5),
        (confirm, 0.9, "completed", 0.5),
        (search, 0.6, "completed", 0.6),
        (search, 0.55, "completed", 0.6),
    ):
        last = make_report(job, whole, lambda job, fraction, level=level: level)
        trial = ended_trial(job, [last], status)
        live.on_start(trial)
        live.on_end(trial)
        assert live.best is not None and live.best[0] == best
    assert dict(live.ended) == {"completed": 4, "pruned": 1, "failed": 1}


def test_a_resumed_trial_is_counted_once(reporter: tuple[LiveReporter, list[Job]]) -> None:
    live, jobs = reporter
    job = next(job for job in jobs if job.kind == "search")
    before = [make_report(job, index) for index in (1, 2)]
    live.on_restore(ended_trial(job, before, "pruned"))
    assert dict(live.ended) == {"pruned": 1} and live.num_done == 1
    resumed = dataclasses.replace(job, resumed_from=tuple(before))
    live.on_start(Trial(resumed, started_at=0.0, validations=before))
    assert live.ended.total() == 0 and live.num_done == pytest.approx(job.fraction_done(before[-1]))
    live.on_end(ended_trial(resumed, before))
    assert live.ended.total() == 1 and not live.running


def test_time_left_follows_the_work_done_in_this_session(
    reporter: tuple[LiveReporter, list[Job]], monkeypatch: pytest.MonkeyPatch
) -> None:
    live, jobs = reporter
    now, (task,) = 1000.0, live._display.tasks
    monkeypatch.setattr(task, "_get_time", lambda: now)
    monkeypatch.setattr(live._display, "get_time", lambda: now)
    live.on_restore(ended_trial(jobs[0]))
    live.on_restore(ended_trial(jobs[1]))
    assert task.time_remaining is None, "nothing done yet"
    live.on_start(Trial(jobs[2], started_at=0.0))
    now += 30
    half = jobs[2].run.train.num_reports // 2
    live.on_validation(Trial(jobs[2], started_at=0.0, validations=[make_report(jobs[2], half)]))
    assert task.time_remaining == pytest.approx(30 * 7.5 / 0.5, abs=1)
    live.on_end(ended_trial(jobs[2]))
    assert task.time_remaining == pytest.approx(30 * 7, abs=1)
