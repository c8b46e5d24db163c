"""An Optuna journal that shows each decision a history which does not depend on which worker was faster.

A decision on trial i (its parameters, or whether it is pruned) sees
- trials up to i - lag as they are: all have ended, because trial i is not asked for before;
- trials between i - lag and i as running ones that have said nothing, whether or not they have ended by now
  (their parameters are known, so that a constant liar avoids them);
- trial i itself as it is, and none after it.
With lag 1 that is what a sequential search sees.

Every way in which Optuna's samplers and pruners read other trials ends in `get_all_trials`, through
`Study.get_trials`, `Study._get_trials` or Hyperband's filtered study; so this is the one place for the view.
What is written goes to the journal at once and whole, and the file opens as any Optuna journal.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.storages.journal._file import LOCK_FILE_SUFFIX
from optuna.storages.journal._storage import JournalOperation
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

JOURNAL = "study.journal"


def cut_back(journal: Path, num_trials: int) -> None:
    """Removes what a killed writer left half done: its lock, half a line, and a trial that never started.

    Optuna writes a new trial in many records. One that stands behind the last trial that started is
    forgotten with all that came of it (a sampler's position, for instance) and will be asked for again.

    Args:
        journal: the file; may be missing. No process has it open.
        num_trials: trials that have started.
    """
    if not journal.exists():
        return
    journal.with_name(journal.name + LOCK_FILE_SUFFIX).unlink(missing_ok=True)
    size, asked = 0, 0
    with journal.open("rb") as file:
        for line in file:
            asked += line.endswith(b"\n") and json.loads(line)["op_code"] == JournalOperation.CREATE_TRIAL
            if asked > num_trials or not line.endswith(b"\n"):
                break
            size += len(line)
    with journal.open("rb+") as file:
        file.truncate(size)


Show = Callable[[FrozenTrial], FrozenTrial | None]
"""How a trial is shown; None hides it."""


class SnapshotStorage(JournalStorage):
    """A journal of one study, read as of a trial while `view_as_of` on it.

    Args:
        backend: where the journal lives.
        lag: how far behind trial i the last result lies that it sees, 1 or more; None shows everything.
    """

    def __init__(self, backend: BaseJournalBackend, lag: int | None) -> None:
        super().__init__(backend)
        self.lag = lag
        self._deciding: int | None = None
        self._show: Show | None = None
        self._hidden: Container[int] = ()
        self._ended: list[FrozenTrial] = []
        """The trials, from the first on, that are known to have ended: nothing changes them any more."""

    def is_ready(self, study_id: int) -> bool:
        """Whether all trials have ended that the next one is to see as they are."""
        number = len(self._all_trials(study_id))
        return self.lag is None or number - self.lag + 1 <= len(self._ended)

    @contextmanager
    def view_as_of(
        self, number: int, show: Show | None = None, hidden: Container[int] = ()
    ) -> Iterator[None]:
        """Within, reads show the history as of trial `number`, each trial as `show` has it, and none of `hidden`.

        With `show`, the study has one objective, the first.
        """
        self._deciding, self._show, self._hidden = number, show, hidden
        try:
            yield
        finally:
            self._deciding = self._show = None
            self._hidden = ()

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        seen = self._all_trials(study_id)
        number = self._deciding
        if number is not None and self.lag is not None:
            seen = self._as_of(seen, number, self.lag)
        if self._hidden:
            seen = [trial for trial in seen if trial.number not in self._hidden]
        if self._show is not None:
            seen = [shown for shown in map(self._show, seen) if shown is not None]
        if states is not None:
            seen = [trial for trial in seen if trial.state in states]
        return copy.deepcopy(seen) if deepcopy else seen

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        directions = super().get_study_directions(study_id)
        return directions[:1] if self._show is not None else directions

    def set_trial_user_attrs(self, trial_id: int, attributes: Mapping[str, Any]) -> None:
        """Several at once: the records that Optuna would make, in one write to the disk."""
        worker = self._replay_result.worker_id
        of_all = {"op_code": JournalOperation.SET_TRIAL_USER_ATTR, "worker_id": worker, "trial_id": trial_id}
        with self._thread_lock:
            self._backend.append_logs(
                [{**of_all, "user_attr": {name: value}} for name, value in attributes.items()]
            )
            self._sync_with_backend()

    def _all_trials(self, study_id: int) -> list[FrozenTrial]:
        """As they are, in the order of their numbers; Optuna looks up each of them every time."""
        with self._thread_lock:
            self._sync_with_backend()
            later_ids = self._replay_result._study_id_to_trial_ids[study_id][len(self._ended) :]
            later = [self._replay_result.get_trial(trial_id) for trial_id in later_ids]
            ended = list(itertools.takewhile(lambda trial: trial.state.is_finished(), later))
            self._ended += ended
            return [*self._ended, *later[len(ended) :]]

    def _as_of(self, trials: list[FrozenTrial], number: int, lag: int) -> list[FrozenTrial]:
        """What trial `number` sees of all trials, which stand in the order of their numbers."""
        num_seen = max(0, number - lag + 1)
        seen, unseen = trials[:num_seen], trials[num_seen:number]
        num_ended = len(self._ended)
        assert len(seen) <= num_ended, f"trial {number} was asked for before trial {num_ended} ended"
        return [*seen, *map(_as_running, unseen), *trials[number : number + 1]]


class MemoryBackend(BaseJournalBackend):
    """A journal in memory, for simulations: nothing outlives the process."""

    def __init__(self) -> None:
        self._logs: list[dict] = []

    def read_logs(self, log_number_from: int) -> list[dict]:
        return self._logs[log_number_from:]

    def append_logs(self, logs: list[dict]) -> None:
        self._logs.extend(logs)


def _as_running(trial: FrozenTrial) -> FrozenTrial:
    return FrozenTrial(
        number=trial.number,
        trial_id=trial._trial_id,
        state=TrialState.RUNNING,
        value=None,
        datetime_start=trial.datetime_start,
        datetime_complete=None,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs=trial.user_attrs,
        system_attrs={},
        intermediate_values={},
    )
