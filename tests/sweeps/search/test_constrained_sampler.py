"""In a space that is not enumerated, samplers learn from their own infeasible proposals, and nothing else does."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.trial import FrozenTrial, TrialState

from sweeps.search import samplers
from sweeps.search.constrained_sampler import (
    MOST_SHOWN,
    REJECTED,
    ConstrainedStudyView,
    InfeasibleProposal,
)
from sweeps.search.samplers import SAMPLERS, build_sampler
from sweeps.search.study import SweepStudy
from tests.sweeps.search_cases import CONTINUOUS_SPACE, SPACE, UNLISTED_SPACE, candidates_of, sweep_config

LEARNERS = ["tpe", "gp"]


def make_study(sampler: str, journal: Path | None = None, slots: int = 1, **overrides: Any) -> SweepStudy:
    config = sweep_config(space=UNLISTED_SPACE, sampler={"name": sampler}, **overrides)
    return SweepStudy(config, candidates_of(config), journal, slots)


def run(study: SweepStudy, num_trials: int) -> list[dict[str, Any]]:
    """Run the next trials one after the other and return their parameters; the largest that fits is the best."""
    asked = []
    for job in range(num_trials):
        number = study.num_trials
        candidate = study.ask(number, job)
        study.tell(number, "completed", [candidate.num_params / 1e6])
        asked.append(candidate.params)
    return asked


def rejections(study: SweepStudy) -> list[InfeasibleProposal]:
    trials = study.optuna_study.get_trials()
    return [InfeasibleProposal(*one) for trial in trials for one in trial.user_attrs.get(REJECTED, ())]


def shown(study: SweepStudy, sampler: str, rejected: list[InfeasibleProposal]) -> list[FrozenTrial]:
    """Return what a sampler sees of a study during a suggestion that rejected so much."""
    candidates = candidates_of(sweep_config(space=UNLISTED_SPACE))
    config = sweep_config(space=UNLISTED_SPACE, sampler={"name": sampler})
    feedback = build_sampler(config, candidates, 0).feedback
    assert feedback is not None
    return ConstrainedStudyView(study.optuna_study, feedback, rejected).get_trials()


def too_large(number: int = 0) -> InfeasibleProposal:
    params = {"H_layers": 4, "L_layers": 4, "expansion": 8.0, "lr": 1e-3 + number * 1e-6}
    return InfeasibleProposal(
        params, candidates_of(sweep_config(space=UNLISTED_SPACE)).compute_violation(params)
    )


@pytest.mark.parametrize("name", SAMPLERS)
def test_which_samplers_get_feedback(name: str) -> None:
    for space in (SPACE, CONTINUOUS_SPACE, UNLISTED_SPACE):
        if name == "grid" and space is not SPACE:
            continue
        config = sweep_config(space=space, sampler={"name": name})
        candidates = candidates_of(config)
        feedback = build_sampler(config, candidates, 0).feedback
        assert (feedback is not None) is (space is UNLISTED_SPACE and name in LEARNERS)


@pytest.mark.parametrize("name", LEARNERS)
def test_the_journal_keeps_rejections_and_continues_as_if_never_closed(tmp_path: Path, name: str) -> None:
    uncut = make_study(name)
    asked = run(uncut, 6)
    parts = [run(make_study(name, tmp_path / "journal"), num) for num in (5, 1)]
    assert [*itertools.chain(*parts)] == asked
    candidates = candidates_of(sweep_config(space=UNLISTED_SPACE))
    reopened = make_study(name, tmp_path / "journal")
    assert rejections(reopened) == rejections(uncut) != []
    for rejection in rejections(uncut):
        assert candidates.candidate(rejection.params) is None
        assert rejection.violation == candidates.compute_violation(rejection.params) > 0


def test_feedback_spares_rejections(monkeypatch: pytest.MonkeyPatch) -> None:
    def num_rejected() -> int:
        study = make_study("tpe")
        run(study, 12)
        return len(rejections(study))

    with_feedback = num_rejected()
    without = samplers.SAMPLERS["tpe"]._replace(feedback=lambda num, candidates, trials, rejected: trials)
    monkeypatch.setitem(samplers.SAMPLERS, "tpe", without)
    assert with_feedback < num_rejected() / 2


def test_a_gaussian_process_sees_completed_trials_that_all_have_the_constraint() -> None:
    study = make_study("random")
    run(study, 4)
    study.ask(4, job=4)
    real = study.optuna_study.get_trials()
    seen = shown(study, "gp", [too_large()])
    assert [trial.number for trial in seen] == [-1, 0, 1, 2, 3, 4]
    assert [trial.state for trial in seen] == [TrialState.COMPLETE] + [trial.state for trial in real]
    assert seen[0].constraints == {"budget": too_large().violation} and too_large().violation > 0
    assert seen[0].value == pytest.approx(np.mean([trial.value for trial in real[:4]]))
    assert all(trial.constraints["budget"] <= 0 for trial in seen[1:-1])
    assert not seen[-1].constraints, "it runs"
    assert study.optuna_study.get_trials() == real, "the study itself is as it was"


def test_tpe_sees_pruned_trials_that_broke_the_constraint() -> None:
    study = make_study("random")
    run(study, 4)
    real = study.optuna_study.get_trials()
    first, *others = shown(study, "tpe", [too_large()])
    assert others == real
    assert (first.number, first.state, first.params) == (-1, TrialState.PRUNED, too_large().params)
    assert first.constraints == {"budget": too_large().violation}


@pytest.mark.parametrize("name", LEARNERS)
def test_nothing_is_shown_before_a_startup_is_over_or_without_rejections(name: str) -> None:
    study = make_study("random")
    run(study, 2)
    assert shown(study, name, [too_large()] * 9) == study.optuna_study.get_trials()
    run(study, 2)
    assert shown(study, name, []) == study.optuna_study.get_trials()


@pytest.mark.parametrize("name", LEARNERS)
def test_the_latest_rejections_are_shown(name: str) -> None:
    study = make_study("random")
    run(study, 4)
    seen = shown(study, name, [too_large(number) for number in range(MOST_SHOWN + 5)])
    assert len(seen) == 4 + MOST_SHOWN
    assert seen[MOST_SHOWN - 1].params == too_large(MOST_SHOWN + 4).params
    assert len({trial.number for trial in seen}) == len(seen)
