"""The candidates of a space, held against a naive enumeration through the constructors."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrm.config.errors import ConfigError
from hrm.config.train_config import TrainConfig
from hrm.models.puzzle.config import PuzzleHRMConfig
from hrm.models.puzzle.counting import count
from sweeps.config import SweepConfig
from sweeps.errors import BudgetError, SpaceError
from sweeps.space.candidates import Candidates
from sweeps.space.parameters import parse_parameter
from tests.sweeps.small_sweep import list_all, space, sweep, task_fields

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
    everything = list_all(found)
    assert found.num_feasible_trials == len(everything) == len(trials)
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
