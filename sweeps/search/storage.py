"""An Optuna journal that shows each decision a history which does not depend on which worker was faster.

A decision on trial i (its parameters, or whether it is pruned) sees
- trials up to i - lag as they are: all have ended, because trial i is not asked for before;
- trials between i - lag and i as running ones without reports, whether or not they have ended by now
  (their parameters are known, so that a constant liar avoids them);
- trial i itself as it is, and none after it.
With lag 1 that is what a sequential search sees.

Every way in which Optuna's samplers and pruners read other trials ends in `get_all_trials`, through
`Study.get_trials`, `Study._get_trials` or Hyperband's filtered study; so this is the one place for the view.
Writes go to the journal at once and in full, and the file opens as any Optuna journal.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileSymlinkLock
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

JOURNAL = "study.journal"

# The journal's format, which Optuna does not document: a JSON record per line, each with one of these codes.
# tests/sweeps/search/test_storage.py fails when a record of Optuna's has another.
CREATE_TRIAL, SET_TRIAL_USER_ATTR = 4, 8


def repair_journal(journal: Path, num_trials: int) -> int:
    """Remove what a killed process left half done: its lock, half a line, and a trial that never started.

    Optuna writes a new trial in many records. A trial after the last one that started is removed with all its
    records (a sampler's position, for instance), and will be asked for again.

    Args:
        journal: the file; may be missing. No process has it open.
        num_trials: trials that have started.

    Returns:
        Trials that are left: fewer than `num_trials` if the journal was lost.

    >>> repair_journal(Path("missing.journal"), num_trials=3)
    0
    """
    if not journal.exists():
        return 0
    with suppress(RuntimeError):  # Optuna's answer where there is no lock
        JournalFileSymlinkLock(str(journal)).release()
    size, num_kept = 0, 0
    with journal.open("rb") as file:
        for line in file:
            is_new_trial = line.endswith(b"\n") and json.loads(line)["op_code"] == CREATE_TRIAL
            if (is_new_trial and num_kept == num_trials) or not line.endswith(b"\n"):
                break
            num_kept += is_new_trial
            size += len(line)
    with journal.open("rb+") as file:
        file.truncate(size)
    return num_kept


Show = Callable[[FrozenTrial], FrozenTrial | None]
"""Returns a trial as a view shows it; None hides it."""


class SnapshotStorage(JournalStorage):
    """A journal of one study, read as of a trial while `view_as_of` on it.

    Args:
        backend: where the journal is kept.
        lag: distance from trial i to the last trial whose result it sees, 1 or more; None shows everything.

    >>> import optuna
    >>> storage = SnapshotStorage(MemoryBackend(), lag=2)
    >>> study = optuna.create_study(storage=storage)
    >>> study.add_trials([optuna.trial.create_trial(value=value) for value in (0.1, 0.2, 0.3, 0.4)])
    >>> with storage.view_as_of(3):
    ...     [trial.value for trial in study.get_trials()]
    [0.1, 0.2, None, 0.4]
    """

    def __init__(self, backend: BaseJournalBackend, lag: int | None) -> None:
        super().__init__(backend)
        self.lag = lag
        self._journal = backend
        self._deciding: int | None = None
        self._show: Show | None = None
        self._hidden: Container[int] = ()

    @contextmanager
    def view_as_of(
        self, number: int, show: Show | None = None, hidden: Container[int] = ()
    ) -> Iterator[None]:
        """Show the history as of trial `number` within the context, each trial as `show` has it, none of `hidden`.

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
        trials = super().get_all_trials(study_id, deepcopy=False)
        if self._deciding is not None and self.lag is not None:
            trials = _view(trials, self._deciding, self.lag)
        if self._hidden:
            trials = [trial for trial in trials if trial.number not in self._hidden]
        if self._show is not None:
            trials = [shown for shown in map(self._show, trials) if shown is not None]
        if states is not None:
            trials = [trial for trial in trials if trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        directions = super().get_study_directions(study_id)
        return directions[:1] if self._show is not None else directions

    def set_trial_user_attrs(self, trial_id: int, attributes: Mapping[str, Any]) -> None:
        """Set several attributes: the records that Optuna would make one by one, in one write to the disk."""
        common = {"op_code": SET_TRIAL_USER_ATTR, "worker_id": "sweep", "trial_id": trial_id}
        self._journal.append_logs(
            [common | {"user_attr": {name: value}} for name, value in attributes.items()]
        )


class MemoryBackend(BaseJournalBackend):
    """A journal in memory, for simulations: nothing outlives the process.

    >>> backend = MemoryBackend()
    >>> backend.append_logs([{"op_code": 0}, {"op_code": 4}])
    >>> backend.read_logs(1)
    [{'op_code': 4}]
    """

    def __init__(self) -> None:
        self._logs: list[dict] = []

    def read_logs(self, log_number_from: int) -> list[dict]:
        return self._logs[log_number_from:]

    def append_logs(self, logs: list[dict]) -> None:
        self._logs.extend(logs)


def is_complete_history(trials: list[FrozenTrial], number: int, lag: int | None) -> bool:
    """Return whether all trials have ended whose results trial `number` sees.

    >>> from optuna.trial import create_trial
    >>> trials = [create_trial(value=1.0), create_trial(state=TrialState.RUNNING)]
    >>> is_complete_history(trials, number=2, lag=1), is_complete_history(trials, number=2, lag=2)
    (False, True)
    """
    return lag is None or all(trial.state.is_finished() for trial in trials[: max(0, number - lag + 1)])


def _view(trials: list[FrozenTrial], number: int, lag: int) -> list[FrozenTrial]:
    """Return what trial `number` sees of all trials, which are in the order of their numbers."""
    num_seen = max(0, number - lag + 1)
    assert is_complete_history(trials, number, lag), f"trial {number} was decided on too early"
    return [*trials[:num_seen], *map(_show_as_running, trials[num_seen:number]), *trials[number : number + 1]]


def _show_as_running(trial: FrozenTrial) -> FrozenTrial:
    """Return the trial as it was when it started."""
    shown = copy.copy(trial)
    shown.state, shown.values, shown.datetime_complete = TrialState.RUNNING, None, None
    shown.system_attrs, shown.intermediate_values = {}, {}
    return shown
