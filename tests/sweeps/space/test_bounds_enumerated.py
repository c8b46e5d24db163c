"""Every bound of a budget, and any combination, against a naive enumeration through the constructors."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrm.config.errors import ConfigError
from hrm.config.train_config import TrainConfig
from hrm.models.puzzle.config import PuzzleHRMConfig
from hrm.models.puzzle.counting import count
from sweeps.config import BudgetConfig, SweepConfig
from sweeps.errors import BudgetError, SpaceError
from sweeps.space.candidates import Candidates
from sweeps.space.constraints import COUNTED
from sweeps.space.parameters import parse_parameter
from tests.sweeps.small_sweep import list_all, space, sweep, task_fields

NAMES = COUNTED
POOL: dict[str, list[Any]] = {
    "hidden_size": [16, 32, 48, 80],
    "num_heads": [1, 2, 4],
    "H_layers": [1, 2],
    "L_layers": [2, 1],
    "L_cycles": [1, 3],
    "h_update_period": [1, 2, 6],
    "expansion": [1, 2.5],
    "puzzle_emb_ndim": [100, 0, 32],
    "halt_max_steps": [1, 3],
    "q_continue": [True, False],
    "pos_encodings": ["rope", "learned"],
    "forward_dtype": ["float32", "bfloat16"],
    "batch_size": [1, 8, 24],
    "ema": [0.0, 0.9],
    "lr": [1e-3, 1e-2],
}
AFTER = {
    "num_heads": "hidden_size // 16",
    "batch_size": "512 // hidden_size",
    "L_cycles": "1 + 48 // hidden_size",
}
BASE = {"hidden_size": 32, "num_heads": 2, "H_layers": 1, "L_layers": 1, "mlp_multiple": 8}
STEP = 16


@st.composite
def spaces(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.lists(st.sampled_from(sorted(POOL)), min_size=1, max_size=4, unique=True))
    derived = {}
    if "hidden_size" not in names and draw(st.booleans()):
        free = [name for name in AFTER if name not in names]
        chosen = draw(st.sets(st.sampled_from(free))) if free else set()
        derived = {"hidden_size": "fill"} | {name: AFTER[name] for name in sorted(chosen)}
    fixed = {name: value for name, value in BASE.items() if name not in names and name not in derived}
    return space({name: POOL[name] for name in names}, derived=derived, fixed=fixed)


@st.composite
def sweeps(draw: st.DrawFn) -> SweepConfig:
    """Bounds near the costs of some model, so that many sweeps divide their space."""
    asked = draw(spaces())
    config = sweep(asked, train={"equal": "steps", "ema": draw(st.sampled_from([0.0, 0.5]))})
    width = draw(st.sampled_from([16, 32, 64]))
    one = count_costs(*draw(st.sampled_from(list(built(config, width)) or [reference(config)])))
    upper = draw(st.sets(st.sampled_from(NAMES), min_size=1))
    lower = draw(st.sets(st.sampled_from(NAMES), max_size=2))
    bounds: dict[str, Any] = {f"max_{name}": one[name] + draw(st.sampled_from([0, 0, -1])) for name in upper}
    bounds |= {f"min_{name}": one[name] + draw(st.sampled_from([0, 0, 1])) for name in lower - upper}
    bounds |= {f"min_{name}": draw(st.sampled_from([0.5, 0.9])) for name in lower & upper}
    return dataclasses.replace(config, budget=BudgetConfig(**bounds))


def reference(config: SweepConfig) -> tuple[PuzzleHRMConfig, TrainConfig]:
    return PuzzleHRMConfig(**BASE, **task_fields()), TrainConfig(steps=600)


def count_costs(model: PuzzleHRMConfig, train: TrainConfig) -> dict[str, int]:
    counts = count(model, train.batch_size, train)
    return {
        "params": counts.params,
        "flops_per_step": counts.flops_per_step,
        "memory": counts.total_bytes,
        "inference_flops": count(model, 1).eval_flops_per_batch,
    }


def points(config: SweepConfig) -> Iterator[dict[str, Any]]:
    grids = {name: parse_parameter(grid).grid or () for name, grid in config.space["parameters"].items()}
    for values in itertools.product(*grids.values()):
        yield dict(zip(grids, values, strict=True))


def build(config: SweepConfig, params: dict[str, Any], width: int | None) -> tuple[Any, TrainConfig]:
    """The model and training of a point; where its width fills the budget, at this one."""
    names = {f.name: f.default for f in dataclasses.fields(PuzzleHRMConfig)}
    names |= {f.name: getattr(config.train, f.name) for f in dataclasses.fields(TrainConfig)}
    names |= config.space["fixed"] | dict(task_fields()) | params
    derived = dict(config.space["derived"])
    if derived.pop("hidden_size", None):
        names["hidden_size"] = width
    for name, text in derived.items():
        names[name] = eval(text, {}, names)
    model = PuzzleHRMConfig(**{f.name: names[f.name] for f in dataclasses.fields(PuzzleHRMConfig)})
    return model, TrainConfig(**{f.name: names[f.name] for f in dataclasses.fields(TrainConfig)})


def built(config: SweepConfig, width: int) -> Iterator[tuple[Any, TrainConfig]]:
    for params in points(config):
        try:
            yield build(config, params, width)
        except ConfigError:
            continue


def within(config: SweepConfig, found: dict[str, int], sides: tuple[str, ...] = ("max", "min")) -> bool:
    budget = dataclasses.asdict(config.budget)
    for name in NAMES:
        most, least = budget[f"max_{name}"], budget[f"min_{name}"]
        if "max" in sides and most is not None and found[name] > most:
            return False
        least = least * most if least is not None and least < 1 else least
        if "min" in sides and least is not None and found[name] < least:
            return False
    return True


def naive(config: SweepConfig, params: dict[str, Any]) -> tuple[Any, TrainConfig] | None:
    """A point's model and training if it keeps all bounds, its width being the widest that does."""
    widths: list[int | None] = [None]
    if "hidden_size" in config.space["derived"]:
        widths = list(reversed(range(STEP, 512, STEP)))
    for width in widths:
        try:
            one = build(config, params, width)
        except ConfigError:
            # Not stepped over: whether this width is within the bounds cannot be said of an invalid model.
            continue
        if width is None or within(config, count_costs(*one), ("max",)):
            return one if within(config, count_costs(*one)) else None
    return None


