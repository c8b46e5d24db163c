"""The candidates of a space, held against a naive enumeration through the constructors."""

from __future__ import annotations

import dataclasses
import itertools
import json
import pickle
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrm.errors import ConfigError, UnknownNameError, UserError
from hrm.puzzle.config import PuzzleHRMConfig
from hrm.puzzle.counting import count
from hrm.run_config import RunConfig
from hrm.train_config import TrainConfig
from sweeps.config import SweepConfig
from sweeps.errors import BudgetError, SpaceError
from sweeps.space.candidates import Candidate, Candidates, fullness, is_iso_parameter
from sweeps.space.parameters import parse_parameter
from tests.sweeps.small_sweep import candidates, space, sweep, task_fields

POOL: dict[str, list[Any]] = {
    "hidden_size": [[16, 32, 48, 64], {"int": [8, 72], "step": 16}],
    "num_heads": [[1, 2, 3, 4]],
    "H_layers": [{"int": [1, 3]}, [2, 1]],
    "L_layers": [{"int": [0, 2]}],
    "H_cycles": [{"int": [1, 3]}],
    "L_cycles": [[1, 2, 4]],
    "h_update_period": [[None, 1, 3], {"int": [1, 6]}],
    "expansion": [[1, 2, 2.5, 4], {"float": [0.5, 4], "num": 3}],
    "mlp_multiple": [[8, 32, 256]],
    "puzzle_emb_ndim": [[None, 0, 32], [16, 100]],
    "pos_encodings": [["rope", "learned"]],
    "q_continue": [[True, False]],
    "gradient_L_steps": [[1, 2, 9]],
    "lr": [[1e-2, 1e-3], {"log": [1e-4, 1e-2], "num": 3}],
    "weight_decay": [[0, 0.1]],
    "batch_size": [[8, 40]],
}
DERIVED = {
    "num_heads": "hidden_size // 16",
    "L_layers": "3 - H_layers",
    "mlp_multiple": "8 * H_layers",
    "lr": "0.08 / (hidden_size - 32)",
    "weight_decay": "H_layers / 10",
    "batch_size": "64 / H_layers",
}
BASE = {"hidden_size": 32, "num_heads": 2, "H_layers": 1, "L_layers": 1, "mlp_multiple": 32}


@st.composite
def sweeps(draw: st.DrawFn) -> SweepConfig:
    names = draw(st.lists(st.sampled_from(sorted(POOL)), min_size=1, max_size=5, unique=True))
    parameters = {name: draw(st.sampled_from(POOL[name])) for name in names}
    free = [name for name in DERIVED if name not in parameters]
    derived = {
        name: DERIVED[name]
        for name in draw(st.sets(st.sampled_from(free), max_size=2) if free else st.just(set()))
    }
    if "hidden_size" not in parameters and draw(st.booleans()):
        derived["hidden_size"] = "fill"
    fixed = {name: value for name, value in BASE.items() if name not in parameters and name not in derived}
    return sweep(
        space(
            parameters, derived=derived, fixed=fixed, constants={"head_size": draw(st.sampled_from([8, 16]))}
        ),
        max_params=draw(st.sampled_from([9_000, 40_000, 120_000, 400_000])),
        min_params=draw(st.sampled_from([None, 0.5, 8_000])),
        train={"steps": draw(st.sampled_from([12, 600]))},
        model={"halt_max_steps": 2},
    )


@dataclasses.dataclass
class Naive:
    """One tuple of a space, worked out by hand."""

    params: dict[str, Any]
    model: PuzzleHRMConfig | None
    train: TrainConfig | None
    feasible: bool = False

    @property
    def architecture(self) -> str:
        assert self.model is not None
        return json.dumps(self.model.architecture, sort_keys=True)

    @property
    def trial(self) -> str:
        return self.architecture + json.dumps(dataclasses.asdict(self.train), sort_keys=True)  # type: ignore[call-overload]


