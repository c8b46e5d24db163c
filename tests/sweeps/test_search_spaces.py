"""The spaces that ship: each loads, each asks something, each has enough to compare."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from hrm.config.schema import build_config
from hrm.data.registry import get_task_class
from sweeps.config import BudgetConfig, SweepConfig, SweepTrainConfig
from sweeps.space.candidates import Candidates
from sweeps.space.space import SPACES_FOLDER, find_spaces, load_space
from tests.sweeps.small_sweep import list_all

TEXT = ("text_cycles", "text_depth_vs_width", "text_full", "text_h_update_period")
SHIPPED = ("cycles", "depth_vs_width", "expansion", "full", "h_update_period", *TEXT)


def as_shipped(name: str) -> tuple[SweepConfig, Candidates]:
    """The space under its own `run` section."""
    asked = load_space(name)
    run: dict[str, Any] = asked.pop("run")
    config = SweepConfig(
        space=asked,
        family=run.get("family", "puzzle"),
        task=run["task"],
        model=run["model"],
        train=SweepTrainConfig(**run["train"]),
        budget=BudgetConfig(**run["budget"]),
    )
    fields = build_config(get_task_class(run["task"]["name"]), run["task"], "task").get_model_fields()
    assert fields is not None
    return config, Candidates(config, fields)


def test_these_ship() -> None:
    assert tuple(find_spaces()) == SHIPPED
    assert SPACES_FOLDER.name == "search_spaces"


@pytest.mark.parametrize("name", SHIPPED)
def test_each_has_at_least_six_feasible_architectures(name: str) -> None:
    _, found = as_shipped(name)
    assert (found.num_feasible_architectures or 0) >= 6


@pytest.mark.parametrize("name", SHIPPED)
def test_each_states_its_question_and_its_defaults(name: str) -> None:
    asked = load_space(name)
    assert asked["name"] == name and asked["question"].endswith("?")
    assert {"task", "budget", "train"} <= set(asked["run"])
    assert asked["run"]["train"]["steps"] > 0


@pytest.mark.parametrize("name", SHIPPED)
def test_each_searches_the_learning_rate_on_a_log_grid_of_five(name: str) -> None:
    rates = as_shipped(name)[1].space.parameters["lr"].grid
    assert rates is not None and len(rates) == 5
    ratios = [after / before for before, after in itertools.pairwise(rates)]
    assert ratios == pytest.approx([ratios[0]] * 4, rel=1e-4) and ratios[0] > 1


@pytest.mark.parametrize("name", SHIPPED)
def test_each_has_a_baseline_that_fits(name: str) -> None:
    config, found = as_shipped(name)
    assert found.fit_preset(config.train.reference).violation is None


def test_depth_vs_width_is_as_the_issue_has_it() -> None:
    config, found = as_shipped("depth_vs_width")
    assert list(found.space.parameters["H_layers"].grid or ()) == list(range(1, 9))
    assert list(found.space.parameters["L_layers"].grid or ()) == list(range(1, 9))
    assert found.space.filled == "hidden_size" and found.space.constants["head_size"] == 16
    assert (config.budget.max_params, config.budget.min_params) == ("tiny_demo", 0.8)
    assert (found.budget.max_params, found.budget.min_params) == (527_490, 421_992)


def test_cycles_change_compute_only() -> None:
    _, found = as_shipped("cycles")
    assert {one.num_params for one in found.each_shape()} == {527_490}
    assert len({one.flops_per_step for one in found.each_shape()}) > 6


def test_expansion_rounds_to_a_multiple_of_32() -> None:
    _, found = as_shipped("expansion")
    assert {one.run.model.mlp_multiple for one in found.each_shape()} == {32}
    assert found.num_feasible_architectures == len(found.space.parameters["expansion"].grid or ())


def test_update_periods_are_those_of_eight_steps() -> None:
    _, found = as_shipped("h_update_period")
    models = [one.run.model for one in found.each_shape()]
    assert {model.num_L_steps for model in models} == {8}
    assert [model.effective_period for model in models] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_full_searches_all_five_dimensions() -> None:
    _, found = as_shipped("full")
    dimensions = {
        "hidden_size",
        "H_layers",
        "L_layers",
        "H_cycles",
        "L_cycles",
        "expansion",
        "h_update_period",
    }
    assert dimensions <= set(found.space.parameters)
    assert {one.run.model.mlp_multiple for one in list_all(found)[:3]} == {32}


@pytest.mark.parametrize("name", TEXT)
def test_text_spaces_search_bits_per_byte_against_text_presets(name: str) -> None:
    config, found = as_shipped(name)
    assert load_space(name)["run"]["objective"] == "valid/bits_per_byte"
    assert found.family == config.family == "text"
    assert {one.run.train.max_flops for one in found.each_shape()} == {found.flops_budget.flops}
    assert found.fit_preset("tiny_demo").violation is not None


def test_text_periods_are_those_of_six_steps() -> None:
    _, found = as_shipped("text_h_update_period")
    assert [one.run.model.effective_period for one in found.each_shape()] == [1, 2, 3, 4, 5, 6]


def test_text_shapes_fill_the_budget() -> None:
    _, found = as_shipped("text_depth_vs_width")
    assert all(0.8 * 87_015 <= one.num_params <= 87_015 for one in found.each_shape())
    shapes = {one.run.model.n_layers: one.run.model.n_embd for one in found.each_shape()}
    assert shapes == {1: 48, 2: 32, 3: 28, 4: 24, 5: 20, 6: 20, 8: 16}
