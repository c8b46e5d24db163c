"""The simplest parallel search: processes that share an Optuna journal, each training what it is given.

`benchmarks/efficiency.py` compares a sweep with it. The trials are given: each process asks the study for the
next one, trains it with the sweep's own trainer, reports to the study, and tells it the end. Imports are done, data
are open and the first step has been made before the clock starts.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.storages.journal import JournalFileBackend

from hrm.config.run_config import RunConfig
from hrm.data.registry import open_task

NAME = "plain"
_context = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Trial:
    """A run to repeat: to its end, or to the report after which it was pruned."""

    run: RunConfig
    num_reports: int


@dataclass(frozen=True)
class Spent:
    """One trial's seconds."""

    asked: float
    """When it had been asked for, since 1970."""
    to_training: float
    """From then to its first step."""
    training: float
    """Inside training steps and evaluations."""
    ended: float
    """When the study knew of its end, since 1970."""


def run(trials: Sequence[Trial], journal: Path, processes: int) -> list[Spent]:
    """Train them all, in the order in which the processes ask for them."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(study_name=NAME, storage=_open_storage(journal), direction="maximize")
    for number in range(len(trials)):
        study.enqueue_trial({}, user_attrs={"trial": number})
    barrier, found = _context.Barrier(processes), _context.SimpleQueue()
    workers = [
        _context.Process(target=_run_worker, args=(list(trials), journal, barrier, found))
        for _ in range(processes)
    ]
    for worker in workers:
        worker.start()
    spent = [found.get() for _ in workers]
    for worker in workers:
        worker.join()
    return [one for part in spent for one in part]


def _run_worker(trials: Sequence[Trial], journal: Path, barrier: Any, found: Any) -> None:
    from hrm.training.trainer import Trainer

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.load_study(study_name=NAME, storage=_open_storage(journal))
    dataset = open_task(trials[0].run.task)
    Trainer(trials[0].run, dataset).train_to(1)
    barrier.wait()
    spent = []
    for _ in trials:
        trial = study.ask()
        asked = time.time()
        if "trial" not in trial.user_attrs:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)  # all that were queued have been taken
            break
        given = trials[trial.user_attrs["trial"]]
        trainer = Trainer(given.run, dataset)
        to_training = time.time() - asked
        value = 0.0
        for index in range(1, given.num_reports + 1):
            value = trainer.train_to_next_validation().metrics["valid/loss"] or 0.0
            trial.report(value, index)
        study.tell(trial, value)
        spent.append(Spent(asked, to_training, trainer.train_seconds + trainer.eval_seconds, time.time()))
    found.put(spent)


def _open_storage(journal: Path) -> optuna.storages.BaseStorage:
    return optuna.storages.JournalStorage(JournalFileBackend(str(journal)))