def naive_tuples(config: SweepConfig) -> Iterator[Naive]:
    """Every tuple in lattice order, from the constructors alone."""
    asked = config.space
    grids = {name: parse_parameter(given).grid for name, given in asked["parameters"].items()}
    tiny = PuzzleHRMConfig(
        hidden_size=128,
        num_heads=4,
        H_layers=1,
        L_layers=1,
        H_cycles=1,
        L_cycles=1,
        **config.model,
        **task_fields(),
    )
    allowance = config.train.steps * count(tiny, config.train.batch_size).flops_per_step
    for values in itertools.product(*grids.values()):  # type: ignore[arg-type]
        yield naive_tuple(config, dict(zip(grids, values, strict=True)), allowance)


def naive_tuple(config: SweepConfig, params: dict[str, Any], allowance: int) -> Naive:
    asked = config.space
    names = {field.name: field.default for field in dataclasses.fields(PuzzleHRMConfig)}
    names |= {field.name: getattr(config.train, field.name) for field in dataclasses.fields(TrainConfig)}
    names |= asked["fixed"] | config.model | dict(task_fields()) | params
    derived = dict(asked["derived"])
    if derived.pop("hidden_size", None):
        for name in ("L_layers", "mlp_multiple"):
            if name in derived:
                names[name] = eval(derived[name], {}, names)
        names["hidden_size"] = widest(names, asked["constants"]["head_size"], config.budget.max_params)
    for name, text in derived.items():
        try:
            names[name] = eval(text, {}, names)
        except ZeroDivisionError:
            return Naive(params, None, None)
    names = {
        name: int(value) if name == "batch_size" and value == int(value) else value
        for name, value in names.items()
    }
    if names["batch_size"] != int(names["batch_size"]):
        return Naive(params, None, None)
    try:
        model = PuzzleHRMConfig(**{f.name: names[f.name] for f in dataclasses.fields(PuzzleHRMConfig)})
        train = TrainConfig(**{f.name: names[f.name] for f in dataclasses.fields(TrainConfig)})
    except ConfigError:
        return Naive(params, None, None)
    counts = count(model, train.batch_size)
    steps = allowance // counts.flops_per_step
    most, least = config.budget.max_params, config.budget.min_params or 0
    least = least * most if least < 1 else least
    if steps >= train.num_reports and least <= counts.params <= most:
        return Naive(params, model, dataclasses.replace(train, steps=steps), feasible=True)
    return Naive(params, model, train)


def widest(names: dict[str, Any], step: int, most: int) -> int:
    """The fill, one width after the other; 0 where none fits."""
    width = 0
    fields = {f.name: names[f.name] for f in dataclasses.fields(PuzzleHRMConfig)}
    while True:
        try:
            wider = PuzzleHRMConfig(**fields | {"hidden_size": width + step, "num_heads": 1})
        except ConfigError:
            return 0
        if count(wider).params > most:
            return width
        width += step


@settings(max_examples=50, deadline=None)
@given(sweeps())
def test_equals_the_naive_enumeration(config: SweepConfig) -> None:
    naive = list(naive_tuples(config))
    trials = {one.trial for one in naive if one.feasible}
    if not trials:
        with pytest.raises((BudgetError, SpaceError)):
            Candidates(config, task_fields())
        return
    found = Candidates(config, task_fields())
    assert found.num_tuples == len(naive)
    assert found.num_architectures == len({one.architecture for one in naive if one.model is not None})
    assert found.num_feasible_architectures == len({one.architecture for one in naive if one.feasible})
    everything = found.all()
    assert everything is not None and found.num_feasible_trials == len(everything) == len(trials)
    by_key: dict[str, str] = {}
    for one in naive:
        candidate = found.candidate(one.params)
        assert (candidate is not None) == one.feasible
        if candidate is not None:
            assert (candidate.run.model, candidate.run.train) == (one.model, one.train)
            assert candidate.num_params == count(candidate.run.model).params
            assert by_key.setdefault(candidate.key, one.trial) == one.trial
    assert len(set(by_key.values())) == len(by_key) == len(trials)
    assert {one.key for one in everything} == set(by_key)