@settings(max_examples=60, deadline=None)
@given(sweeps())
def test_any_bounds_equal_the_naive_enumeration(config: SweepConfig) -> None:
    feasible = {str(params): naive(config, params) for params in points(config)}
    if not any(feasible.values()):
        with pytest.raises((BudgetError, SpaceError)):
            Candidates(config, task_fields())
        return
    found = Candidates(config, task_fields())
    everything = list_all(found)
    for params in points(config):
        candidate, expected = found.candidate(params), feasible[str(params)]
        assert (candidate is not None) == (expected is not None), params
        if candidate is not None and expected is not None:
            assert candidate.run.model == expected[0]
            assert candidate.costs == count_costs(*expected)
    keys = {found.candidate(params).key for params in points(config) if feasible[str(params)]}  # type: ignore[union-attr]
    assert {one.key for one in everything} == keys and len(everything) == len(keys)
    shapes = found.shapes
    assert shapes is not None
    for name, column in shapes.costs.items():
        assert column == [one.costs[name] for one in found.each_shape()]


ONE = {"hidden_size": 32, "num_heads": 2, "H_layers": 1, "mlp_multiple": 8}
TWO_DEPTHS = space({"L_layers": [1, 3]}, fixed=ONE)


def bounded(asked: dict[str, Any], **bounds: Any) -> Candidates:
    config = sweep(asked, train={"equal": "steps"})
    return Candidates(dataclasses.replace(config, budget=BudgetConfig(**bounds)), task_fields())


def costs_at(L_layers: int) -> dict[str, int]:
    return count_costs(PuzzleHRMConfig(**ONE, L_layers=L_layers, **task_fields()), TrainConfig(steps=600))


@pytest.mark.parametrize("name", NAMES)
def test_each_upper_bound_is_inclusive_and_names_the_smallest_cost(name: str) -> None:
    least = costs_at(1)[name]
    assert bounded(TWO_DEPTHS, **{f"max_{name}": least}).num_feasible_architectures == 1
    with pytest.raises(BudgetError) as refused:
        bounded(TWO_DEPTHS, **{f"max_{name}": least - 1})
    assert re.fullmatch(
        rf"budget\.max_{name}: given {least - 1}; no model of space asked has fewer than {least:,} [\w ]+\. "
        rf"Raise the budget to at least {least:,}, or search a space of smaller models\.",
        str(refused.value),
    )


