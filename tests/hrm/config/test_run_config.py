"""One run's config: the spellings of options, round trips, and the messages of each fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrm.config.errors import ConfigError, UnknownNameError
from hrm.config.run_config import (
    DEFAULT_TASK,
    DEVICES,
    SECTIONS,
    RunConfig,
    load_run_config,
    merge_overrides,
    qualify,
    save_run_config,
)
from hrm.config.schema import write_yaml
from hrm.config.validation import MAX_SEED


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("hidden_size", "model.hidden_size"),
        ("arch.hidden_size", "model.hidden_size"),
        ("model.hidden_size", "model.hidden_size"),
        ("H_layers", "model.H_layers"),
        ("lr", "train.lr"),
        ("train.lr", "train.lr"),
        ("steps", "train.steps"),
        ("task", "task.name"),
        ("task.name", "task.name"),
        ("clues", "task.clues"),
        ("seed", "seed"),
        ("device", "device"),
        ("family", "family"),
    ],
)
def test_qualify(name: str, full: str) -> None:
    assert qualify(name) == full


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("hiden_size", "hidden_size"),
        ("model.hiden_size", "hidden_size"),
        ("arch.hiden_size", "hidden_size"),
        ("trian.lr", "train"),
        ("train.step", "steps"),
        ("task.clue", "clues"),
        ("sed", "seed"),
    ],
)
def test_an_unknown_name_gets_a_suggestion(name: str, suggestion: str) -> None:
    with pytest.raises(UnknownNameError, match=f"Did you mean '{suggestion}'"):
        qualify(name)


@pytest.mark.parametrize("name", ["name", "model", "train", "model.", "train.lr.x", ""])
def test_no_option_goes_by_that_name(name: str) -> None:
    with pytest.raises(UnknownNameError):
        qualify(name)


def test_every_field_has_a_bare_name_of_its_own() -> None:
    """A field in two sections would be out of reach by its bare name in one of them."""
    config = RunConfig.from_dict({}).to_dict()
    fields = [field for section in SECTIONS for field in config[section]]
    assert len(fields) == len(set(fields))


def test_defaults_are_complete() -> None:
    config = RunConfig.from_dict({})
    assert config.task.name == DEFAULT_TASK
    assert config == RunConfig.from_dict(config.to_dict())


@settings(max_examples=30)
@given(
    seed=st.integers(0, MAX_SEED - 1),
    lr=st.floats(1e-12, 1e6),
    period=st.none() | st.integers(1, 9),
    threads=st.none() | st.integers(1, 64),
    device=st.sampled_from(DEVICES),
    steps=st.integers(10, 10**9),
)
def test_yaml_round_trip(
    tmp_path_factory: pytest.TempPathFactory, seed: int, lr: float, period: int | None, **tops: Any
) -> None:
    path = tmp_path_factory.getbasetemp() / "config.yaml"
    config = RunConfig.from_dict({"seed": seed, "train": {"lr": lr}, "model": {"h_update_period": period}})
    config = config.replace(**tops)
    save_run_config(config, path)
    assert load_run_config(path) == config


def test_a_written_exponent_is_a_number(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("train: {lr: 1e-4}\nmodel: {h_update_period: null}\n")
    config = load_run_config(path, ["puzzle_emb_lr=1e-2", "train.steps=1e4"])
    assert (config.train.lr, config.train.puzzle_emb_lr, config.train.steps) == (1e-4, 1e-2, 10_000)
    assert config.model.h_update_period is None


def test_a_winner_with_its_provenance_loads_as_the_run_alone(tmp_path: Path) -> None:
    config = RunConfig.from_dict({"seed": 7, "task": "sudoku6"})
    path = tmp_path / "best.yaml"
    write_yaml(config.to_dict() | {"sweep": {"commit": "abc", "trial": 12, "value": 0.9}}, path)
    assert load_run_config(path) == config


def test_overrides_win_and_leave_the_rest() -> None:
    config = RunConfig.from_dict({"task": "sudoku6", "train": {"lr": 1e-3}})
    changed = config.replace(**{"arch.hidden_size": 64, "num_heads": 4, "seed": 3, "task.clues": 14})
    assert (changed.model.hidden_size, changed.model.num_heads, changed.seed) == (64, 4, 3)
    assert (changed.task.name, changed.task.clues, changed.train) == ("sudoku6", 14, config.train)
    assert config.seed == 0


def test_the_task_named_in_the_overrides_decides_its_options() -> None:
    assert RunConfig.from_dict(merge_overrides({}, {"task": "sudoku4", "clues": 5})).task.clues == 5
    assert RunConfig.from_dict({"task": "sudoku4"}).task.name == "sudoku4"
    saved = RunConfig.from_dict(
        merge_overrides({}, {"task": "sudoku6", "clues": 14, "hidden_size": 64})
    ).to_dict()
    for name in ("task", "task.name"):
        changed = RunConfig.from_dict(merge_overrides(saved, {name: "sudoku4"}))
        assert changed == RunConfig.from_dict(merge_overrides({}, {"task": "sudoku4", "hidden_size": 64}))
    assert RunConfig.from_dict(merge_overrides(saved, {"task": "sudoku6"})).task.clues == 14


def test_data_on_disk_are_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "puzzles").mkdir()
    monkeypatch.chdir(tmp_path)
    config = RunConfig.from_dict({"task": "puzzles"})
    assert config.task.name == str(tmp_path / "puzzles")
    assert RunConfig.from_dict(config.to_dict()) == config


def test_merge_does_not_touch_what_it_is_given() -> None:
    values = {"model": {"hidden_size": 64}, "train": None}
    merge_overrides(values, {"hidden_size": 32, "lr": 1.0})
    assert values == {"model": {"hidden_size": 64}, "train": None}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sed": 1}, "configuration: given 'sed'"),
        ({"model": {"hiden_size": 1}}, "model: given 'hiden_size'"),
        ({"model": 3}, "model: given 3; must be a mapping"),
        ({"train": "long"}, "train: given 'long'; must be a mapping"),
        ({"task": "sudoku5"}, "task: given 'sudoku5'"),
        ({"task": {"name": 5}}, "task: given '5'"),
        ({"family": "poetry"}, "family: given 'poetry'"),
        ({"seed": -1}, "seed: given -1"),
        ({"seed": MAX_SEED}, "seed: given 9223372036854775808"),
        ({"seed": 1.5}, "seed: given 1.5; must be a whole number"),
        ({"threads": 0}, "threads: given 0; must be at least 1, or null"),
        ({"device": "tpu"}, "device: given 'tpu'; must be one of: auto, cuda, mps, cpu"),
        ({"model": {"num_heads": 7}}, "model.num_heads: given 7; must divide hidden_size=512"),
    ],
)
def test_refused_with_a_message(values: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigError, UnknownNameError)) as caught:
        RunConfig.from_dict(values)
    assert message in str(caught.value)