FILLED = space(
    {"H_layers": {"int": [1, 8]}, "L_layers": {"int": [1, 8]}, "lr": {"log": [1e-4, 1e-2], "num": 5}},
    derived={"hidden_size": "fill", "num_heads": "hidden_size // head_size"},
    fixed={"H_cycles": 1, "L_cycles": 1},
)
CYCLES = space(
    {"H_cycles": {"int": [1, 4]}, "L_cycles": {"int": [1, 4]}, "h_update_period": {"int": [1, 8]}},
    fixed={"hidden_size": 64, "num_heads": 4, "H_layers": 1, "L_layers": 1},
)


def test_the_reference_sheets_schedules() -> None:
    """Cycles 1-4 x 1-4 x periods 1-8 are 128 tuples and 48 schedules."""
    found = candidates(CYCLES)
    assert (found.num_tuples, found.num_architectures, found.num_feasible_trials) == (128, 48, 48)


def test_depth_against_width_at_tiny_demo() -> None:
    found = candidates(FILLED, max_params="tiny_demo", min_params=0.8)
    assert found.num_tuples == 320 and found.num_architectures == 64
    everything = found.all()
    assert everything is not None
    for one in everything:
        assert 421_992 <= one.num_params <= 527_490
        wider = dataclasses.replace(one.run.model, hidden_size=one.values["hidden_size"] + 16, num_heads=1)
        assert count(wider).params > 527_490
        assert one.values["num_heads"] * 16 == one.values["hidden_size"] == one.run.model.hidden_size
    shallow = found.candidate({"H_layers": 1, "L_layers": 1, "lr": 1e-3})
    assert shallow is not None
    assert shallow.values == {"H_layers": 1, "L_layers": 1, "lr": 1e-3, "hidden_size": 128, "num_heads": 8}
    assert shallow.inner_over_width == 4.0
    assert fullness(shallow, found.budget) == 1.0 and is_iso_parameter(shallow, found.budget)


def test_a_candidate_is_a_complete_run() -> None:
    found = candidates(FILLED, max_params="tiny_demo", device="cpu", model={"halt_max_steps": 4})
    everything = found.all()
    assert everything is not None
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
        ({"model": {"halt_max_step": 3}}, SpaceError, "Did you mean 'halt_max_steps'"),
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
        f"the smallest model that space asked reaches has {size:,} parameters. "
        f"Raise the budget to at least {size:,}, or search a space of smaller models."
    )
    assert candidates(FILLED, max_params=size).num_feasible_architectures == 1
    with pytest.raises(BudgetError):
        candidates(FILLED, max_params=size - 1)


def test_a_lower_bound_that_nothing_reaches_says_what_is_near() -> None:
    asked = space({"hidden_size": [32, 64, 128]}, fixed={"num_heads": 4, "H_layers": 1, "L_layers": 1})
    with pytest.raises(BudgetError) as refused:
        candidates(asked, max_params=500_000, min_params=400_000)
    assert "within budget.max_params=500,000 has 132,674 parameters, the next is 527,490" in str(
        refused.value
    )


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
    with pytest.raises(BudgetError, match=rf"the smallest model that space asked reaches has {size:,} param"):
        candidates(asked, max_params=size - 1)
    assert candidates(asked, max_params=size).num_feasible_architectures == 1


def test_a_derived_value_that_reads_no_number_is_refused() -> None:
    with pytest.raises(SpaceError, match=r"reads h_update_period, which is None here, not a number"):
        candidates(space({"H_layers": [1, 2]}, derived={"L_cycles": "h_update_period"}))


def sampled(found: Candidates, number: int, exclude: set[str], seed: int = 0) -> list[Candidate]:
    rng = np.random.default_rng(seed)
    drawn = [found.sample(rng, exclude) for _ in range(number)]
    assert all(one is not None for one in drawn)
    return drawn  # type: ignore[return-value]


def test_samples_are_uniform_over_distinct_candidates() -> None:
    found = candidates(CYCLES)
    times = Counter(one.key for one in sampled(found, 2400, set()))
    assert len(times) == 48
    # Chi square with 47 degrees of freedom: above 90 with a chance of 2e-4.
    assert sum((number - 50) ** 2 / 50 for number in times.values()) < 90


