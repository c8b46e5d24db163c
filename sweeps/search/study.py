"""The one Optuna study of a sweep: it suggests, prunes and remembers, in a journal.

All that it knows lies in the journal. Sampler and pruner are built afresh for each decision from the sweep's
configuration, the trial's number and the history as of that trial (`sweeps.search.storage`); so a decision does
not depend on how often anyone asked before, and a reopened journal goes on as if it had never been closed.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from sweeps.config import SweepConfig
from sweeps.events import Status
from sweeps.search.comparable_trials import is_comparable, show_first_objective, write_values
from sweeps.search.constrained_sampler import (
    KEY,
    REJECTED,
    ConstrainedSampler,
    build_constraint_feedback,
    exhausted_keys,
)
from sweeps.search.objectives import Objectives
from sweeps.search.pruners import build_pruner
from sweeps.search.samplers import SAMPLERS, build_sampler
from sweeps.search.seeds import suggestion_seed
from sweeps.search.storage import MemoryBackend, Show, SnapshotStorage
from sweeps.space.candidates import Candidate, Candidates
from sweeps.space.space import space_hash

STATES = {"completed": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}

ERROR = "error"
"""User attribute of a trial: why it failed, or which limit ended it."""
REVIVED = "revived"
"""User attribute of the trial that stands for a pruned one from where that goes on: its number."""
RUNG = "completed_rung_"
"""How Optuna's system attributes begin that hold a trial's value at a rung."""


class SweepStudy:
    """Ask, report, should_prune, tell.

    Args:
        config: names sampler, pruner and objectives.
        candidates: the feasible configurations.
        journal: the journal's file, made or opened; None keeps it in memory.
        slots: trials running at once.

    Raises:
        UserError: an unknown sampler, pruner, objective or option.
    """

    def __init__(self, config: SweepConfig, candidates: Candidates, journal: Path | None, slots: int) -> None:
        self.objectives = Objectives.of(config, candidates)
        self._config = config
        self._candidates = candidates
        self._slots = slots
        build_sampler(config, candidates, 0)
        self._pruner()
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # the terminal belongs to our own progress
        backend: BaseJournalBackend = JournalFileBackend(str(journal)) if journal else MemoryBackend()
        self._storage = SnapshotStorage(backend, self._lag)
        self._study = optuna.create_study(
            storage=self._storage,
            study_name=study_name(config),
            directions=[one.direction for one in self.objectives.each],
            load_if_exists=True,
        )
        for name, value in _study_attributes(config).items():
            if name not in self._study.user_attrs:
                self._study.set_user_attr(name, value)

    @staticmethod
    def check(config: SweepConfig, candidates: Candidates) -> None:
        """Check sampler, pruner and objectives, before there is a study.

        Raises:
            UserError: an unknown sampler, pruner, objective or option.
        """
        Objectives.of(config, candidates)
        build_sampler(config, candidates, 0)
        build_pruner(config.pruner, config.train.num_reports)

    def extend(self, config: SweepConfig) -> None:
        """Goes on under a configuration that differs in its limits only."""
        self._config = config
        self._storage.lag = self._lag

    @property
    def num_asked(self) -> int:
        """Trials asked for so far: the number of the next one."""
        return len(self._study.get_trials(deepcopy=False))

    def exhausted(self) -> bool:
        """True when no feasible configuration may have another trial; call only when `ready`.

        Of a space that is not enumerated: when the draws that the next trial would make find no new one.
        """
        number = self.num_asked
        rng = np.random.default_rng(suggestion_seed(self._config.seed, number))
        with self._storage.view_as_of(number, hidden=self._gone_on):
            closed = exhausted_keys(self._study, number, self._config.replicates)
        return self._candidates.sample(rng, closed) is None

    def ready(self) -> bool:
        """True when the next trial's history is complete: all trials that it must see have ended."""
        return self._storage.is_ready(self._study._study_id)

    def ask(self, job: int) -> tuple[int, Candidate]:
        """The next trial's number and configuration; call only when `ready` and not `exhausted`.

        Args:
            job: the sweep's number of the job that will train it.
        """
        number = self.num_asked
        inner, draws = build_sampler(self._config, self._candidates, number)
        seed = suggestion_seed(self._config.seed, number)
        feedback = build_constraint_feedback(inner, self._candidates)
        sampler = ConstrainedSampler(self._candidates, inner, draws, seed, self._config.replicates, feedback)
        self._study.sampler = sampler
        with self._storage.view_as_of(number, hidden=self._gone_on):
            trial = self._study.ask(dict(self._candidates.distributions))
        assert trial.number == number
        candidate = self._candidate(trial)
        rejected = {REJECTED: sampler.rejected} if sampler.rejected else {}
        self._storage.set_trial_user_attrs(trial._trial_id, _trial_attributes(job, candidate) | rejected)
        return number, candidate

    def revive(self, number: int) -> int:
        """A new trial that stands for a pruned one, which Optuna does not let go on; returns its number."""
        pruned = self._storage.get_trial(self._trial(number)._trial_id)
        attributes = {name: value for name, value in pruned.user_attrs.items() if name != ERROR}
        self._study.add_trial(
            optuna.trial.create_trial(
                state=TrialState.RUNNING,
                params=pruned.params,
                distributions=pruned.distributions,
                user_attrs=attributes | {REVIVED: number},
            )
        )
        return self.num_asked - 1

    def recall(self, number: int) -> Candidate | None:
        """The configuration of a trial that was asked for before the journal was opened again; None if none was."""
        try:
            return self._candidate(self._trial(number))
        except KeyError:
            return None

    def settle(
        self,
        number: int,
        values: Mapping[int, Sequence[float]],
        ended: tuple[Status, Sequence[float] | None, str | None] | None,
    ) -> None:
        """Writes down what the journal lacks of a recalled trial.

        Args:
            values: the objectives by step.
            ended: status, values and error, as `tell` takes them; None for a trial that goes on.
        """
        if self._storage.get_trial(self._trial(number)._trial_id).state.is_finished():
            return
        self.report(number, values)
        if ended is not None:
            self.tell(number, *ended)

    def report(self, number: int, values: Mapping[int, Sequence[float]]) -> None:
        """Tells the objectives by step, the index of a report; what was told before stands."""
        trial = self._trial(number)
        stored = self._storage.get_trial(trial._trial_id)
        if self.objectives.several:
            write_values(self._storage, stored, values)
            return
        for step, (value,) in values.items():
            if step not in stored.intermediate_values:
                trial.report(value, step)

    def should_prune(self, number: int) -> bool:
        """The pruner's answer after the latest report."""
        pruner = self._pruner()
        trial = _before_decision(self._as_pruned(self._storage.get_trial(self._trial(number)._trial_id)))
        with self._storage.view_as_of(number, self._compared(trial)):
            # Made here, where it has one objective: Optuna keeps what a study was made with.
            alone = optuna.Study(self._study.study_name, self._storage) if self.objectives.several else None
            return pruner.prune(alone or self._study, trial)

    def tell(
        self, number: int, status: Status, values: Sequence[float] | None = None, error: str | None = None
    ) -> None:
        """Ends a trial. A pruned one keeps its last value, as Optuna has it; a failed one has none."""
        if self._storage.get_trial(self._trial(number)._trial_id).state.is_finished():
            return
        if error is not None:
            self._trial(number).set_user_attr(ERROR, error)
        self._study.tell(number, values if status == "completed" else None, STATES[status])

    @property
    def _lag(self) -> int | None:
        return self._slots if self._config.deterministic and _looks_back(self._config) else None

    @property
    def _gone_on(self) -> set[int]:
        """Pruned trials that were revived: a sampler knows their training by the trials that stand for them."""
        if not self._config.revive:
            return set()
        attributes = (trial.user_attrs for trial in self._study.get_trials(deepcopy=False))
        return {of_trial[REVIVED] for of_trial in attributes if REVIVED in of_trial}

    def _compared(self, trial: FrozenTrial) -> Show:
        """Shows a pruner the trial, and those with which it may be compared."""

        def show(other: FrozenTrial) -> FrozenTrial | None:
            if other.number == trial.number:
                return trial
            if self.objectives.several and not is_comparable(other, trial, self.objectives):
                return None
            return self._as_pruned(other)

        return show

    def _as_pruned(self, trial: FrozenTrial) -> FrozenTrial:
        """The trial as a pruner takes it."""
        return show_first_objective(trial) if self.objectives.several else trial

    def _candidate(self, trial: optuna.Trial) -> Candidate:
        candidate = self._candidates.candidate(trial.params)
        assert candidate is not None, f"trial {trial.number} breaks the budget: {trial.params}"
        return candidate

    def _pruner(self) -> optuna.pruners.BasePruner:
        return build_pruner(self._config.pruner, self._config.train.num_reports)

    def _trial(self, number: int) -> optuna.Trial:
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._study._study_id, number)
        return optuna.Trial(self._study, trial_id)


