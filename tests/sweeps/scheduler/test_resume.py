"""A sweep killed between any two writes, or in the middle of one, goes on as if it had never been stopped."""

from __future__ import annotations

import dataclasses
import os
import random
import stat
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from sweeps.analysis.statistics import TEST_NAME
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.config import BaselineConfig, ConfirmConfig, StopConfig, SweepConfig, SweepTrainConfig
from sweeps.errors import OutputError
from sweeps.events import EVENT_LOG, Job, Started, read_events
from sweeps.report.blocks import Table
from sweeps.report.sections.search import build_compute
from sweeps.results.metadata import build_metadata, restore_metadata, write_metadata
from sweeps.results.tables import TableWriter, read_curves, read_trials
from sweeps.scheduler.resume import restore
from sweeps.scheduler.stopping import start_clock
from sweeps.scheduler.trial_runner import TrialRunner
from sweeps.search.storage import JOURNAL
from sweeps.space.candidates import Candidates
from tests.sweeps.synthetic_sweep import MODEL_FIELDS, Puzzles, drive, plausible, sweep_config

CONFIG = sweep_config(
    num_trials=10,
    train=SweepTrainConfig(steps=600, num_reports=4),
    sampler={"name": "tpe"},
    baseline=BaselineConfig(),
    confirm=ConfirmConfig(finalists=1, seeds=2),
)
CANDIDATES = Candidates(CONFIG, MODEL_FIELDS)
TIMES = ("seconds", "started_at")


class Killed(BaseException):
    """As kill -9, for this process: no handler of ours knows it."""


class Killer:
    """Stands for `os.fsync`, with which all that must last reaches the disk, and kills at one of its calls."""

    def __init__(self, after: int, rng: random.Random) -> None:
        self._left, self._rng = after, rng

    def __call__(self, descriptor: int) -> None:
        self._left -= 1
        if self._left >= 0:
            return
        state = os.fstat(descriptor)
        if stat.S_ISREG(state.st_mode) and self._rng.random() < 0.5:
            # Less than a line of any of our files: what was written last is there in part.
            os.ftruncate(descriptor, max(0, state.st_size - self._rng.randint(1, 25)))
        raise Killed


