"""How long decisions take in a study of thousands of trials, and how long it takes to open one.

    python benchmarks/large_study.py [--sizes 100 1000 10000] [--asks 100] [--spaces shapes widths] [--out FOLDER]

Two simulated workers make learning curves by formula on a fake clock; scheduler and trial runner are a sweep's,
event log and journal are on disk. Half of the points of each space do not fit the budget:

- `shapes`: those of `depth_vs_width` over a continuous learning rate; shapes are enumerated;
- `widths`: numbers of layers and a continuous feed-forward expansion; shapes are not, so TPE has constraint feedback.

A study of each size is made first, and kept where `--out` says so: up to 1,000 trials by random search, thousands by
repeating these with other learning rates. A copy of it is opened as `resume` does, and searches for `--asks` more
trials, by this project's TPE and by Optuna's.

suggestion: what a free worker waits for, from its question to the job, rejected proposals and the event log
included. proposals: those of a suggestion, of which all but the last were rejected. report: what the study takes to
store a report. prune: the answer after a report that is not the last. Medians and 90th percentiles, in milliseconds;
processor: of the time that the driver's thread was running, which other work on the machine changes less.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, cast
from unittest import mock

import numpy as np
from optuna.samplers import TPESampler

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import machine
from benchmarks.simulator import Simulator
from benchmarks.synthetic_curves import SyntheticCurves
from sweeps.config import BaselineConfig, BudgetConfig, ConfirmConfig, SweepConfig
from sweeps.events import EVENT_LOG, Event, EventLog, Job, SearchEnded, TimeExpired, Validated
from sweeps.scheduler.phases.base import Done, Wait
from sweeps.scheduler.resume import restore
from sweeps.scheduler.scheduler import Scheduler, Stop
from sweeps.scheduler.state import SweepState
from sweeps.scheduler.stopping import start_clock
from sweeps.scheduler.trial_runner import TrialRunner
from sweeps.search import samplers
from sweeps.search.constrained_sampler import KEY
from sweeps.search.fast_tpe import FastTPESampler
from sweeps.search.storage import CREATE_TRIAL, JOURNAL
from sweeps.space.candidates import Candidates
from sweeps.space.space import load_space

MODEL_FIELDS = {"vocab_size": 11, "seq_len": 36, "num_puzzle_identifiers": 1}
LOWEST_RATE = 3e-4
SLOTS = 2
THOUSAND = 1_000
SUGGESTION, PROCESSOR, PROPOSALS = "suggestion", "processor", "proposals"
COLUMNS = (SUGGESTION, PROCESSOR, "report", "prune")
BUDGETS = {
    "shapes": BudgetConfig(max_params="tiny_demo", min_params=0.88),
    "widths": BudgetConfig(max_params=385_000),
}
WIDTHS: dict[str, Any] = {
    "name": "widths",
    "question": "How much feed-forward, and how many layers?",
    "parameters": {
        "H_layers": {"int": [1, 4]},
        "L_layers": {"int": [1, 4]},
        "expansion": {"float": [1, 8]},
        "lr": {"log": [LOWEST_RATE, 3e-3]},
    },
    "fixed": {"hidden_size": 80, "num_heads": 5, "H_cycles": 1, "L_cycles": 1, "mlp_multiple": 1},
}
LARGEST = 530_000
"""Parameters, about."""
SAMPLERS_COMPARED = {"ours": FastTPESampler, "Optuna's": partial(TPESampler, multivariate=True)}


propose = TPESampler.sample_relative


class LargerIsBetter(SyntheticCurves):
    """Curves of which the best are at the edge of the budget."""

    def compute_ceiling(self, job: Job) -> float:
        return super().compute_ceiling(job) * (job.num_params / LARGEST) ** 2


class TimedRunner(TrialRunner):
    """A trial runner whose suggestions are timed, and their proposals counted."""

    def __init__(self, scheduler: Timed, log: EventLog) -> None:
        super().__init__(cast(Scheduler, scheduler), [], log)
        self._measured = scheduler.measured

    def next_job(self) -> Job | Wait | Done:
        start, running = time.perf_counter(), time.thread_time()
        with mock.patch.object(TPESampler, "sample_relative", autospec=True, side_effect=propose) as proposed:
            job = super().next_job()
        if isinstance(job, Job):
            self._measured[SUGGESTION].append(time.perf_counter() - start)
            self._measured[PROCESSOR].append(time.thread_time() - running)
            self._measured[PROPOSALS].append(proposed.call_count)
        return job


class Timed:
    """A scheduler whose answers are timed."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.measured: dict[str, list[float]] = defaultdict(list)

    @property
    def state(self) -> SweepState:
        return self._scheduler.state

    def next(self) -> Job | Wait | Done | SearchEnded | TimeExpired:
        return self._scheduler.next()

    def must_stop(self, number: int) -> Stop | None:
        with self._time_answer("prune"):
            return self._scheduler.must_stop(number)

    def describe_violation(self, number: int) -> str | None:
        return self._scheduler.describe_violation(number)

    def find_expiry(self) -> TimeExpired | None:
        return self._scheduler.find_expiry()

    def apply(self, event: Event) -> None:
        with self._time_answer("report") if isinstance(event, Validated) else nullcontext():
            self._scheduler.apply(event)

    @contextmanager
    def _time_answer(self, question: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.measured[question].append(time.perf_counter() - start)


def make_config(space_name: str, num_trials: int, sampler: str = "tpe") -> SweepConfig:
    """Return a search of that length, without baselines and confirmations."""
    if space_name == "widths":
        space = WIDTHS
    else:
        space = {name: value for name, value in load_space("depth_vs_width").items() if name != "run"}
        space["parameters"] = space["parameters"] | {"lr": {"log": [LOWEST_RATE, 3e-3]}}
    return SweepConfig(
        space=space,
        task={"name": "sudoku6"},
        budget=BUDGETS[space_name],
        num_trials=num_trials,
        sampler={"name": sampler},
        baseline=BaselineConfig(presets=[]),
        confirm=ConfirmConfig(finalists=0),
    )


def search(out: Path, candidates: Candidates, config: SweepConfig) -> tuple[float, dict[str, list[float]]]:
    """Resume the study in a folder; return the seconds of opening it, and those of each answer."""
    start = time.perf_counter()
    scheduler, log = restore(out, config, candidates, SLOTS, None, start_clock())
    opening = time.perf_counter() - start
    timed = Timed(scheduler)
    runner = TimedRunner(timed, log)
    runner.resume()
    Simulator(runner, LargerIsBetter(0), SLOTS).run()
    log.close()
    return opening, timed.measured


def make_study(size: int, out: Path, space: str, candidates: Candidates) -> Path:
    """Return the folder of a study of that size, made where it is missing."""
    made = out / f"{space}-{size}"
    if made.exists():
        return made
    making = out / "making"
    shutil.rmtree(making, ignore_errors=True)
    if size <= THOUSAND:
        making.mkdir(parents=True)
        search(making, candidates, make_config(space, size, "random"))
    else:
        assert size % THOUSAND == 0, f"a study of more than {THOUSAND} trials has thousands of them: {size}"
        shutil.copytree(make_study(THOUSAND, out, space, candidates), making)
        repeat(making / JOURNAL, size // THOUSAND, repeat_record)
        repeat(making / EVENT_LOG, size // THOUSAND, repeat_event)
    return making.rename(made)


def repeat(path: Path, times: int, repeated: Callable[[dict[str, Any], int], dict[str, Any] | None]) -> None:
    """Append what a file of JSON lines says about its trials, until it is there that many times."""
    lines = path.read_text().splitlines()
    with path.open("a") as file:
        for time_round in range(1, times):
            again = (repeated(json.loads(line), time_round) for line in lines)
            file.writelines(json.dumps(one) + "\n" for one in again if one is not None)


def repeat_record(record: dict[str, Any], time_round: int) -> dict[str, Any] | None:
    """Return a record of the journal for the trial that many thousands later; None where it is of no trial."""
    if record["op_code"] == CREATE_TRIAL:
        return record
    if "trial_id" not in record:
        return None
    record["trial_id"] += time_round * THOUSAND
    if record.get("param_name") == "lr":
        record["param_value_internal"] = max(
            LOWEST_RATE, record["param_value_internal"] * (1 - 1e-5 * time_round)
        )
    if KEY in record.get("user_attr", {}):
        record["user_attr"][KEY] += f" {time_round}"
    return record


def repeat_event(event: dict[str, Any], time_round: int) -> dict[str, Any] | None:
    """Return an event of the log, likewise."""
    if "number" not in event:
        return None
    event["number"] += time_round * THOUSAND
    if "arm" in event:
        event["arm"] = f"trial {event['number']}"
    return event


def format_spread(values: Sequence[float], digits: str, unit: float = 1) -> str:
    """Return median and 90th percentile."""
    return f"{unit * statistics.median(values):{digits}}, {unit * float(np.quantile(values, 0.9)):{digits}}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--asks", type=int, default=100)
    parser.add_argument("--spaces", nargs="+", default=list(BUDGETS), choices=BUDGETS)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    print(f"{machine.describe()}, {given.asks} suggestions each\n")
    print(f"| space | trials | TPE | proposals | {' | '.join(COLUMNS)} | opening, s |")
    print(f"|{'---|' * (5 + len(COLUMNS))}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for space in given.spaces:
            measure(space, given.sizes, given.asks, given.out or Path(folder))


def measure(space: str, sizes: Sequence[int], asks: int, out: Path) -> None:
    """Print the table's rows for a space."""
    candidates = Candidates(make_config(space, 1), MODEL_FIELDS)
    for size in sorted(sizes):
        made = make_study(size, out, space, candidates)
        for name, kind in SAMPLERS_COMPARED.items():
            with tempfile.TemporaryDirectory() as folder, mock.patch.object(samplers, "FastTPESampler", kind):
                copied = Path(shutil.copytree(made, Path(folder) / "study"))
                opening, measured = search(copied, candidates, make_config(space, size + asks))
            proposals = format_spread(measured[PROPOSALS], ".0f")
            times = " | ".join(format_spread(measured[column], ".1f", 1e3) for column in COLUMNS)
            print(f"| {space} | {size:,} | {name} | {proposals} | {times} | {opening:.2f} |", flush=True)


if __name__ == "__main__":
    main()
