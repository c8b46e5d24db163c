from __future__ import annotations

import pickle
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.trial import FrozenTrial, TrialState

from sweeps.search.storage import MemoryBackend, SnapshotStorage, repair_journal

DISTRIBUTIONS = {"x": optuna.distributions.FloatDistribution(0, 1)}


def study_with(lag: int | None, num_finished: int, num_running: int) -> tuple[optuna.Study, SnapshotStorage]:
    """Finished trials first, each with two reports, a rung and a user attribute; then the same, running."""
    storage = SnapshotStorage(MemoryBackend(), lag)
    study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(seed=0))
    for number in range(num_finished + num_running):
        trial = study.ask(DISTRIBUTIONS)
        trial.set_user_attr("key", number)
        for step in (1, 2):
            trial.report(number + step / 10, step)
        storage.set_trial_system_attr(trial._trial_id, "completed_rung_0", number)
        if number < num_finished:
            study.tell(trial, float(number))
    return study, storage


def view(study: optuna.Study, storage: SnapshotStorage, number: int) -> list[FrozenTrial]:
    with storage.view_as_of(number):
        return study.get_trials()


def test_a_decision_sees_ended_trials_whole_and_later_ones_bare() -> None:
    study, storage = study_with(lag=3, num_finished=6, num_running=1)
    whole = study.get_trials()
    seen = view(study, storage, 6)
    assert seen[:4] == whole[:4]
    for trial, truth in zip(seen[4:6], whole[4:6], strict=True):
        assert truth.state == TrialState.COMPLETE
        assert trial.state == TrialState.RUNNING
        assert (trial.params, trial.user_attrs) == (truth.params, truth.user_attrs)
        assert not trial.intermediate_values and not trial.system_attrs and trial.values is None
    assert seen[6] == whole[6]


def test_trials_after_the_one_decided_on_are_hidden() -> None:
    study, storage = study_with(lag=2, num_finished=5, num_running=2)
    assert [trial.number for trial in view(study, storage, 3)] == [0, 1, 2, 3]


def test_lag_one_is_the_whole_history() -> None:
    study, storage = study_with(lag=1, num_finished=4, num_running=1)
    assert view(study, storage, 4) == study.get_trials()


def test_without_a_lag_nothing_is_hidden() -> None:
    study, storage = study_with(lag=None, num_finished=2, num_running=3)
    assert view(study, storage, 3) == study.get_trials()
    assert len(study.get_trials()) == 5


def test_states_are_those_of_the_view() -> None:
    study, storage = study_with(lag=3, num_finished=6, num_running=1)
    with storage.view_as_of(6):
        for deepcopy in (True, False):
            completed = study.get_trials(deepcopy=deepcopy, states=(TrialState.COMPLETE,))
            assert [trial.number for trial in completed] == [0, 1, 2, 3]
            running = study.get_trials(deepcopy=deepcopy, states=(TrialState.RUNNING,))
            assert [trial.number for trial in running] == [4, 5, 6]


def test_a_copy_protects_the_journal() -> None:
    study, storage = study_with(lag=1, num_finished=1, num_running=0)
    with storage.view_as_of(1):
        study.get_trials(deepcopy=True)[0].user_attrs["key"] = "changed"
    assert study.get_trials()[0].user_attrs["key"] == 0


def test_the_view_ends_with_the_decision_even_when_it_fails() -> None:
    study, storage = study_with(lag=2, num_finished=3, num_running=0)
    with pytest.raises(RuntimeError), storage.view_as_of(1):
        raise RuntimeError
    assert len(study.get_trials()) == 3


def test_a_trial_that_should_have_ended_is_our_own_fault() -> None:
    study, storage = study_with(lag=1, num_finished=0, num_running=2)
    with pytest.raises(AssertionError, match="trial 1 was decided on too early"):
        view(study, storage, 1)


def test_every_way_of_reading_trials_goes_through_the_view() -> None:
    """Hyperband's filtered study and the samplers' cached read, besides the public ones."""
    study, storage = study_with(lag=2, num_finished=4, num_running=1)
    pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=9)
    study.pruner = pruner
    trial = study.get_trials()[4]
    with storage.view_as_of(4):
        pruner.prune(study, trial)
        brackets = [pruner._create_bracket_study(study, bracket) for bracket in range(3)]
        for read in (study._get_trials, *(bracket._get_trials for bracket in brackets)):
            study._thread_local.cached_all_trials = None
            for use_cache in (True, False):
                states = [trial.state.name for trial in read(deepcopy=False, use_cache=use_cache)]
                assert states == ["COMPLETE"] * 3 + ["RUNNING"] * 2
        filtered = [trial for bracket in brackets for trial in bracket.get_trials(deepcopy=False)]
        assert sorted(trial.number for trial in filtered) == [0, 1, 2, 3, 4]
        assert sum(trial.state == TrialState.COMPLETE for trial in filtered) == 3


def test_the_file_is_an_ordinary_journal(tmp_path: Path) -> None:
    backend = JournalFileBackend(str(tmp_path / "journal"))
    study = optuna.create_study(storage=SnapshotStorage(backend, lag=2), study_name="s")
    study.enqueue_trial({"x": 0.25})
    study.tell(study.ask(DISTRIBUTIONS), 1.0)
    plain = JournalStorage(JournalFileBackend(str(tmp_path / "journal")))
    assert optuna.load_study(study_name="s", storage=plain).get_trials() == study.get_trials()


def test_it_pickles(tmp_path: Path) -> None:
    storage = SnapshotStorage(JournalFileBackend(str(tmp_path / "journal")), lag=2)
    study = optuna.create_study(storage=storage, study_name="s")
    study.tell(study.ask(DISTRIBUTIONS), 1.0)
    copied = pickle.loads(pickle.dumps(storage))
    assert copied.lag == 2
    assert optuna.load_study(study_name="s", storage=copied).get_trials() == study.get_trials()


def test_attributes_that_are_set_at_once_are_ordinary_ones(tmp_path: Path) -> None:
    journal = str(tmp_path / "journal")
    storage = SnapshotStorage(JournalFileBackend(journal), lag=2)
    trial = optuna.create_study(storage=storage, study_name="s").ask()
    storage.set_trial_user_attrs(trial._trial_id, {"key": "k", "steps": 3})
    trial.set_user_attr("job", 7)
    plain = optuna.load_study(study_name="s", storage=JournalStorage(JournalFileBackend(journal)))
    assert plain.get_trials()[0].user_attrs == {"key": "k", "steps": 3, "job": 7}


def test_a_killed_writer_is_tidied_up_after(tmp_path: Path) -> None:
    """Fails when Optuna's journal marks a new trial otherwise: `CREATE_TRIAL` of storage.py."""
    journal = tmp_path / "journal"
    backend = JournalFileBackend(str(journal))
    study = optuna.create_study(storage=SnapshotStorage(backend, lag=1), study_name="s")
    study.tell(study.ask(DISTRIBUTIONS), 1.0)
    whole = journal.read_bytes()
    study.ask(DISTRIBUTIONS)
    with journal.open("ab") as file:
        file.write(b'{"op_code": 4, "work')
    lock = JournalFileSymlinkLock(str(journal))
    lock.acquire()
    assert repair_journal(journal, num_trials=1) == 1
    assert journal.read_bytes() == whole
    assert lock.acquire(), "nobody has it"
    lock.release()
    assert repair_journal(journal, num_trials=2) == 1, "it says when trials are missing"
    assert journal.read_bytes() == whole
    assert repair_journal(tmp_path / "missing", num_trials=1) == 0
