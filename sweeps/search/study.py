"""The one Optuna study of a sweep: it suggests, prunes and remembers, in a journal.

All that it knows is in the journal. Sampler and pruner are built anew for each decision from the sweep's
configuration, the trial's number and the history as of that trial (`sweeps.search.storage`). So a decision does not
depend on how often anyone asked before, and a reopened journal continues as if it had never been closed.

The methods that write are idempotent: repeated for a trial that the journal has already, they change nothing. So a
sweep is resumed by making the same calls again, in the order of its event log, on a journal that holds no trial after
the last one that started (`sweeps.search.storage.repair_journal`).
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
from sweeps.search.constrained_sampler import KEY, REJECTED, find_exhausted_keys
from sweeps.search.objectives import Objectives
from sweeps.search.pruners import build_pruner, is_comparable, show_first_objective, write_values
from sweeps.search.samplers import build_sampler, find_sampler
from sweeps.search.seeds import derive_suggestion_seed
from sweeps.search.storage import MemoryBackend, SnapshotStorage, is_complete_history
from sweeps.space.candidates import Candidate, Candidates
from sweeps.space.space import hash_space

STATES = {
    "completed": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
    # With a broken constraint: samplers learn from pruned trials, and from failed ones nothing.
    "infeasible": TrialState.PRUNED,
}

ERROR = "error"
"""User attribute of a trial: why it failed, or which limit ended it."""
RESUMED = "revived"
"""User attribute of the trial that continues a pruned one: the pruned one's number."""