def test_samples_exhaust_a_space_without_repeating() -> None:
    found, seen = candidates(CYCLES), set()
    rng = np.random.default_rng(3)
    for _ in range(48):
        one = found.sample(rng, seen)
        assert one is not None and one.key not in seen
        seen.add(one.key)
    assert found.sample(rng, seen) is None
    assert found.nearest({"H_cycles": 1, "L_cycles": 1, "h_update_period": 1}, rng, seen) is None


def test_the_same_generator_gives_the_same_samples() -> None:
    first, second = (sampled(candidates(CYCLES), 10, set(), seed=5) for _ in range(2))
    assert first == second


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 4), st.integers(0, 2**32), st.integers(0, 60))
def test_the_nearest_is_the_nearest(
    H_layers: int, L_layers: int, rate: int, seed: int, excluded: int
) -> None:
    rates = FOUND.learning_rates

    def distance(one: Candidate) -> float:
        steps = (one.params["H_layers"] - H_layers, one.params["L_layers"] - L_layers)
        return sum((step / 7) ** 2 for step in steps) + ((rates.index(one.params["lr"]) - rate) / 4) ** 2

    rng = np.random.default_rng(seed)
    exclude = {EVERYTHING[i].key for i in rng.choice(len(EVERYTHING), excluded, replace=False)}
    params = {"H_layers": H_layers, "L_layers": L_layers, "lr": rates[rate]}
    near = FOUND.nearest(params, rng, exclude)
    assert near is not None and near.key not in exclude
    left = [one for one in EVERYTHING if one.key not in exclude]
    assert distance(near) == pytest.approx(min(map(distance, left)))


FOUND = candidates(FILLED, max_params="tiny_demo", min_params=0.8)
EVERYTHING = list(FOUND.all() or ())


def test_ties_are_broken_at_random() -> None:
    found = candidates(space({"H_layers": [1, 2, 3]}, fixed={"hidden_size": 32, "num_heads": 2}))
    middle = found.candidate({"H_layers": 2})
    assert middle is not None
    nearest = [found.nearest(middle.params, np.random.default_rng(seed), {middle.key}) for seed in range(20)]
    assert {one.params["H_layers"] for one in nearest if one is not None} == {1, 3}


def test_all_is_lazy_and_ordered() -> None:
    everything = FOUND.all()
    assert everything is not None
    assert len(everything) == 210 and everything[-1] == everything[209]
    rates = [one.params["lr"] for one in everything[:5]]
    assert rates == FOUND.learning_rates
    shapes = [(one.params["H_layers"], one.params["L_layers"]) for one in everything[::5]]
    assert shapes == sorted(shapes) and list(FOUND.each_shape()) == everything[::5]
    with pytest.raises(IndexError):
        everything[210]


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
        assert found.num_feasible_trials is None and found.all() is None

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
            BudgetError, match=r"the smallest model that space asked reaches has about [\d,]+ parameters"
        ):
            candidates(self.ASKED, max_params=1000)

    def test_a_continuous_rate_keeps_the_shapes_counted(self) -> None:
        found = candidates(
            FILLED | {"parameters": FILLED["parameters"] | {"lr": {"log": [1e-4, 1e-2]}}},
            max_params="tiny_demo",
            min_params=0.8,
        )
        assert found.num_tuples is None and found.all() is None
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
    assert found.place("tiny_demo").misfit is None
    large = found.place("small_sudoku")
    assert large.num_params == 3_414_274 and large.misfit == "exceeds budget.max_params=527,490"
    with pytest.raises(UnknownNameError):
        found.place("tiny")
    broken = candidates(CYCLES, model={"puzzle_emb_ndim": 0, "num_heads": 8, "hidden_size": 64})
    assert broken.preset("tiny_demo").run.model.hidden_size == 64


def test_a_rule_that_breaks_a_preset_is_its_misfit() -> None:
    asked = space({"L_layers": [1, 2]}, fixed={"hidden_size": 96})
    found = candidates(asked, model={"num_heads": 3}, train={"equal": "steps"})
    place = found.place("tiny_demo")
    assert (
        place.num_params is None
        and place.misfit is not None
        and "must divide hidden_size=128" in place.misfit
    )
