"""Presets load, build, and are what the size guide names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hrm import config as reader
from hrm import presets
from hrm.errors import ConfigError, UnknownNameError
from hrm.families import family
from hrm.presets import load_preset, preset_names
from hrm.puzzle.config import PuzzleHRMConfig

SHAPES = {  # hidden_size, num_heads, H_layers, L_layers, H_cycles, L_cycles
    "tiny_demo": (128, 4, 1, 1, 1, 1),
    "small_sudoku": (256, 8, 2, 2, 2, 2),
    "base_default": (512, 8, 4, 4, 2, 2),
    "small_custom": (384, 6, 3, 3, 2, 2),
    "medium": (384, 6, 2, 2, 2, 2),
    "larger_85m": (768, 12, 6, 6, 2, 2),
    "compute_scaled": (512, 8, 4, 4, 4, 4),
}


def test_every_puzzle_preset_has_the_guides_shape() -> None:
    assert sorted(SHAPES) == preset_names("puzzle")
    for name, shape in SHAPES.items():
        preset = load_preset(name)
        assert preset.family == "puzzle" and preset.name == name
        model: Any = reader.build(family(preset.family).config_class, preset.model, name)
        fields = ("hidden_size", "num_heads", "H_layers", "L_layers", "H_cycles", "L_cycles")
        assert tuple(getattr(model, field) for field in fields) == shape


def test_every_preset_says_what_it_is_for_and_where_the_guide_has_it() -> None:
    loaded = [load_preset(name) for name in preset_names()]
    assert len({preset.summary for preset in loaded}) == len(loaded)
    assert all(preset.summary for preset in loaded)
    assert all(preset.place for preset in loaded if preset.claim or preset.family == "puzzle")


def test_base_default_is_the_default() -> None:
    assert PuzzleHRMConfig(**load_preset("base_default").model) == PuzzleHRMConfig()


def test_an_unknown_preset_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as caught:
        load_preset("tiny-demo")
    assert "must be one of: base_default, compute_scaled" in str(caught.value)
    assert caught.value.mend == "Did you mean 'tiny_demo'?"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sumary: x\nmodel: {}", "Did you mean 'summary'"),
        ("summary: x", "must hold the model's fields"),
        ("- 1", "must hold a mapping"),
        ("summary: x\nclaim: 3\nmodel: {hidden_size: 64}", "must read like ~25M"),
        ("summary: x\nclaim: about 3 million\nmodel: {hidden_size: 64}", "must read like ~25M, ~7–8M or ~1B"),
    ],
)
def test_a_broken_preset_file_says_so(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    monkeypatch.setattr(presets, "FOLDER", tmp_path)
    assert preset_names() == ["mine"]
    with pytest.raises((ConfigError, UnknownNameError), match=message):
        load_preset("mine")
