"""A real sweep whose driver, worker or Ray is killed at seeded moments ends as if nothing had happened.

`make test` has one sweep that loses each of them once. `make test-all` adds 6 sweeps (N with `HRM_FAULTS=N`) that
are hit once each, anywhere between their first job and their last.
"""

from __future__ import annotations

import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from hrm.data.registry import open_task
from sweeps.analysis.statistics import TEST_NAME
from sweeps.cli.compose import build_sweep_config
from sweeps.config import SweepConfig
from sweeps.events import EVENT_LOG, Ended, Resumed, Started, Validated, Validation, read_events
from sweeps.execution.trial import run_trial
from sweeps.results.metadata import build_metadata
from sweeps.results.tables import TableWriter, read_curves, read_trials
from sweeps.scheduler.resume import restore
from sweeps.scheduler.scheduler import Done, Wait
from sweeps.scheduler.stopping import start_clock
from sweeps.scheduler.trial_runner import TrialRunner
from sweeps.search.storage import JOURNAL
from sweeps.space.candidates import Candidates
from tests.sweeps.processes import ROOT, raylet, start, workers

pytestmark = [pytest.mark.ray, pytest.mark.timeout(1200)]

VICTIMS = ("driver", "worker", "raylet")
LAST_LINES = 8
"""Last lines of the event log; before them two jobs train, so there are workers to kill."""
TIMES = ("seconds", "started_at", "train_seconds", "eval_seconds", "commit", "dirty")
SPACE = """\
question: Where do the layers go?
parameters:
  H_layers: [1, 2]
  lr: {log: [1.0e-4, 1.0e+2], num: 4}
fixed: {hidden_size: 16, num_heads: 2, L_layers: 1, H_cycles: 1, L_cycles: 1, mlp_multiple: 16}
run:
  task: {name: sudoku4, train_puzzles: 32, valid_puzzles: 16, test_puzzles: 16}
  train: {steps: 60, num_reports: 4, batch_size: 8, equal: steps}
  model: {halt_max_steps: 1, forward_dtype: float32}
  budget: {max_params: 100k}
  pruner: {name: median, n_startup_trials: 1, n_warmup_steps: 0}
  num_trials: 8
  seed: 1
  resume_pruned: 1
  max_concurrent: 2
  confirm: {finalists: 1, seeds: 2}
  checkpoint_seconds: 0
  wandb: {mode: disabled}
"""


def run_in_turns(config: SweepConfig, out: Path) -> None:
    """Run the same sweep in this process, without Ray and without faults."""
    task = sweep_task(config)
    candidates = Candidates(config, open_task(task).model_fields)
    plan, log = restore(out, config, candidates, slots=2, memory_bytes=None, clock=start_clock())
    metadata = build_metadata(config, candidates, plan, open_task(task), [], TEST_NAME)
    running: dict[int, Any] = {}
    with closing(log):
        runner = TrialRunner(plan, [TableWriter(out, metadata, plan.trial_numbers.get)], log)
        while True:
            job = runner.next_job() if len(running) < 2 else None
            if isinstance(job, Done):
                return
            if job is None or isinstance(job, Wait):
                for number, messages in list(running.items()):
                    if deliver(runner, number, next(messages)):
                        del running[number]
            else:
                running[job.number] = run_trial(job, num_reported=len(job.resumed_from))


def deliver(runner: TrialRunner, number: int, message: Validation | Ended) -> bool:
    """Give the runner a message of a job; return whether the job has ended."""
    if isinstance(message, Validation):
        return runner.report(number, message)
    runner.end(message)
    return True


def sweep_task(config: SweepConfig) -> Any:
    from hrm.config.schema import build_config
    from hrm.data.registry import get_task_class

    return build_config(get_task_class(config.task["name"]), config.task, "task")


def found(out: Path) -> dict[str, Any]:
    """Read all that a sweep leaves, except what depends on time or process."""
    rows, curves = read_trials(out), read_curves(out)
    storage = JournalStorage(JournalFileBackend(str(out / JOURNAL)))
    [summary] = optuna.get_all_study_summaries(storage)
    trials = optuna.load_study(study_name=summary.study_name, storage=storage).trials
    return {
        "rows": rows.drop_columns(list(TIMES)).to_pylist(),
        "curves": curves.drop_columns(["train_seconds", "eval_seconds"]).to_pylist(),
        "study": [(t.number, t.state, t.params, t.values, t.intermediate_values) for t in trials],
    }


def check_each_event_once(out: Path) -> None:
    """Check that no start, resumption, validation or end of a job was recorded twice."""
    events = [event for event in read_events(out / EVENT_LOG) if hasattr(event, "number")]
    keys = Counter(
        (type(event), event.number, event.validation.index if isinstance(event, Validated) else None)
        for event in events
        if not isinstance(event, Ended)
    )
    assert set(keys.values()) == {1}
    ends = Counter(event.number for event in events if isinstance(event, Ended))
    assert ends == Counter(event.number for event in events if isinstance(event, Started | Resumed))


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("space") / "mine.yaml"
    path.write_text(SPACE)
    return path


