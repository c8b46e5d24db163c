"""Measure how much of the workers' time is training, in a sweep and in plain Optuna on the same trials.

    python benchmarks/efficiency.py [--rounds 3] [--trials 32] [--steps 30]
        [--deterministic true] [--sweep space=depth_vs_width]

`--rounds` times in turn: a whole sweep by `run_sweep.py` with two workers, and two plain Optuna processes that
share a journal and train the same configurations for the same number of steps (`plain_optuna.py`). Efficiency is
the seconds in training steps and evaluations over workers x wall time, from the first suggestion to the last
completion. The trials are `--trials` random configurations of `depth_vs_width` of `--steps` steps, none pruned; or
all jobs of the sweep of `--sweep`, baselines and confirmations included.

"to training" is the time from a suggestion that is written down to the first training step; for the sweep an upper
bound, which includes the way back of the first validation. "study", "event log", "tables" and "W&B" are the seconds
that the driver spends in each, as a share of the wall time, counted while trials train: what a worker waits for is
part of the efficiency. W&B has a thread of its own, for which the driver does not wait and which mostly waits for
W&B's service process; so its processor time is given, too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import machine, plain_optuna
from hrm.config.run_config import RunConfig
from sweeps.results.tables import read_curves, read_trials

NUM_WORKERS = 2
MODES = ("true", "false")
PROCESSOR = "W&B, processor"
WATCHED = {
    "study": "sweeps.search.study:SweepStudy:is_exhausted ask report should_prune tell",
    "event log": "sweeps.events:EventLog:write",
    "tables": "sweeps.results.tables:TableWriter:on_start on_end",
    "W&B": "sweeps.callbacks.wandb.runs:WandbRuns:_start _log _end",
}
"""What is timed in the driver: module, class and methods."""


@dataclass(frozen=True)
class Measured:
    """One run of all trials."""

    efficiency: float
    wall: float
    to_training: list[float]
    """Seconds of each trial, without the first one of each worker."""
    shares: dict[str, float]


def watch() -> dict[str, Any]:
    """Run `run_sweep.py` in this process with the rest of the command line, timing the methods of `WATCHED`.

    Returns:
        `seconds` of each; and by job number when it was `started`, and the `first` training step's time.
    """
    import importlib

    from hrm.config.command_line import run_cli
    from sweeps.cli.main import main
    from sweeps.events import EventLog, Started, Validated

    seconds: dict[str, float] = defaultdict(float)
    inside = threading.local()

    def timed(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if getattr(inside, "any", False):
                return method(*args, **kwargs)
            inside.any, start, running = True, time.perf_counter(), time.thread_time()
            try:
                return method(*args, **kwargs)
            finally:
                seconds[name] += time.perf_counter() - start
                if name == "W&B":
                    seconds[PROCESSOR] += time.thread_time() - running
                inside.any = False

        return call

    for name, place in WATCHED.items():
        module, kind, methods = place.split(":")
        watched = getattr(importlib.import_module(module), kind)
        for method in methods.split():
            setattr(watched, method, timed(name, getattr(watched, method)))

    started: dict[int, float] = {}
    first: dict[int, float] = {}
    write = EventLog.write

    def noting(self: EventLog, event: Any) -> None:
        now = time.time()
        if isinstance(event, Validated) and event.number not in first:
            first[event.number] = now - event.validation.train_seconds - event.validation.eval_seconds
        write(self, event)
        if isinstance(event, Started):
            started[event.number] = event.time

    EventLog.write = noting  # type: ignore[method-assign]
    code = run_cli(main)
    assert code == 0, f"the sweep ended with code {code}"
    return {"seconds": seconds, "started": started, "first": first}


def run_sweep(overrides: Sequence[str], out: Path) -> Measured:
    """Run a sweep in a process of its own."""
    watching = out.with_suffix(".json")
    command = [sys.executable, __file__, "--watch", str(watching), *overrides]
    command += [f"out={out}", f"max_concurrent={NUM_WORKERS}"]
    subprocess.run(command, check=True, capture_output=True)
    seen = json.loads(watching.read_text())
    rows = read_trials(out).to_pylist()
    started = {int(number): at for number, at in seen["started"].items()}
    ended = max(row["started_at"].timestamp() + row["seconds"] for row in rows)
    wall = ended - min(started.values())
    training = sum((row["train_seconds"] or 0.0) + (row["eval_seconds"] or 0.0) for row in rows)
    to_training = [
        seen["first"][str(number)] - at for number, at in sorted(started.items(), key=lambda one: one[1])
    ]
    shares = {name: spent / wall for name, spent in seen["seconds"].items()}
    return Measured(training / (NUM_WORKERS * wall), wall, to_training[NUM_WORKERS:], shares)


def run_plain(out: Path, journal: Path) -> Measured:
    """Run plain Optuna on the trials of a sweep's folder, in the order in which they started there."""
    rows = sorted(read_trials(out).to_pylist(), key=lambda row: row["started_at"])
    reports: dict[int, int] = defaultdict(int)
    for number in read_curves(out)["number"].to_pylist():
        reports[number] += 1
    trials = [
        plain_optuna.Trial(RunConfig.from_dict(json.loads(row["config"])), reports[row["number"]])
        for row in rows
    ]
    spent = sorted(plain_optuna.run(trials, journal, NUM_WORKERS), key=lambda one: one.asked)
    wall = max(one.ended for one in spent) - spent[0].asked
    training = sum(one.training for one in spent)
    return Measured(
        training / (NUM_WORKERS * wall), wall, [one.to_training for one in spent[NUM_WORKERS:]], {}
    )


