"""The vectorised rules against the config class, config by config."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hrm.errors import ConfigError
from hrm.puzzle.config import PuzzleHRMConfig
from hrm.puzzle.counting import count_arrays
from hrm.puzzle.lattice import LATTICE

DEFAULTS = {field.name: field.default for field in dataclasses.fields(PuzzleHRMConfig)}
NUM_CONFIGS = 12
NUMBERS = {
    "hidden_size": st.integers(-1, 40),
    "num_heads": st.integers(-1, 9),
    "H_layers": st.integers(0, 3),
    "L_layers": st.integers(0, 3),
    "H_cycles": st.integers(0, 4),
    "L_cycles": st.integers(0, 4),
    "h_update_period": st.integers(0, 9),
    "expansion": st.sampled_from([-1.0, 0.0, 0.3, 1.0, 1.5, 2.0, 4.0]),
    "mlp_multiple": st.integers(0, 40),
    "puzzle_emb_ndim": st.integers(-1, 60),
    "rms_norm_eps": st.sampled_from([0.0, 1e-6, 1e-5]),
    "rope_theta": st.sampled_from([-1.0, 100.0, 1e4]),
    "halt_max_steps": st.integers(0, 4),
    "halt_exploration_prob": st.sampled_from([-0.1, 0.0, 0.5, 1.0, 1.1]),
    "gradient_L_steps": st.integers(0, 6),
    "vocab_size": st.integers(0, 12),
    "seq_len": st.integers(0, 36),
    "num_puzzle_identifiers": st.integers(0, 3),
}
SINGLES = {
    "h_update_period": st.none(),
    "puzzle_emb_ndim": st.none(),
    "pos_encodings": st.sampled_from(["rope", "learned", "sinus"]),
    "q_continue": st.booleans(),
    "loss_type": st.sampled_from(["stablemax_cross_entropy", "softmax_cross_entropy", "mse"]),
    "forward_dtype": st.sampled_from(["float32", "bfloat16", "int8"]),
}


@st.composite
def many_fields(draw: st.DrawFn) -> dict[str, Any]:
    """Some fields as arrays, some as single values, the rest at their defaults."""
    fields: dict[str, Any] = dict(DEFAULTS)
    for name in draw(st.sets(st.sampled_from(sorted(NUMBERS)), max_size=8)):
        values = draw(st.lists(NUMBERS[name], min_size=NUM_CONFIGS, max_size=NUM_CONFIGS))
        fields[name] = np.array(values)
    for name in draw(st.sets(st.sampled_from(sorted(SINGLES)), max_size=2)):
        fields[name] = draw(SINGLES[name])
    return fields


def single(fields: dict[str, Any], index: int) -> PuzzleHRMConfig | None:
    values = {
        name: value[index].item() if isinstance(value, np.ndarray) else value
        for name, value in fields.items()
    }
    try:
        return PuzzleHRMConfig(**values)
    except ConfigError:
        return None


def at(value: Any, index: int) -> Any:
    whole = np.asarray(value)
    return whole[index].item() if whole.ndim else value


@given(many_fields())
def test_valid_is_what_the_constructor_takes(fields: dict[str, Any]) -> None:
    valid = np.broadcast_to(LATTICE.valid(fields), NUM_CONFIGS)
    assert [bool(one) for one in valid] == [single(fields, i) is not None for i in range(NUM_CONFIGS)]


@settings(max_examples=60)
@given(many_fields())
def test_architectures_are_the_configs_own(fields: dict[str, Any]) -> None:
    valid = np.flatnonzero(np.broadcast_to(LATTICE.valid(fields), NUM_CONFIGS))
    kept = {name: value[valid] if isinstance(value, np.ndarray) else value for name, value in fields.items()}
    architectures = LATTICE.architectures(kept)
    for position, index in enumerate(valid):
        config = single(fields, int(index))
        assert config is not None
        assert {name: at(value, position) for name, value in architectures.items()} == config.architecture


@settings(max_examples=60)
@given(many_fields(), st.sampled_from(sorted(LATTICE.weightless)), st.data())
def test_weightless_fields_change_no_parameter(
    fields: dict[str, Any], name: str, data: st.DataObject
) -> None:
    config = next(filter(None, (single(fields, i) for i in range(NUM_CONFIGS))), None)
    if config is None:
        return
    changed = dataclasses.asdict(config) | {name: data.draw((SINGLES | NUMBERS)[name])}
    try:
        PuzzleHRMConfig(**changed)
    except ConfigError:
        return
    assert count_arrays(changed)["params"] == count_arrays(dataclasses.asdict(config))["params"]


@settings(max_examples=60)
@given(many_fields())
def test_a_wider_model_is_larger(fields: dict[str, Any]) -> None:
    config = next(filter(None, (single(fields, i) for i in range(NUM_CONFIGS))), PuzzleHRMConfig())
    widths = np.arange(1, 400)
    params = count_arrays(dataclasses.asdict(config) | {LATTICE.width: widths})["params"]
    assert (np.diff(params) > 0).all()


def test_every_field_has_values_to_test() -> None:
    assert {*NUMBERS, *SINGLES} == set(DEFAULTS)