@contextmanager
def killed_after(writes: int, rng: random.Random, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", Killer(writes, rng))
        yield


def curve(job: Job, fraction: float) -> float:
    if job.number % 7 == 5 and fraction > 0.6:
        raise RuntimeError("a fault of its own")
    return plausible(job, fraction)


def session(out: Path, config: SweepConfig = CONFIG) -> None:
    """What the program does in a folder, without its processes."""
    out.mkdir(exist_ok=True)
    plan, log = restore(out, config, CANDIDATES, slots=2, memory_bytes=None, clock=start_clock())
    metadata = restore_metadata(out, Puzzles()) or build_metadata(
        config, CANDIDATES, plan, Puzzles(), [], TEST_NAME
    )
    write_metadata(metadata, out)
    with closing(log):
        dispatcher = TrialRunner(plan, [TableWriter(out, metadata, plan.trial_numbers.get)], log)
        dispatcher.resume()
        drive(dispatcher, curve)


def found(out: Path) -> dict[str, Any]:
    """All that a sweep leaves and that does not tell the time."""
    rows = read_trials(out).drop_columns(list(TIMES)).to_pylist()
    storage = JournalStorage(JournalFileBackend(str(out / JOURNAL)))
    [summary] = optuna.get_all_study_summaries(storage)
    trials = optuna.load_study(study_name=summary.study_name, storage=storage).trials
    return {
        "rows": sorted(rows, key=lambda row: row["number"]),
        "curves": read_curves(out).to_pylist(),
        "errors": {path.name: path.read_text() for path in out.glob("errors/*")},
        "study": [
            (t.number, t.state, t.params, t.values, t.intermediate_values, t.user_attrs) for t in trials
        ],
    }


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("uninterrupted")
    session(out)
    return found(out)


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_write_it_ends_as_if_it_had_not_been(
    seed: int, uninterrupted: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    kills = 0
    while True:
        try:
            with killed_after(rng.randint(2, 120), rng, monkeypatch):
                session(tmp_path)
            break
        except Killed:
            kills += 1
            (tmp_path / f"{JOURNAL}.lock").symlink_to("of a process that is gone")
    assert kills >= 3
    assert found(tmp_path) == uninterrupted
    assert {row["status"] for row in uninterrupted["rows"]} == {"completed", "pruned", "failed"}
    assert {state.name for _, state, *_ in uninterrupted["study"]} == {"COMPLETE", "PRUNED", "FAIL"}


def spent(out: Path) -> list[Sequence[str]]:
    """Runs and FLOPs of the report's table of compute, without the seconds."""
    folder = SweepFolder.read(out)
    [table] = [block for block in build_compute(folder).blocks if isinstance(block, Table)]
    return [row[:4] for row in table.rows]


def test_a_job_that_was_killed_and_goes_on_counts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowance = CANDIDATES.flops_budget.flops
    assert allowance is not None
    limited = extended(
        stop=StopConfig(flops=int(3.5 * allowance)),
        baseline=BaselineConfig(presets=[]),
        pruner={"name": "none"},
    )
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    session(calm, limited)
    for writes in (22, 30):
        with pytest.raises(Killed), killed_after(writes, random.Random(0), monkeypatch):
            session(killed, limited)
    started = [event for event in read_events(killed / EVENT_LOG) if isinstance(event, Started)]
    assert len(started) > len(read_trials(killed)), "killed while jobs were running"
    session(killed, limited)
    assert found(killed) == found(calm)
    assert spent(killed) == spent(calm)
    search = [row for row in found(killed)["rows"] if row["kind"] == "search"]
    assert allowance * 3 < sum(row["train_flops"] or 0 for row in search) <= allowance * 3.75
    assert len(search) < limited.num_trials


def extended(**limits: Any) -> SweepConfig:
    return dataclasses.replace(CONFIG, **limits)


def test_an_extended_sweep_goes_on_with_the_same_study(uninterrupted: dict[str, Any], tmp_path: Path) -> None:
    session(tmp_path)
    more = extended(num_trials=17, confirm=ConfirmConfig(finalists=2, seeds=3))
    session(tmp_path, more)
    after = found(tmp_path)
    before = len(uninterrupted["rows"])
    assert after["rows"][:before] == uninterrupted["rows"], "what had ended stands"
    assert after["study"][:10] == uninterrupted["study"]
    assert [row["number"] for row in after["rows"]] == list(range(len(after["rows"])))
    new = after["rows"][before:]
    assert [row["kind"] for row in new if row["kind"] != "confirm"] == ["baseline"] * 2 + ["search"] * 7
    confirmations = [row for row in after["rows"] if row["kind"] == "confirm"]
    runs = [(row["arm"], row["config"]) for row in confirmations]
    assert len(set(runs)) == len(runs), "no confirmation is made twice"
    session(tmp_path, more)
    assert found(tmp_path) == after, "nothing is left to do"


@pytest.mark.parametrize("seed", range(1))
def test_an_extension_survives_too(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Extended in the middle of the search, by a session that is killed."""
    rng = random.Random(seed)
    folders = [tmp_path / "calm", tmp_path / "killed"]
    for out in folders:
        with pytest.raises(Killed), killed_after(150 + 40 * seed, random.Random(seed), monkeypatch):
            session(out)
    more = extended(num_trials=14)
    session(folders[0], more)
    while True:
        try:
            with killed_after(rng.randint(2, 120), rng, monkeypatch):
                session(folders[1], more)
            break
        except Killed:
            continue
    assert found(folders[1]) == found(folders[0])


def test_other_code_that_would_start_other_jobs_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Killed), killed_after(150, random.Random(0), monkeypatch):
        session(tmp_path)
    with pytest.raises(
        OutputError, match=r"would be another one now: .*Resume with the code and the packages"
    ):
        session(tmp_path, extended(seed=1))