class SweepStudy:
    """Suggests configurations, takes reports and results, and answers whether to prune.

    Trials are named by their numbers in the study, which the caller counts: 0, 1, 2, ... for `ask` and
    `resume_trial` together.

    Args:
        config: names sampler, pruner and objectives.
        candidates: the feasible configurations.
        journal: the journal's file, made or opened; None keeps it in memory.
        slots: trials running at once.

    Raises:
        UserError: an unknown sampler, pruner, objective or option.

    >>> space = {"name": "s", "question": "?", "parameters": {"H_layers": [1, 2, 3]}, "fixed": {"hidden_size": 64}}
    >>> config = SweepConfig(space=space, sampler={"name": "grid"}, task={"name": "sudoku6"})
    >>> candidates = Candidates(config, {"vocab_size": 11, "seq_len": 36, "num_puzzle_identifiers": 1})
    >>> study = SweepStudy(config, candidates, journal=None, slots=1)
    >>> study.ask(0, job=0).params
    {'H_layers': 3}
    >>> study.is_ready(1), study.ask(0, job=0).params  # one trial at a time; a stored one is returned again
    (False, {'H_layers': 3})
    >>> study.report(0, {1: [0.25], 2: [0.5]})
    >>> study.should_prune(0)
    False
    >>> study.tell(0, "completed", [0.75])
    >>> study.is_ready(1), study.ask(1, job=1).params
    (True, {'H_layers': 1})
    """

    def __init__(self, config: SweepConfig, candidates: Candidates, journal: Path | None, slots: int) -> None:
        self.objectives = self.check(config, candidates)
        self._config = config
        self._candidates = candidates
        self._slots = slots
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # the terminal belongs to our own progress
        backend: BaseJournalBackend = JournalFileBackend(str(journal)) if journal else MemoryBackend()
        self._storage = SnapshotStorage(backend, self._lag)
        self.optuna_study = optuna.create_study(
            storage=self._storage,
            study_name=get_study_name(config),
            directions=[one.direction for one in self.objectives.each],
            load_if_exists=True,
        )
        self._id = self._storage.get_study_id_from_name(get_study_name(config))
        for name, value in _describe_study(config).items():
            if name not in self.optuna_study.user_attrs:
                self.optuna_study.set_user_attr(name, value)

    @staticmethod
    def check(config: SweepConfig, candidates: Candidates) -> Objectives:
        """Check sampler and pruner before there is a study, and return the objectives.

        Raises:
            UserError: an unknown sampler, pruner, objective or option.
        """
        build_sampler(config, candidates, 0)
        build_pruner(config.pruner, config.train.num_reports)
        return Objectives.from_config(config, candidates)

    def extend(self, config: SweepConfig) -> None:
        """Continue under a configuration that differs in its limits only."""
        self._config = config
        self._storage.lag = self._lag

    @property
    def num_trials(self) -> int:
        """Trials in the journal."""
        return len(self._read_trials())

    def has_trial(self, number: int) -> bool:
        """Return whether the journal has trial `number`."""
        return number < self.num_trials

    def is_ready(self, number: int) -> bool:
        """Return whether trial `number` may be asked for: it is stored, or all trials that it must see have ended."""
        return self.has_trial(number) or is_complete_history(self._read_trials(), number, self._storage.lag)

    def is_exhausted(self, number: int) -> bool:
        """Return whether no feasible configuration is left for trial `number`; call only when it `is_ready`.

        In a space that is not enumerated: whether the draws that the trial would make find no new configuration.
        A stored trial had one.
        """
        if self.has_trial(number):
            return False
        rng = np.random.default_rng(derive_suggestion_seed(self._config.seed, number))
        return self._candidates.sample(rng, self._find_exhausted_keys(number)) is None

    def ask(self, number: int, job: int) -> Candidate:
        """Return the configuration of trial `number`; call only when it `is_ready` and not `is_exhausted`.

        Idempotent: a stored trial's configuration is returned as it is, without asking the sampler.

        Args:
            number: at most the number of trials in the journal.
            job: the sweep's number of the job that will train it.
        """
        if self.has_trial(number):
            return self._get_candidate(self._read_trial(number).params)
        sampler = build_sampler(self._config, self._candidates, number, self._find_exhausted_keys(number))
        self.optuna_study.sampler = sampler
        with self._storage.view_as_of(number, hidden=self._resumed):
            trial = self.optuna_study.ask(dict(self._candidates.distributions))
        assert trial.number == number
        candidate = self._get_candidate(trial.params)
        rejected = {REJECTED: sampler.rejected} if sampler.rejected else {}
        self._storage.set_trial_user_attrs(self._find_id(number), _describe_trial(job, candidate) | rejected)
        return candidate

    def resume_trial(self, number: int, pruned: int) -> None:
        """Add trial `number`, which continues trial `pruned`: Optuna does not let an ended trial continue.

        Idempotent: a stored trial is left as it is.
        """
        trial = self._read_trial(pruned)
        if self.has_trial(number):
            assert self._read_trial(number).user_attrs[RESUMED] == pruned
            return
        attributes = {name: value for name, value in trial.user_attrs.items() if name != ERROR}
        self.optuna_study.add_trial(
            optuna.trial.create_trial(
                state=TrialState.RUNNING,
                params=trial.params,
                distributions=trial.distributions,
                user_attrs=attributes | {RESUMED: pruned},
            )
        )
        assert self.num_trials == number + 1

    def report(self, number: int, values: Mapping[int, Sequence[float]]) -> None:
        """Store a running trial's objectives by step, the index of a report.

        Idempotent: steps that are stored keep their values, and an ended trial is left as it is.
        """
        trial = self._read_trial(number)
        if trial.state.is_finished():
            return
        if self.objectives.several:
            write_values(self._storage, self._find_id(number), trial, values)
            return
        for step, (value,) in values.items():
            if step not in trial.intermediate_values:
                self._storage.set_trial_intermediate_value(self._find_id(number), step, value)

    def set_constraints(self, number: int, violations: Mapping[str, float]) -> None:
        """Store how far a running trial's measured costs are from their bounds, by constraint; above 0 is broken.

        Idempotent: constraints that are stored keep their values.
        """
        trial = self._read_trial(number)
        for name, violation in violations.items():
            if name not in trial.constraints and not trial.state.is_finished():
                optuna.Trial(self.optuna_study, self._find_id(number)).set_constraint(name, violation)

    def should_prune(self, number: int) -> bool:
        """Return the pruner's decision after the latest report; it is the same when asked again."""
        pruner = build_pruner(self._config.pruner, self._config.train.num_reports)
        trial = _undo_rung(self._show_objective(self._read_trial(number)))

        def show(other: FrozenTrial) -> FrozenTrial | None:
            if other.number == number:
                return trial
            if self.objectives.several and not is_comparable(other, trial, self.objectives):
                return None
            return self._show_objective(other)

        with self._storage.view_as_of(number, show):
            # Loaded within the view, where it has one objective: Optuna keeps what a study was made with.
            study = optuna.load_study(study_name=get_study_name(self._config), storage=self._storage)
            return pruner.prune(study, trial)

    def tell(
        self, number: int, status: Status, values: Sequence[float] | None = None, error: str | None = None
    ) -> None:
        """End a trial. A pruned one keeps its last value, as Optuna has it; a failed one has none.

        Idempotent: an ended trial is left as it is.
        """
        if self._read_trial(number).state.is_finished():
            return
        if error is not None:
            self._storage.set_trial_user_attr(self._find_id(number), ERROR, error)
        self.optuna_study.tell(number, values if status == "completed" else None, STATES[status])

    @property
    def _lag(self) -> int | None:
        return self._slots if self._config.deterministic and _depends_on_results(self._config) else None

    @property
    def _resumed(self) -> set[int]:
        """Pruned trials that were resumed: a sampler learns from the trials that continue them instead."""
        if not self._config.resume_pruned:
            return set()
        return {trial.user_attrs[RESUMED] for trial in self._read_trials() if RESUMED in trial.user_attrs}

    def _find_exhausted_keys(self, number: int) -> set[str]:
        with self._storage.view_as_of(number, hidden=self._resumed):
            return find_exhausted_keys(self._read_trials(), self._config.replicates)

    def _show_objective(self, trial: FrozenTrial) -> FrozenTrial:
        """Return the trial as a pruner sees it."""
        return show_first_objective(trial) if self.objectives.several else trial

    def _get_candidate(self, params: Mapping[str, Any]) -> Candidate:
        candidate = self._candidates.candidate(params)
        assert candidate is not None, f"a trial breaks the budget: {params}"
        return candidate

    def _read_trials(self) -> list[FrozenTrial]:
        return self._storage.get_all_trials(self._id, deepcopy=False)

    def _read_trial(self, number: int) -> FrozenTrial:
        return self._storage.get_trial(self._find_id(number))

    def _find_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._id, number)


