"""Types, units and missing values of the tables."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrm.models.base import COUNT, LOSS_COUNT
from sweeps.results.schema import CURVE_COLUMNS, SCHEMA_VERSION, TRIAL_COLUMNS, build_table, get_metric_unit
from tests.hrm.family_cases import CASES, FamilyCase


@pytest.mark.parametrize("columns", [TRIAL_COLUMNS, CURVE_COLUMNS])
def test_every_column_has_a_meaning_and_a_name_of_its_own(columns: tuple) -> None:
    assert all(column.meaning for column in columns)
    assert len({column.name for column in columns}) == len(columns)


def test_units_and_version_are_in_the_schema() -> None:
    schema = build_table(
        CURVE_COLUMNS, [{"number": 1, "valid/loss": 0.5, "valid/exact_accuracy": 1.0}]
    ).schema
    assert schema.metadata[b"schema_version"] == str(SCHEMA_VERSION).encode()
    assert schema.field("train_flops").metadata[b"unit"] == b"FLOPs"
    assert schema.field("train_seconds").metadata[b"unit"] == b"s"
    assert schema.field("valid/loss").metadata[b"unit"] == b"nats"
    assert schema.field("valid/exact_accuracy").metadata[b"unit"] == b"fraction"
    assert get_metric_unit("train/count") == ""
    assert get_metric_unit("valid/bits_per_byte") == "bits per byte"


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@settings(max_examples=3)
@given(data=st.data())
def test_every_metric_of_a_model_has_a_unit(case: FamilyCase, data: st.DataObject) -> None:
    config = data.draw(case.configs)
    model, batch = case.family.build(config), case.random_batch(config, 2)
    trained = model.train_segment(model.initial_carry(batch), batch)[2]
    evaluated = model.compute_metrics(
        {name: float(value) for name, value in model.evaluate_batch(batch, 1).items()}
    )
    names = {*trained, *evaluated, *case.family.metrics} - {COUNT, LOSS_COUNT}
    assert {name for name in names if not get_metric_unit(f"train/{name}")} == set()


def test_missing_none_and_nan_are_null_and_zero_is_not() -> None:
    rows = [
        {"number": 0, "valid/loss": float("nan")},
        {"number": 1, "valid/loss": None},
        {"number": 2},
        {"number": 3, "valid/loss": 0.0},
    ]
    assert build_table(CURVE_COLUMNS, rows)["valid/loss"].to_pylist() == [None, None, None, 0.0]


@pytest.mark.parametrize(
    ("values", "kind", "stored"),
    [
        ([1, 2, None], pa.int64(), [1, 2, None]),
        ([1, 2.5], pa.float64(), [1.0, 2.5]),
        ([True, None], pa.bool_(), [True, None]),
        (["rope", "learned"], pa.string(), ["rope", "learned"]),
        (["none", 3], pa.string(), ["none", "3"]),
        ([None, None], pa.string(), [None, None]),
    ],
)
def test_parameters_take_the_type_of_their_values(values: list, kind: pa.DataType, stored: list) -> None:
    found = build_table(CURVE_COLUMNS, [{"p.x": value} for value in values])["p.x"]
    assert found.type == kind and found.to_pylist() == stored


def test_an_empty_table_has_all_columns() -> None:
    assert build_table(TRIAL_COLUMNS, []).column_names == [column.name for column in TRIAL_COLUMNS]


def test_metrics_come_last_in_the_order_train_valid_test() -> None:
    names = build_table(
        CURVE_COLUMNS, [{"test/a": 1.0, "valid/a": 1.0, "train/a": 1.0, "p.x": 1}]
    ).column_names
    assert names[-4:] == ["p.x", "train/a", "valid/a", "test/a"]


def test_a_column_that_nobody_declared_is_our_mistake() -> None:
    with pytest.raises(AssertionError, match="surprise"):
        build_table(CURVE_COLUMNS, [{"surprise": 1}])