@pytest.fixture(scope="module")
def uninterrupted(space: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("uninterrupted")
    import yaml

    values = yaml.safe_load(SPACE)
    run = values.pop("run")
    config = build_sweep_config(
        {
            **run,
            "space": {"name": "mine", **values},
            "sampler": {"name": "tpe"},
            "resources": {"cpus_per_trial": 1},
        }
    )
    run_in_turns(config, out)
    return out


def kill(victim: str, driver: int, rng: random.Random) -> bool:
    """Kills one of the victims; False when there is none at the moment."""
    there = {"driver": lambda: [driver], "worker": lambda: workers(driver), "raylet": lambda: raylet(driver)}
    pids = there[victim]()
    if pids:
        os.kill(rng.choice(pids), signal.SIGKILL)
    return bool(pids)


def run_with_faults(space: Path, out: Path, faults: list[tuple[str, int]], rng: random.Random) -> None:
    """Runs a sweep to its end.

    Args:
        faults: a victim, and the number of lines in the event log from which on it is killed. The driver is held
            there, so that it cannot end before, while its workers and Ray go on for up to 0.3 s.
    """
    process = start(f"space={space}", f"out={out}")
    for victim, lines in faults:
        while num_lines(out) < lines:
            still_runs(process)
        while True:
            os.kill(process.pid, signal.SIGSTOP)
            time.sleep(rng.uniform(0, 0.3))
            killed = kill(victim, process.pid, rng)
            os.kill(process.pid, signal.SIGCONT)
            if killed:
                break
            still_runs(process)
        if victim == "driver":
            process.communicate()
            process = start(f"resume={out}")
    said, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert f"{out.name}/report.md" in said


def still_runs(process: subprocess.Popen[str]) -> None:
    if process.poll() is not None:
        raise AssertionError(process.communicate())
    time.sleep(0.005)


def check(out: Path, uninterrupted: Path) -> None:
    assert found(out) == found(uninterrupted)
    check_each_event_once(out)
    rows = read_trials(out).to_pylist()
    assert [row["status"] for row in rows if row["resumed_from"]] == ["completed"]
    pruned = {str(row["number"]) for row in rows if row["status"] == "pruned"}
    assert pruned and {path.name for path in (out / "checkpoints").iterdir()} == pruned


def num_lines(folder: Path) -> int:
    path = folder / EVENT_LOG
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_a_sweep_that_loses_each_once(space: Path, uninterrupted: Path, tmp_path: Path) -> None:
    quarter = num_lines(uninterrupted) // 4
    faults = [(victim, (i + 1) * quarter) for i, victim in enumerate(("worker", "raylet", "driver"))]
    run_with_faults(space, tmp_path / "out", faults, random.Random(0))
    check(tmp_path / "out", uninterrupted)


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(int(os.environ.get("HRM_FAULTS", "6"))))
def test_a_seeded_moment(moment: int, space: Path, uninterrupted: Path, tmp_path: Path) -> None:
    rng = random.Random(moment)
    victim = VICTIMS[moment % 3]
    last = num_lines(uninterrupted) - (1 if victim == "driver" else LAST_LINES)
    run_with_faults(space, tmp_path / "out", [(victim, rng.randint(1, last))], rng)
    check(tmp_path / "out", uninterrupted)


ON_A_SMALL_DISK = """\
set -e
mkdir "$1/disk"
mount -t tmpfs -o size=$2 none "$1/disk"
cd "$1"
code=0
"$3" "$4" space="$5" out=disk/out >first.out 2>first.err || code=$?
echo $code >first.code
cp -r disk/out full
mount -o remount,size=64m "$1/disk"
"$3" "$4" resume=disk/out >again.out 2>again.err
cp -r disk/out out
"""
"""A sweep on a disk of so many bytes and, with room made, its resumption; `full` and `out` are copies after each."""


def may_mount() -> bool:
    command = ["unshare", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    return (
        shutil.which("unshare") is not None and subprocess.run(command, capture_output=True).returncode == 0
    )


def fill_a_small_disk(space: Path, folder: Path) -> str:
    """Runs a sweep on a disk that gets full, then with room; returns what the first said."""
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", ON_A_SMALL_DISK, "sh", folder, "600k"]
    done = subprocess.run(
        [*command, sys.executable, ROOT / "run_sweep.py", space], capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr + (folder / "again.err").read_text()
    assert (folder / "first.code").read_text() == "2\n"
    return (folder / "first.err").read_text()


def fill_a_limited_file(space: Path, folder: Path) -> str:
    """Limit the size of the sweep's files instead, where no disk may be mounted."""
    process = start(f"space={space}", f"out={folder / 'out'}")
    while num_lines(folder / "out") < 20:
        still_runs(process)
    size = (folder / "out" / EVENT_LOG).stat().st_size + 100
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, size))
    _, err = process.communicate(timeout=300)
    assert process.returncode == 2, err
    shutil.copytree(folder / "out", folder / "full")
    again = start(f"resume={folder / 'out'}")
    _, said = again.communicate(timeout=300)
    assert again.returncode == 0, said
    return err


@pytest.mark.slow
def test_a_full_disk_stops_the_sweep_and_with_room_it_is_resumed(
    space: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    err = (fill_a_small_disk if may_mount() else fill_a_limited_file)(space, tmp_path)
    assert "Traceback" not in err and err.count("error: ") == 1
    message = err[err.index("error: ") :]
    assert message.count("\n") == 1
    assert re.search(
        r"out: given '\S+/out'; cannot be written \((No space left on device|File too large)\). "
        r"Make room, then resume: python run_sweep.py resume=\S+/out$",
        message.strip(),
    ), message
    stopped = {row["number"]: row for row in read_trials(tmp_path / "full").to_pylist()}
    ended = {row["number"]: row for row in read_trials(tmp_path / "out").to_pylist()}
    assert len(stopped) < len(ended)
    for number, row in stopped.items():
        assert {name: ended[number][name] for name in row} == row, "what had ended stands"
    assert found(tmp_path / "out") == found(uninterrupted)
    check_each_event_once(tmp_path / "out")