def get_study_name(config: SweepConfig) -> str:
    """Return the study's name, the same for the same command and seed.

    Hyperband draws a trial's bracket from it and the trial's number.

    >>> get_study_name(SweepConfig(space={"name": "cycles"}, seed=3))
    'cycles-seed3'
    """
    return f"{config.space['name']}-seed{config.seed}"


def _depends_on_results(config: SweepConfig) -> bool:
    """Return whether suggestions or prunings depend on other trials' results; if not, no trial waits for another."""
    return (
        find_sampler(config.sampler["name"]).learns
        or config.pruner["name"] != "none"
        or config.replicates > 1
        or config.stop.flops is not None
        or config.stop.no_improvement is not None
    )


RUNG = "completed_rung_"
"""Prefix of the system attributes in which Optuna's successive halving keeps a trial's value at a rung."""


def _undo_rung(trial: FrozenTrial) -> FrozenTrial:
    """Return the trial as it was before the pruner's decision at its latest report.

    Optuna writes a rung while a pruner decides. After a kill in between, the pruner is asked again, and must not find
    the rung passed. An attribute whose name has changed would let it: test_study.py kills there.
    """
    shown = copy.copy(trial)
    latest = trial.intermediate_values.get(trial.last_step or 0)
    attributes = trial.system_attrs.items()
    shown.system_attrs = {
        name: value for name, value in attributes if not (name.startswith(RUNG) and value == latest)
    }
    return shown


def _describe_study(config: SweepConfig) -> dict[str, Any]:
    return {
        "space": config.space["name"],
        "space_hash": hash_space(config.space),
        "objective": config.objective,
        **({"objectives": config.objectives} if config.objectives else {}),
        "seed": config.seed,
        "deterministic": config.deterministic,
    }


def _describe_trial(job: int, candidate: Candidate) -> dict[str, Any]:
    return {
        KEY: candidate.key,
        "job": job,
        "num_params": candidate.num_params,
        "flops_per_step": candidate.flops_per_step,
        "architecture": candidate.architecture,
        "values": json.dumps(candidate.values, default=str),
        "steps": candidate.run.train.steps,
    }