def study_name(config: SweepConfig) -> str:
    """The same for the same command and seed: Hyperband draws a trial's bracket from it and the number."""
    return f"{config.space['name']}-seed{config.seed}"


def _looks_back(config: SweepConfig) -> bool:
    """Whether what starts and what is pruned depends on what trials have come to: else none waits for another."""
    return (
        SAMPLERS[config.sampler["name"]].learns
        or config.pruner["name"] != "none"
        or config.replicates > 1
        or config.stop.flops is not None
        or config.stop.no_improvement is not None
    )


def _before_decision(trial: FrozenTrial) -> FrozenTrial:
    """The trial as it was before it was decided on at its latest report.

    A rung is written while a pruner decides; a kill in between must not let the trial pass it.
    """
    shown = copy.copy(trial)
    latest = trial.intermediate_values.get(trial.last_step or 0)
    attributes = trial.system_attrs.items()
    shown.system_attrs = {
        name: value for name, value in attributes if not (name.startswith(RUNG) and value == latest)
    }
    return shown


def _study_attributes(config: SweepConfig) -> dict[str, Any]:
    return {
        "space": config.space["name"],
        "space_hash": space_hash(config.space),
        "objective": config.objective,
        **({"objectives": config.objectives} if config.objectives else {}),
        "seed": config.seed,
        "deterministic": config.deterministic,
    }


def _trial_attributes(job: int, candidate: Candidate) -> dict[str, Any]:
    return {
        KEY: candidate.key,
        "job": job,
        "num_params": candidate.num_params,
        "flops_per_step": candidate.flops_per_step,
        "architecture": candidate.architecture,
        "values": json.dumps(candidate.values, default=str),
        "steps": candidate.run.train.steps,
    }
