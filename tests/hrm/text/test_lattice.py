"""The vectorised rules against the config class, config by config."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrm.errors import ConfigError
from hrm.text.config import TextHRMConfig
from hrm.text.counting import count_arrays
from hrm.text.lattice import LATTICE

DEFAULTS = {field.name: field.default for field in dataclasses.fields(TextHRMConfig)}
NUM_CONFIGS = 12
NUMBERS = {
    "n_embd": st.integers(-1, 40),
    "n_head": st.integers(-1, 9),
    "n_layers": st.integers(0, 3),
    "d_ff": st.integers(0, 30),
    "halt_max_steps": st.integers(0, 5),
    "h_update_period": st.integers(0, 7),
    "halt_bias_init": st.sampled_from([-2.2, 0.0]),
    "halt_epsilon": st.sampled_from([0.0, 0.01, 1.0]),
    "ponder_loss_weight": st.sampled_from([-0.1, 0.0, 0.5]),
    "q_loss_weight": st.sampled_from([-0.1, 0.0, 0.5]),
    "dropout": st.sampled_from([-0.1, 0.0, 0.5, 1.0]),
    "rms_norm_eps": st.sampled_from([0.0, 1e-6]),
    "rope_theta": st.sampled_from([-1.0, 1e4]),
    "vocab_size": st.integers(0, 12),
    "seq_len": st.integers(0, 12),
}
SINGLES = {
    "d_ff": st.none(),
    "gradient_checkpointing": st.booleans(),
    "forward_dtype": st.sampled_from(["float32", "bfloat16", "int8"]),
}


@st.composite
def many_fields(draw: st.DrawFn) -> dict[str, Any]:
    """Some fields as arrays, some as single values, the rest at their defaults."""
    fields: dict[str, Any] = dict(DEFAULTS)
    for name in draw(st.sets(st.sampled_from(sorted(NUMBERS)), max_size=6)):
        fields[name] = np.array(draw(st.lists(NUMBERS[name], min_size=NUM_CONFIGS, max_size=NUM_CONFIGS)))
    for name in draw(st.sets(st.sampled_from(sorted(SINGLES)), max_size=2)):
        fields[name] = draw(SINGLES[name])
    return fields


def single(fields: dict[str, Any], index: int) -> TextHRMConfig | None:
    values = {name: at(value, index) for name, value in fields.items()}
    try:
        return TextHRMConfig(**values)
    except ConfigError:
        return None


def at(value: Any, index: int) -> Any:
    whole = np.asarray(value)
    return whole[index].item() if whole.ndim else value


@settings(max_examples=60)
@given(many_fields())
def test_valid_is_what_the_constructor_takes(fields: dict[str, Any]) -> None:
    valid = np.broadcast_to(LATTICE.valid(fields), NUM_CONFIGS)
    assert [bool(one) for one in valid] == [single(fields, i) is not None for i in range(NUM_CONFIGS)]


@settings(max_examples=40)
@given(many_fields())
def test_architectures_are_the_configs_own(fields: dict[str, Any]) -> None:
    valid = np.flatnonzero(np.broadcast_to(LATTICE.valid(fields), NUM_CONFIGS))
    kept = {name: value[valid] if isinstance(value, np.ndarray) else value for name, value in fields.items()}
    architectures = LATTICE.architectures(kept)
    for position, index in enumerate(valid):
        config = single(fields, int(index))
        assert config is not None
        assert {name: at(value, position) for name, value in architectures.items()} == config.architecture


@settings(max_examples=40)
@given(many_fields(), st.sampled_from(sorted(LATTICE.weightless)), st.data())
def test_weightless_fields_change_no_parameter(
    fields: dict[str, Any], name: str, data: st.DataObject
) -> None:
    config = next(filter(None, (single(fields, i) for i in range(NUM_CONFIGS))), TextHRMConfig())
    changed = dataclasses.asdict(config) | {name: data.draw((SINGLES | NUMBERS)[name])}
    try:
        TextHRMConfig(**changed)
    except ConfigError:
        return
    assert count_arrays(changed)["params"] == count_arrays(dataclasses.asdict(config))["params"]


@settings(max_examples=20)
@given(many_fields())
def test_a_wider_model_is_larger(fields: dict[str, Any]) -> None:
    config = next(filter(None, (single(fields, i) for i in range(NUM_CONFIGS))), TextHRMConfig())
    widths = np.arange(4, 400)
    params = count_arrays(dataclasses.asdict(config) | {LATTICE.width: widths})["params"]
    assert (np.diff(params) > 0).all()


def test_every_field_has_values_to_test() -> None:
    assert {*NUMBERS, *SINGLES} == set(DEFAULTS)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n_head": 7}, "model.n_head: given 7; must divide n_embd=384"),
        ({"n_embd": 18, "n_head": 6}, "model.n_head: given 6; n_embd/n_head = 3 must be even for RoPE"),
        ({"h_update_period": 0}, "model.h_update_period: given 0; must be at least 1"),
        ({"halt_epsilon": 0.0}, "model.halt_epsilon: given 0.0; must lie between 0 and 1"),
        ({"forward_dtype": "int8"}, "must be one of: float32, bfloat16, float16"),
    ],
)
def test_messages(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TextHRMConfig(**fields)
