"""Presets load, build, and are what the size guide names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hrm.config import presets
from hrm.config.errors import ConfigError, UnknownNameError
from hrm.config.presets import list_presets, load_preset
from hrm.config.schema import build_config
from hrm.models.puzzle.config import PuzzleHRMConfig
from hrm.models.registry import get_family

GOLDEN = {  # parameters; the text models' with the vocabulary that their documents count
    "tiny_demo": 527_490,
    "small_sudoku": 3_414_274,
    "medium": 7_087_490,
    "small_custom": 10_626_434,
    "base_default": 27_275_778,
    "compute_scaled": 27_275_778,
    "larger_85m": 84_953_858,
    "text_demo": 1_616_775,
    "text_1m": 918_177,
    "text_10m": 9_569_496,
    "text_tiny_50m": 50_398_872,
    "text_medium_350m": 329_094_960,
    "text_large_1b": 1_875_657_288,
}


@pytest.mark.parametrize("name", list_presets())
def test_golden_parameters_of_the_built_model(name: str) -> None:
    preset = load_preset(name)
    kind = get_family(preset.family)
    config = build_config(kind.config_class, preset.model, name)
    with torch.device("meta"):
        model = kind.build(config)
    state = model.state_dict()
    embedding = sum(tensor.numel() for key, tensor in state.items() if key.endswith("puzzle_emb.weights"))
    assert sum(parameter.numel() for parameter in model.parameters()) + embedding == GOLDEN[name]
    assert kind.count(config).params == GOLDEN[name]


def test_every_preset_says_what_it_is_for_and_where_the_guide_has_it() -> None:
    loaded = [load_preset(name) for name in list_presets()]
    assert len({preset.summary for preset in loaded}) == len(loaded)
    assert all(preset.summary for preset in loaded)
    assert all(preset.source for preset in loaded if preset.reported_params or preset.family == "puzzle")


def test_base_default_is_the_default() -> None:
    assert PuzzleHRMConfig(**load_preset("base_default").model) == PuzzleHRMConfig()


def test_an_unknown_preset_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as caught:
        load_preset("tiny-demo")
    assert "must be one of: base_default, compute_scaled" in str(caught.value)
    assert caught.value.hint == "Did you mean 'tiny_demo'?"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sumary: x\nmodel: {}", "Did you mean 'summary'"),
        ("summary: x", "must hold the model's fields"),
        ("- 1", "must hold a mapping"),
        ("summary: x\nreported_params: 3\nmodel: {hidden_size: 64}", "must read like ~25M"),
        (
            "summary: x\nreported_params: about 3 million\nmodel: {hidden_size: 64}",
            "must read like ~25M, ~7–8M or ~1B",
        ),
    ],
)
def test_a_broken_preset_file_says_so(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    monkeypatch.setattr(presets, "FOLDER", tmp_path)
    assert list_presets() == ["mine"]
    with pytest.raises((ConfigError, UnknownNameError), match=message):
        load_preset("mine")
