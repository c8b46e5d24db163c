"""The candidates of a space: counts, identity, messages, and presets under the same rules."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import numpy as np
import optuna
import pytest

from hrm.config.errors import ConfigError, UnknownNameError, UserError
from hrm.config.run_config import RunConfig
from hrm.models.puzzle.config import PuzzleHRMConfig
from hrm.models.puzzle.counting import count
from sweeps.errors import BudgetError, SpaceError
from tests.sweeps.small_sweep import candidates, list_all, space, task_fields
from tests.sweeps.space_cases import CYCLES, FILLED, sampled


def test_the_reference_sheets_schedules() -> None:
    """Cycles 1-4 x 1-4 x periods 1-8 are 128 tuples and 48 schedules."""
    found = candidates(CYCLES)
    assert (found.num_tuples, found.num_architectures, found.num_feasible_trials) == (128, 48, 48)


def test_depth_against_width_at_tiny_demo() -> None:
    found = candidates(FILLED, max_params="tiny_demo", min_params=0.8)
    assert found.num_tuples == 320 and found.num_architectures == 64
    everything = list_all(found)
    for one in everything:
        assert 421_992 <= one.num_params <= 527_490
        wider = dataclasses.replace(one.run.model, hidden_size=one.values["hidden_size"] + 16, num_heads=1)
        assert count(wider).params > 527_490
        assert one.values["num_heads"] * 16 == one.values["hidden_size"] == one.run.model.hidden_size
    shallow = found.candidate({"H_layers": 1, "L_layers": 1, "lr": 1e-3})
    assert shallow is not None
    assert shallow.values == {"H_layers": 1, "L_layers": 1, "lr": 1e-3, "hidden_size": 128, "num_heads": 8}
    assert shallow.inner_over_width == 4.0
    assert found.budget.used_share(shallow.num_params) == 1.0
    assert found.budget.is_iso_parameter(shallow.num_params)


def test_a_candidate_is_a_complete_run() -> None:
    found = candidates(FILLED, max_params="tiny_demo", device="cpu", model={"halt_max_steps": 4})
    everything = list_all(found)
    one = everything[7]
    assert RunConfig.from_dict(one.run.to_dict()) == one.run
    assert one.run.task.name == "sudoku6" and one.run.device == "cpu" and one.run.model.halt_max_steps == 4
    assert pickle.loads(pickle.dumps(one)) == one


def test_keys_tell_trials_apart_and_architectures_tell_models_apart() -> None:
    asked = space({"expansion": [1, 2, 8], "lr": [1e-3, 1e-2]}, fixed={"hidden_size": 64, "num_heads": 4})
    found = candidates(asked)
    same = [found.candidate({"expansion": expansion, "lr": 1e-3}) for expansion in (1, 2)]
    assert same[0] is not None and same[1] is not None and same[0].key == same[1].key
    other_rate = found.candidate({"expansion": 1, "lr": 1e-2})
    other_model = found.candidate({"expansion": 8, "lr": 1e-3})
    assert other_rate is not None and other_model is not None
    assert other_rate.architecture == same[0].architecture != other_model.architecture
    assert len({same[0].key, other_rate.key, other_model.key}) == 3
    longer = candidates(asked, train={"steps": 700}).candidate({"expansion": 1, "lr": 1e-3})
    ruled = candidates(asked, model={"halt_max_steps": 3}).candidate({"expansion": 1, "lr": 1e-3})
    assert longer is not None and ruled is not None
    assert longer.architecture == same[0].architecture != ruled.architecture
    assert len({same[0].key, longer.key, ruled.key}) == 3


def test_optuna_takes_the_distributions() -> None:
    found = candidates(FILLED, max_params="tiny_demo")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        trial = study.ask(dict(found.distributions))
        candidate = found.candidate(trial.params)
        assert candidate is not None and candidate.params == trial.params
        study.tell(trial, 0.0)


def test_rules_hold_in_every_arm_but_give_way_to_what_is_searched() -> None:
    rules = {"halt_max_steps": 3, "expansion": 2, "H_cycles": 2}
    asked = space({"expansion": [6, 8]}, fixed={"hidden_size": 64, "num_heads": 4, "H_cycles": 1})
    found = candidates(asked, model=rules)
    searched, preset = found.candidate({"expansion": 6}), found.preset("tiny_demo")
    assert searched is not None
    assert (searched.run.model.halt_max_steps, searched.run.model.expansion, searched.run.model.H_cycles) == (
        3,
        6,
        2,
    )
    assert (preset.run.model.halt_max_steps, preset.run.model.expansion, preset.run.model.H_cycles) == (
        3,
        2,
        2,
    )


def test_what_the_task_decides_is_nobody_elses() -> None:
    with pytest.raises(ConfigError, match=r"model\.seq_len: given 9; the task sets it to 36"):
        candidates(FILLED, max_params="tiny_demo", model={"seq_len": 9})
    with pytest.raises(SpaceError, match=r"given 'vocab_size'; the task sets it to 11"):
        candidates(space({"vocab_size": [11, 12]}))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"model": {"halt_max_step": 3}}, UnknownNameError, "Did you mean 'halt_max_steps'"),
        (
            {"model": {"halt_max_steps": "x"}},
            ConfigError,
            r"model\.halt_max_steps: given 'x'; must be a whole number",
        ),
        (
            {"max_params": "tiny"},
            UnknownNameError,
            r"budget\.max_params: .*or a number\. Did you mean 'tiny_demo'",
        ),
        (
            {"train": {"reference": "tiny_dem"}},
            UnknownNameError,
            r"train\.reference: .*Did you mean 'tiny_demo'",
        ),
        (
            {"max_params": None},
            BudgetError,
            r"budget\.max_params: given None; asked fills the budget with hidden_size",
        ),
        (
            {"model": {"num_heads": 3}},
            ConfigError,
            r"preset tiny_demo under this sweep's rules: model\.num_heads",
        ),
        ({"family": "pzzle"}, UnknownNameError, "Did you mean 'puzzle'"),
    ],
)
def test_what_is_wrong_around_a_space(options: dict[str, Any], error: type[UserError], message: str) -> None:
    with pytest.raises(error, match=message):
        candidates(FILLED, **{"max_params": "tiny_demo", **options})


def test_an_impossible_budget_names_the_smallest_size_in_reach() -> None:
    with pytest.raises(BudgetError) as refused:
        candidates(FILLED, max_params=20_000)
    smallest = PuzzleHRMConfig(
        hidden_size=16, num_heads=1, H_layers=1, L_layers=1, H_cycles=1, L_cycles=1, **task_fields()
    )
    size = count(smallest).params
    assert str(refused.value) == (
        "budget.max_params: given 20000; "
        f"no model of space asked has fewer than {size:,} parameters. "
        f"Raise the budget to at least {size:,}, or search a space of smaller models."
    )
    assert candidates(FILLED, max_params=size).num_feasible_architectures == 1
    with pytest.raises(BudgetError):
        candidates(FILLED, max_params=size - 1)


def test_a_lower_bound_that_nothing_reaches_says_what_is_near() -> None:
    asked = space({"hidden_size": [32, 64, 128]}, fixed={"num_heads": 4, "H_layers": 1, "L_layers": 1})
    with pytest.raises(BudgetError) as refused:
        candidates(asked, max_params=500_000, min_params=400_000)
    assert "has more than 132,674 parameters (the next has 527,490, the smallest has " in str(refused.value)


def test_a_space_without_a_valid_model_says_why() -> None:
    with pytest.raises(SpaceError, match=r"no point is a valid model.*must divide hidden_size=64"):
        candidates(space({"num_heads": [3, 5]}, fixed={"hidden_size": 64}))
    with pytest.raises(SpaceError, match=r"the derived values \(num_heads\)"):
        candidates(space({"hidden_size": [33, 35]}, derived={"num_heads": "hidden_size / 2"}))


def test_a_filled_width_that_heads_never_divide_says_so() -> None:
    fixed = {"num_heads": 96, "H_layers": 1, "mlp_multiple": 32}
    asked = space({"L_layers": [1, 2]}, derived={"hidden_size": "fill"}, fixed=fixed)
    narrow = PuzzleHRMConfig(**fixed | {"hidden_size": 192, "L_layers": 1}, **task_fields())
    wider = dataclasses.replace(narrow, hidden_size=208, num_heads=1)
    with pytest.raises(SpaceError, match="no width that fills the budget makes a valid model"):
        candidates(asked, max_params=count(wider).params)
    size = count(narrow).params
    with pytest.raises(BudgetError, match=rf"no model of space asked has fewer than {size:,} param"):
        candidates(asked, max_params=size - 1)
    assert candidates(asked, max_params=size).num_feasible_architectures == 1


def test_a_derived_value_that_reads_no_number_is_refused() -> None:
    with pytest.raises(SpaceError, match=r"reads h_update_period, which is None here, not a number"):
        candidates(space({"H_layers": [1, 2]}, derived={"L_cycles": "h_update_period"}))


class TestContinuous:
    ASKED = space(
        {
            "expansion": {"float": [1, 8]},
            "hidden_size": {"int": [16, 256], "step": 16},
            "lr": {"log": [1e-4, 1e-2]},
        },
        derived={"num_heads": "hidden_size // 16"},
        fixed={"mlp_multiple": 1, "H_layers": 1, "L_layers": 1},
    )

    def test_counts_are_unknown(self) -> None:
        found = candidates(self.ASKED, max_params="tiny_demo")
        assert found.num_tuples is found.num_architectures is found.num_feasible_architectures is None
        assert found.num_feasible_trials is None

    def test_samples_keep_the_budget(self) -> None:
        found = candidates(self.ASKED, max_params="tiny_demo", min_params=0.9)
        for one in sampled(found, 40, set()):
            assert 0.9 * 527_490 <= one.num_params <= 527_490
            assert found.candidate(one.params) == one
        assert (
            found.nearest({"expansion": 8.0, "hidden_size": 256, "lr": 1e-3}, np.random.default_rng(0))
            is not None
        )

    def test_an_impossible_budget_is_refused(self) -> None:
        with pytest.raises(
            BudgetError, match=r"no model of space asked has fewer than about [\d,]+ parameters"
        ):
            candidates(self.ASKED, max_params=1000)

    def test_a_continuous_rate_keeps_the_shapes_counted(self) -> None:
        found = candidates(
            FILLED | {"parameters": FILLED["parameters"] | {"lr": {"log": [1e-4, 1e-2]}}},
            max_params="tiny_demo",
            min_params=0.8,
        )
        assert found.num_tuples is None
        assert (found.num_architectures, found.num_feasible_architectures) == (64, 42)
        rates = {one.params["lr"] for one in sampled(found, 30, set())}
        assert len(rates) == 30 and all(1e-4 <= rate <= 1e-2 for rate in rates)
        near = found.nearest({"H_layers": 8, "L_layers": 8, "lr": 5e-4}, np.random.default_rng(0))
        assert near is not None and near.params == {"H_layers": 8, "L_layers": 8, "lr": 5e-4}


def test_learning_rates() -> None:
    fixed = {"hidden_size": 64, "num_heads": 4}
    assert candidates(space({"lr": [1e-2, 1e-3]}, fixed=fixed)).learning_rates == [1e-3, 1e-2]
    assert candidates(space({"H_layers": [1]}, fixed=fixed)).learning_rates == [1e-4]
    assert candidates(space({"H_layers": [1]}, fixed={**fixed, "lr": 2e-3})).learning_rates == [2e-3]
    continuous = candidates(space({"lr": {"log": [1e-4, 1e-2]}}, fixed=fixed)).learning_rates
    assert continuous == [1e-4, 0.000316228, 1e-3, 0.00316228, 1e-2]


def test_presets_stand_under_the_same_rules() -> None:
    found = candidates(FILLED, max_params="tiny_demo", min_params=0.8, model={"halt_max_steps": 4})
    tiny = found.preset("tiny_demo", lr=3e-3)
    assert tiny.run.train.lr == 3e-3 and tiny.run.train.steps == 600 and tiny.num_params == 527_490
    assert tiny.run.model.halt_max_steps == 4 and tiny.run.model.seq_len == 36
    assert tiny.values["hidden_size"] == 128 and tiny.params == {}
    assert found.fit_preset("tiny_demo").violation is None
    large = found.fit_preset("small_sudoku")
    assert large.num_params == 3_414_274 and large.violation == "exceeds budget.max_params=527,490"
    with pytest.raises(UnknownNameError):
        found.fit_preset("tiny")
    broken = candidates(CYCLES, model={"puzzle_emb_ndim": 0, "num_heads": 8, "hidden_size": 64})
    assert broken.preset("tiny_demo").run.model.hidden_size == 64


def test_a_rule_that_breaks_a_preset_is_its_misfit() -> None:
    asked = space({"L_layers": [1, 2]}, fixed={"hidden_size": 96})
    found = candidates(asked, model={"num_heads": 3}, train={"equal": "steps"})
    place = found.fit_preset("tiny_demo")
    assert (
        place.num_params is None
        and place.violation is not None
        and "must divide hidden_size=128" in place.violation
    )
