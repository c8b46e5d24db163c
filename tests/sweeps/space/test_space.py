"""Spaces as YAML: what is taken, and what each typo is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hrm.config.errors import ConfigError, UnknownNameError, UserError
from sweeps.space.space import Space, find_spaces, hash_space, load_space
from tests.sweeps.small_sweep import space

GOOD = space({"H_layers": {"int": [1, 4]}, "lr": {"log": [1e-4, 1e-2], "num": 5}})


def refused(asked: dict[str, Any]) -> str:
    with pytest.raises(UserError) as error:
        Space.parse(asked)
    return str(error.value)


def test_a_space_in_full() -> None:
    parsed = Space.parse(
        space(
            {"arch.H_layers": {"int": [1, 8]}, "train.lr": [1e-3, 1e-4]},
            derived={
                "num_heads": "hidden_size // head_size",
                "hidden_size": "fill",
                "L_layers": "9 - H_layers",
            },
            constants={"head_size": 8},
            fixed={"model.H_cycles": 1, "expansion": 3},
            run={"task": "sudoku6", "budget": {"max_params": "tiny_demo"}, "train": {"steps": 600}},
        )
    )
    assert list(parsed.parameters) == ["H_layers", "lr"]
    assert list(parsed.derived) == ["num_heads", "L_layers"] and parsed.filled == "hidden_size"
    assert parsed.constants == {"head_size": 8}
    assert parsed.fixed == {"H_cycles": 1, "expansion": 3.0}
    assert parsed.reading("hidden_size") == {"num_heads"} and parsed.reading("H_layers") == {"L_layers"}


def test_derived_values_are_ordered_by_what_they_read() -> None:
    derived = {"num_heads": "hidden_size // 16", "hidden_size": "H_layers * 32", "L_layers": "num_heads"}
    assert list(Space.parse(GOOD | {"derived": derived}).derived) == ["hidden_size", "num_heads", "L_layers"]


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (
            {"paramters": {}},
            ["given 'paramters'; must be one of: constants, derived, fixed", "mean 'parameters'?"],
        ),
        ({"question": ""}, ["question", "must say in a sentence what the space asks"]),
        ({"question": None}, ["question"]),
        ({"parameters": {}}, ["parameters", "must hold at least one parameter to search"]),
        ({"parameters": [1, 2]}, ["parameters", "must be a mapping of names to values"]),
        (
            {"parameters": {"hiden_size": [64]}},
            ["parameters", "given 'hiden_size'", "Did you mean 'hidden_size'?"],
        ),
        ({"parameters": {"model.lr": [1e-3]}}, ["parameters", "given 'model.lr'"]),
        ({"parameters": {"task.clues": [14]}}, ["parameters", "given 'task.clues'"]),
        ({"parameters": {"seed": [1]}}, ["parameters", "given 'seed'"]),
        (
            {"parameters": {"H_layers": [1], "arch.H_layers": [2]}},
            ["arch.H_layers", "H_layers already stands under parameters"],
        ),
        (
            {"parameters": {"steps": [10]}},
            ["parameters.steps", "the same for every trial", "under run: train: steps"],
        ),
        ({"parameters": {"train.num_reports": [10]}}, ["the same for every trial"]),
        (
            {"parameters": {"H_layers": {"int": [4, 1]}}},
            ["parameters.H_layers", "low=4 must not be above high=1"],
        ),
        ({"parameters": {"H_layers": {"int": []}}}, ["parameters.H_layers", "takes its two ends"]),
        ({"parameters": {"H_layers": []}}, ["parameters.H_layers", "at least one value"]),
        ({"parameters": {"lr": {"log": [0, 1]}}}, ["parameters.lr", "a log range must lie above 0"]),
        ({"parameters": {"lr": {"float": [-1, 1]}}}, ["parameters.lr", "given -1.0; must be above 0"]),
        ({"parameters": {"H_layers": {"float": [1, 2]}}}, ["parameters.H_layers", "must have whole values"]),
        ({"parameters": {"H_layers": [1.5]}}, ["parameters.H_layers", "must be a whole number"]),
        ({"parameters": {"H_layers": ["one"]}}, ["parameters.H_layers", "must be a whole number"]),
        ({"parameters": {"expansion": [True]}}, ["parameters.expansion", "must be a finite number"]),
        ({"parameters": {"q_continue": [1, 0]}}, ["parameters.q_continue", "must be true or false"]),
        ({"parameters": {"h_update_period": ["x"]}}, ["must be a whole number or null"]),
        ({"fixed": {"H_layer": 2}}, ["fixed", "given 'H_layer'", "Did you mean 'H_layers'?"]),
        ({"fixed": {"L_layers": "two"}}, ["fixed.L_layers", "must be a whole number"]),
        ({"fixed": {"weight_decay": -1}}, ["fixed.weight_decay", "must be 0 or more"]),
        ({"fixed": {"H_layers": 2}}, ["fixed.H_layers", "already stands under parameters"]),
        ({"derived": {"H_layers": "2"}}, ["derived.H_layers", "already stands under parameters"]),
        (
            {"derived": {"L_layers": "2"}, "fixed": {"L_layers": 2}},
            ["L_layers", "already stands under fixed"],
        ),
        (
            {"derived": {"L_layers": "H_layer + 1"}},
            ["derived.L_layers", "given 'H_layer'", "mean 'H_layers'?"],
        ),
        ({"derived": {"L_layers": "steps"}}, ["derived.L_layers", "given 'steps'"]),
        ({"derived": {"L_layers": "open('x')"}}, ["derived.L_layers", "is none of: numbers, names"]),
        ({"derived": {"L_layers": "1 +"}}, ["derived.L_layers", "must be an expression of"]),
        ({"derived": {"pos_encodings": "1"}}, ["derived.pos_encodings", "takes text"]),
        (
            {"derived": {"L_layers": "H_cycles", "H_cycles": "L_layers"}},
            ["H_cycles, L_layers", "in a circle"],
        ),
        ({"derived": {"L_layers": "L_layers + 1"}}, ["L_layers", "in a circle"]),
        ({"derived": {"L_layers": "fill"}}, ["derived.L_layers", "only hidden_size can fill the budget"]),
        ({"derived": {"mlp_multiple": "fill"}}, ["only hidden_size can fill the budget"]),
        (
            {"derived": {"hidden_size": "fill", "L_layers": "hidden_size // 64"}},
            [
                "derived.L_layers",
                "reads hidden_size, which fills the budget",
                "must not change the model's size",
            ],
        ),
        (
            {"derived": {"hidden_size": "fill", "num_heads": "hidden_size // 16", "L_layers": "num_heads"}},
            ["derived.L_layers", "must not change the model's size"],
        ),
        (
            {"derived": {"hidden_size": "fill"}, "constants": {"head_size": 0}},
            ["constants.head_size", "at least 1"],
        ),
        ({"derived": {"hidden_size": "fill"}, "constants": {"head_size": 2.5}}, ["constants.head_size"]),
        ({"constants": {"H_layers": 2}}, ["constants.H_layers", "is a field", "Move it to fixed."]),
        ({"constants": {"head size": 2}}, ["constants.head size", "must be a name with a number"]),
        ({"constants": {"head": "x"}}, ["constants.head", "must be a name with a number"]),
        ({"run": {"tsk": "sudoku6"}}, ["run", "given 'tsk'", "Did you mean 'task'?"]),
        ({"run": {"space": "x"}}, ["run", "given 'space'"]),
        ({"run": {"budget": 5}}, ["run.budget", "must be a mapping"]),
        ({"run": {"budget": {"max_param": 5}}}, ["run.budget", "Did you mean 'max_params'?"]),
        ({"run": {"train": {"step": 5}}}, ["run.train", "Did you mean 'steps'?"]),
        ({"run": {"model": {"halt_max_step": 5}}}, ["run.model", "Did you mean 'halt_max_steps'?"]),
        ({"run": {"confirm": {"seed": 3}}}, ["run.confirm", "Did you mean 'seeds'?"]),
        ({"run": {"sampler": 3}}, ["run.sampler", "must be a mapping"]),
        ({"run": "sudoku6"}, ["run", "must be a mapping"]),
    ],
)
def test_each_fault_is_named(change: dict[str, Any], parts: list[str]) -> None:
    message = refused(GOOD | change)
    assert message.startswith("space asked")
    for part in parts:
        assert part in message, message


def test_a_task_sampler_or_pruner_may_be_a_name_or_a_mapping() -> None:
    for section in ("sudoku6", {"name": "sudoku6", "clues": 16}):
        Space.parse(GOOD | {"run": {"task": section, "sampler": "random", "pruner": {"name": "median"}}})


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


MINIMAL = "question: Which width?\nparameters: {hidden_size: [64, 128]}\n"


def test_a_dropped_in_file_works_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, "width.yaml", MINIMAL)
    assert find_spaces(tmp_path) == {"width": path}
    expected = {"name": "width", "question": "Which width?", "parameters": {"hidden_size": [64, 128]}}
    assert load_space("width", tmp_path) == expected
    assert load_space(str(path)) == expected


def test_a_broken_file_breaks_no_other(tmp_path: Path) -> None:
    write(tmp_path, "width.yaml", MINIMAL)
    write(tmp_path, "broken.yaml", "question: [unclosed\n")
    write(tmp_path, "typo.yaml", MINIMAL.replace("hidden_size", "hiden_size"))
    assert list(find_spaces(tmp_path)) == ["broken", "typo", "width"]
    assert load_space("width", tmp_path)["name"] == "width"
    with pytest.raises(ConfigError, match=r"broken\.yaml: .*must be valid YAML"):
        load_space("broken", tmp_path)
    with pytest.raises(
        UnknownNameError, match=r"typo\.yaml: parameters: given 'hiden_size'.*Did you mean 'hidden_size'"
    ):
        load_space("typo", tmp_path)


def test_an_unknown_space_is_named(tmp_path: Path) -> None:
    write(tmp_path, "width.yaml", MINIMAL)
    with pytest.raises(
        UnknownNameError, match=r"space: given 'widht'; must be one of: width\. Did you mean 'width'"
    ):
        load_space("widht", tmp_path)
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        load_space(str(tmp_path / "nowhere.yaml"))


def test_numbers_in_yaml_read_as_numbers(tmp_path: Path) -> None:
    write(tmp_path, "rate.yaml", "question: Which rate?\nparameters: {lr: {log: [1e-4, 1e-2], num: 5}}\n")
    parsed = Space.parse(load_space("rate", tmp_path))
    assert parsed.parameters["lr"].extremes()[0] == 1e-4


def test_space_hash_depends_on_values_alone() -> None:
    assert hash_space({"a": 1, "b": [1, 2]}) == hash_space({"b": [1, 2], "a": 1})
    assert hash_space({"a": 1}) != hash_space({"a": 2})
