"""The rules and derived sizes of each family over arrays, against its config class, config by config."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrm.config.errors import ConfigError
from tests.hrm.family_cases import CASES, FamilyCase

NUM_CONFIGS = 12
in_every_family = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def defaults(case: FamilyCase) -> dict[str, Any]:
    return {field.name: field.default for field in dataclasses.fields(case.family.config_class)}


@st.composite
def many_fields(draw: st.DrawFn, case: FamilyCase) -> dict[str, Any]:
    """Some fields as arrays, some as single values, the rest at their defaults."""
    fields = defaults(case)
    for name in draw(st.sets(st.sampled_from(sorted(case.numbers)), max_size=8)):
        values = draw(st.lists(case.numbers[name], min_size=NUM_CONFIGS, max_size=NUM_CONFIGS))
        fields[name] = np.array(values)
    for name in draw(st.sets(st.sampled_from(sorted(case.singles)), max_size=2)):
        fields[name] = draw(case.singles[name])
    return fields


def single(case: FamilyCase, fields: dict[str, Any], index: int) -> Any:
    """The config at an index; None where its class refuses it."""
    try:
        return case.family.config_class(**{name: at(value, index) for name, value in fields.items()})
    except ConfigError:
        return None


def some_valid(case: FamilyCase, fields: dict[str, Any]) -> Any:
    """The first valid config, or the default one."""
    configs = (single(case, fields, index) for index in range(NUM_CONFIGS))
    return next((config for config in configs if config is not None), case.family.config_class())


def at(value: Any, index: int) -> Any:
    whole = np.asarray(value)
    return whole[index].item() if whole.ndim else value


@in_every_family
@given(data=st.data())
def test_valid_is_what_the_constructor_takes(case: FamilyCase, data: st.DataObject) -> None:
    fields = data.draw(many_fields(case))
    valid = np.broadcast_to(case.family.lattice.valid(fields), NUM_CONFIGS)
    assert [bool(one) for one in valid] == [
        single(case, fields, index) is not None for index in range(NUM_CONFIGS)
    ]


@in_every_family
@settings(max_examples=60)
@given(data=st.data())
def test_architectures_are_the_configs_own(case: FamilyCase, data: st.DataObject) -> None:
    fields, lattice = data.draw(many_fields(case)), case.family.lattice
    valid = np.flatnonzero(np.broadcast_to(lattice.valid(fields), NUM_CONFIGS))
    kept = {name: value[valid] if isinstance(value, np.ndarray) else value for name, value in fields.items()}
    architectures = lattice.architectures(kept)
    for position, index in enumerate(valid):
        config = single(case, fields, int(index))
        assert config is not None
        assert {name: at(value, position) for name, value in architectures.items()} == config.architecture


@in_every_family
@settings(max_examples=60)
@given(data=st.data())
def test_weightless_fields_change_no_parameter(case: FamilyCase, data: st.DataObject) -> None:
    config = some_valid(case, data.draw(many_fields(case)))
    name = data.draw(st.sampled_from(sorted(case.family.lattice.weightless)))
    changed = dataclasses.asdict(config) | {name: data.draw({**case.singles, **case.numbers}[name])}
    if case.family.lattice.valid(changed):
        count = case.family.count_arrays
        assert count(changed)["params"] == count(dataclasses.asdict(config))["params"]


@in_every_family
@settings(max_examples=60)
@given(data=st.data())
def test_a_wider_model_is_larger(case: FamilyCase, data: st.DataObject) -> None:
    config, width = some_valid(case, data.draw(many_fields(case))), case.family.lattice.width
    widths = np.arange(case.least_width, 400)
    params = case.family.count_arrays(dataclasses.asdict(config) | {width: widths})["params"]
    assert (np.diff(params) > 0).all()


@in_every_family
def test_every_field_has_values_to_test(case: FamilyCase) -> None:
    assert {*case.numbers, *case.singles} == set(defaults(case))
