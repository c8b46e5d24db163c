"""How long decisions take in a study of thousands of trials, and how long it takes to open one.

    python benchmarks/large_study.py [--sizes 100 1000 3000 10000] [--asks 100] [--out FOLDER]

The default sampler and pruner search the shapes of `depth_vs_width` over a continuous learning rate; two simulated
workers make learning curves by formula on a fake clock, and everything else is what a sweep does: plan, dispatcher,
ledger and journal, both on disk. A study of each size is made first, and kept where `--out` says so: up to 1,000
trials by random search, thousands by repeating these with other learning rates. A copy of it is opened as `resume`
does, and searches for `--asks` more trials by the default sampler.

suggestion: what a free slot waits for, from its question to the job. report: what the study takes to write a report
down. prune: the answer after a report that is not the last. Optuna alone: `study.ask` of its TPE on the same trials
in memory, with neither journal nor budget. Milliseconds, median and 90th percentile; processor: the median of the
time that the driver's thread was running, which other work on the machine hardly changes.
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
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._storage import JournalOperation

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import machine
from benchmarks.simulator import Simulator
from benchmarks.synthetic_curves import SyntheticCurves
from sweeps.config import BaselineConfig, BudgetConfig, ConfirmConfig, SweepConfig
from sweeps.events import Event, Job, SearchEnded, TimeExpired, Validated
from sweeps.scheduler.event_log import FILE_NAME as LEDGER
from sweeps.scheduler.phases.base import Done, Wait
from sweeps.scheduler.resume import restore
from sweeps.scheduler.scheduler import Scheduler, Stop
from sweeps.scheduler.state import SweepState
from sweeps.scheduler.stopping import start_clock
from sweeps.scheduler.trial_runner import TrialRunner
from sweeps.search.constrained_sampler import KEY
from sweeps.search.storage import JOURNAL
from sweeps.space.candidates import Candidates
from sweeps.space.space import load_space

MODEL_FIELDS = {"vocab_size": 11, "seq_len": 36, "num_puzzle_identifiers": 1}
LOWEST_RATE = 3e-4
SLOTS = 2
THOUSAND = 1_000
PLAIN_ASKS = 20
"""Of Optuna alone."""
QUESTIONS = ("suggestion", "report", "prune")
PROCESSOR = "processor"


class Timed:
    """A plan whose answers are timed."""

    def __init__(self, plan: Scheduler) -> None:
        self._plan = plan
        self.seconds: dict[str, list[float]] = defaultdict(list)

    @property
    def state(self) -> SweepState:
        return self._plan.state

    def next(self) -> Job | Wait | Done | SearchEnded | TimeExpired:
        start, running = time.perf_counter(), time.thread_time()
        job = self._plan.next()
        if isinstance(job, Job):
            self.seconds["suggestion"].append(time.perf_counter() - start)
            self.seconds[PROCESSOR].append(time.thread_time() - running)
        return job

    def must_stop(self, number: int) -> Stop | None:
        with self._timing("prune"):
            return self._plan.must_stop(number)

    def find_expiry(self) -> TimeExpired | None:
        return self._plan.find_expiry()

    def apply(self, event: Event) -> None:
        with self._timing("report") if isinstance(event, Validated) else nullcontext():
            self._plan.apply(event)

    @contextmanager
    def _timing(self, question: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[question].append(time.perf_counter() - start)


def sweep_config(num_trials: int, sampler: str = "tpe") -> SweepConfig:
    """A search of that length, without baselines and confirmations."""
    space = load_space("depth_vs_width")
    parameters = space["parameters"] | {"lr": {"log": [LOWEST_RATE, 3e-3]}}
    return SweepConfig(
        space={name: value for name, value in space.items() if name != "run"} | {"parameters": parameters},
        task={"name": "sudoku6"},
        budget=BudgetConfig(max_params="tiny_demo", min_params=0.8),
        num_trials=num_trials,
        sampler={"name": sampler},
        baseline=BaselineConfig(presets=[]),
        confirm=ConfirmConfig(finalists=0),
    )


def search(out: Path, candidates: Candidates, config: SweepConfig) -> tuple[float, dict[str, list[float]]]:
    """Goes on with the study in a folder; the seconds of opening it, and of each answer of the plan."""
    start = time.perf_counter()
    plan, ledger = restore(out, config, candidates, SLOTS, None, start_clock())
    opening = time.perf_counter() - start
    timed = Timed(plan)
    dispatcher = TrialRunner(timed, [], ledger)
    dispatcher.resume()
    Simulator(dispatcher, SyntheticCurves(0), SLOTS).run()
    ledger.close()
    return opening, timed.seconds


def make(size: int, out: Path, candidates: Candidates) -> Path:
    """The folder of a study of that size, made where it is missing."""
    made = out / str(size)
    if made.exists():
        return made
    making = out / "making"
    shutil.rmtree(making, ignore_errors=True)
    if size <= THOUSAND:
        making.mkdir(parents=True)
        search(making, candidates, sweep_config(size, "random"))
    else:
        assert size % THOUSAND == 0, f"a study of more than {THOUSAND} trials has thousands of them: {size}"
        shutil.copytree(make(THOUSAND, out, candidates), making)
        repeat(making / JOURNAL, size // THOUSAND, repeated_record)
        repeat(making / LEDGER, size // THOUSAND, repeated_event)
    return making.rename(made)


def repeat(path: Path, times: int, repeated: Callable[[dict[str, Any], int], dict[str, Any] | None]) -> None:
    """Appends what a file of JSON lines says of its trials, until it is there so many times."""
    lines = path.read_text().splitlines()
    with path.open("a") as file:
        for time_round in range(1, times):
            again = (repeated(json.loads(line), time_round) for line in lines)
            file.writelines(json.dumps(one) + "\n" for one in again if one is not None)


def repeated_record(record: dict[str, Any], time_round: int) -> dict[str, Any] | None:
    """A record of the journal, of the trial that stands so many thousands later; None where it is of no trial."""
    if record["op_code"] == JournalOperation.CREATE_TRIAL:
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


def repeated_event(event: dict[str, Any], time_round: int) -> dict[str, Any] | None:
    """An event of the ledger, likewise."""
    if "number" not in event:
        return None
    event["number"] += time_round * THOUSAND
    if "arm" in event:
        event["arm"] = f"trial {event['number']}"
    return event


def optuna_alone(journal: Path, candidates: Candidates) -> tuple[list[float], list[float]]:
    """Seconds of `study.ask` on the trials of a journal, and those of the processor."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(journal)))
    (stored,) = optuna.get_all_study_summaries(storage)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0), direction="maximize")
    study.add_trials(optuna.load_study(study_name=stored.study_name, storage=storage).get_trials())
    seconds, processor = [], []
    for _ in range(PLAIN_ASKS):
        start, running = time.perf_counter(), time.thread_time()
        study.ask(dict(candidates.distributions))
        seconds.append(time.perf_counter() - start)
        processor.append(time.thread_time() - running)
    return seconds, processor