def format_row(name: str, measured: Measured, ratio: float | None = None) -> str:
    """Format a line of the table."""
    late = [1e3 * seconds for seconds in measured.to_training]
    shares = " | ".join(
        f"{measured.shares[one]:.2%}" if one in measured.shares else "–" for one in [*WATCHED, PROCESSOR]
    )
    return (
        f"| {name} | {measured.efficiency:.3f} | {'–' if ratio is None else f'{ratio:.3f}'} "
        f"| {measured.wall:.1f} | {statistics.median(late):.0f}, {np.quantile(late, 0.9):.0f} | {shares} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=32)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--deterministic", nargs="+", choices=MODES, default=MODES)
    parser.add_argument("--sweep", nargs="+", help="overrides of run_sweep.py: a sweep of your own instead")
    given = parser.parse_args()
    overrides = given.sweep or [
        "space=depth_vs_width",
        f"num_trials={given.trials}",
        f"train.steps={given.steps}",
        "train.equal=steps",
        "train.num_reports=5",
        "sampler=random",
        "pruner=none",
        "baseline.presets=[]",
        "confirm.finalists=0",
    ]
    print(f"{machine.describe()}, {NUM_WORKERS} workers\n")
    print(f"| | efficiency | of plain | wall, s | to training, ms | {' | '.join([*WATCHED, PROCESSOR])} |")
    print(f"|{'---|' * (6 + len(WATCHED))}", flush=True)
    ratios = defaultdict(list)
    for turn in range(given.rounds):
        with tempfile.TemporaryDirectory() as folder:
            ours = {
                f"sweep, deterministic={mode}": run_sweep(
                    [*overrides, f"deterministic={mode}"], Path(folder) / mode
                )
                for mode in given.deterministic
            }
            alone = run_plain(Path(folder) / given.deterministic[0], Path(folder) / "journal")
        print(format_row("plain Optuna", alone), flush=True)
        for name, measured in ours.items():
            ratios[name].append(measured.efficiency / alone.efficiency)
            print(format_row(name, measured, ratios[name][turn]), flush=True)
    for name, values in ratios.items():
        print(f"\n{name}: {statistics.median(values):.3f} of plain Optuna (median of {given.rounds})")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--watch"]:
        target = Path(sys.argv[2])
        del sys.argv[1:3]
        target.write_text(json.dumps(watch()))
    else:
        main()