@pytest.mark.parametrize("name", NAMES)
def test_each_lower_bound_is_inclusive_and_names_what_is_near(name: str) -> None:
    small, large = costs_at(1)[name], costs_at(3)[name]
    assert bounded(TWO_DEPTHS, **{f"min_{name}": large}).num_feasible_architectures == 1
    with pytest.raises(BudgetError) as refused:
        bounded(TWO_DEPTHS, **{f"max_{name}": large - 1, f"min_{name}": small + 1})
    message = str(refused.value)
    assert message.startswith(
        f"budget.min_{name}: given {small + 1}; within budget.max_{name}={large - 1:,}, "
    )
    assert f"no model of space asked has more than {small:,} " in message
    assert f"(the next has {large:,}, the smallest has {small:,})" in message


def test_bounds_that_clash_name_what_the_others_leave() -> None:
    asked = space({"L_cycles": [1, 4], "L_layers": [1, 3]}, fixed=ONE | {"H_cycles": 1})
    model = PuzzleHRMConfig(**ONE, L_layers=1, H_cycles=1, L_cycles=1, **task_fields())
    cheap = count_costs(model, TrainConfig(steps=600))
    deep = count_costs(dataclasses.replace(model, L_layers=3), TrainConfig(steps=600))
    long = count_costs(dataclasses.replace(model, L_cycles=4), TrainConfig(steps=600))
    most = min(deep["flops_per_step"], long["flops_per_step"]) - 1
    with pytest.raises(BudgetError) as refused:
        bounded(asked, max_flops_per_step=most, min_params=deep["params"])
    assert (
        f"within budget.max_flops_per_step={most:,}, no model of space asked has more than {cheap['params']:,}"
        in (str(refused.value))
    )
    asked = space({"L_layers": [1, 3], "batch_size": [4, 32]}, fixed=ONE)
    small, wide = costs_at(1), TrainConfig(steps=600, batch_size=4)
    least = count_costs(PuzzleHRMConfig(**ONE, L_layers=1, **task_fields()), wide)["flops_per_step"] + 1
    with pytest.raises(BudgetError) as refused:
        bounded(asked, max_params=small["params"], max_memory=small["memory"] - 1, min_flops_per_step=least)
    within = f"budget.max_params={small['params']:,} and budget.max_memory={small['memory'] - 1:,}"
    assert f"within {within}, no model of space asked has more than {least - 1:,} FLOPs per step" in str(
        refused.value
    )


@pytest.mark.parametrize("name", [name for name in NAMES if name != "params"])
def test_a_width_can_fill_any_bound_alone(name: str) -> None:
    derived = {"hidden_size": "fill", "num_heads": "hidden_size // 16"}
    asked = space({"L_layers": [1, 3]}, derived=derived, fixed={"H_layers": 1, "mlp_multiple": 8})
    most = bounded(asked, **{f"max_{name}": "tiny_demo"})
    for one in most.each_shape():
        width = one.run.model.hidden_size
        wider = dataclasses.replace(one.run.model, hidden_size=width + 16, num_heads=(width + 16) // 16)
        bound = most.budget.bounds[0].value
        assert one.costs[name] <= bound < count_costs(wider, one.run.train)[name]
    assert most.num_feasible_architectures == 2


@pytest.mark.parametrize("max_params", [None, "200M"])
def test_a_width_whose_cost_first_falls_is_filled_to_the_last(max_params: str | None) -> None:
    """A puzzle embedding of 100,000 numbers takes 6,250 positions at width 16, and 209 at width 480."""
    fixed = {"H_layers": 1, "num_heads": 1, "puzzle_emb_ndim": 100_000, "mlp_multiple": 8}
    asked = space({"L_layers": [1]}, derived={"hidden_size": "fill"}, fixed=fixed)
    model, train = PuzzleHRMConfig(**fixed, L_layers=1, **task_fields()), TrainConfig(steps=600)
    costs = {
        width: count_costs(dataclasses.replace(model, hidden_size=width), train)["flops_per_step"]
        for width in range(16, 1024, 16)
    }
    most = costs[480]
    assert costs[16] > most
    found = bounded(asked, max_flops_per_step=most, max_params=max_params).candidate({"L_layers": 1})
    assert found is not None
    assert found.run.model.hidden_size == max(width for width, cost in costs.items() if cost <= most)


def test_presets_out_of_any_bound_say_which() -> None:
    asked = space({"L_layers": [1, 2]}, fixed=ONE)
    found = bounded(asked, max_memory="tiny_demo", max_inference_flops=11 * 10**7)
    place = found.fit_preset("tiny_demo")
    assert place.violation == "exceeds budget.max_inference_flops=110,000,000"
    assert "exceeds budget.max_memory=" in str(found.fit_preset("small_sudoku").violation)