def in_words(seconds: Sequence[float]) -> str:
    """Median and 90th percentile, in milliseconds."""
    return f"{1e3 * statistics.median(seconds):.1f}, {1e3 * float(np.quantile(seconds, 0.9)):.1f}"


def one_number(seconds: Sequence[float]) -> str:
    """The median, in milliseconds."""
    return f"{1e3 * statistics.median(seconds):.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1_000, 3_000, 10_000])
    parser.add_argument("--asks", type=int, default=100)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(given.sizes, given.asks, given.out or Path(folder))


def measure(sizes: Sequence[int], asks: int, out: Path) -> None:
    """Prints the table."""
    candidates = Candidates(sweep_config(1), MODEL_FIELDS)
    studies = {size: make(size, out, candidates) for size in sorted(sizes)}
    print(f"{machine.describe()}, {asks} suggestions each\n")
    print(f"| trials | {' | '.join(QUESTIONS)} | processor | Optuna alone | processor | opening, s |")
    print(f"|{'---|' * 8}", flush=True)
    for size, made in studies.items():
        with tempfile.TemporaryDirectory() as folder:
            copied = Path(shutil.copytree(made, Path(folder) / "study"))
            opening, seconds = search(copied, candidates, sweep_config(size + asks))
            times = [in_words(seconds[question]) for question in QUESTIONS]
            alone, processor = optuna_alone(copied / JOURNAL, candidates)
            times += [one_number(seconds[PROCESSOR]), in_words(alone), one_number(processor)]
        print(f"| {size:,} | {' | '.join(times)} | {opening:.2f} |", flush=True)


if __name__ == "__main__":
    main()
