from __future__ import annotations

import pytest

from hrm.system.format import (
    format_bytes,
    format_columns,
    format_markdown_table,
    format_percent,
    format_scaled,
)


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1k"),
        (999_499, "999k"),
        (999_600, "1M"),
        (27_275_778, "27.3M"),
        (5_155_291_136, "5.16G"),
        (28_310_011_904, "28.3G"),
        (1.2e12, "1.2T"),
        (3e22, "30000E"),
    ],
)
def test_decimal_prefixes(number: float, shown: str) -> None:
    assert format_scaled(number) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (12, "12 bytes"),
        (1023, "1023 bytes"),
        (1024, "1 KiB"),
        (2**20, "1 MiB"),
        (1023.6 * 2**20, "1 GiB"),
        (2.5 * 2**30, "2.5 GiB"),
    ],
)
def test_binary_prefixes(number: float, shown: str) -> None:
    assert format_bytes(number) == shown


def test_percentages_have_a_sign_but_for_zero() -> None:
    assert [format_percent(x) for x in (0.319, -0.001, -0.000004, 0.0)] == [
        "+31.9%",
        "-0.1%",
        "-0.0004%",
        "0%",
    ]


ROWS = [["name", "size", "note"], ["a", "1,000", "fits"], ["longer", "2", "two words"]]


def test_columns_line_up() -> None:
    assert format_columns(ROWS, indent="  ").splitlines() == [
        "  name     size       note",
        "  a       1,000       fits",
        "  longer      2  two words",
    ]


def test_a_long_last_column_wraps_below_itself() -> None:
    lines = format_columns([["a", "1", "word " * 10]], wrap=10).splitlines()
    assert lines == ["a  1  word word word word word", "      word word word word word"]


def test_markdown() -> None:
    table = format_markdown_table([["a", "b"], ["x|y", "1"]], left=1)
    assert table == "| a | b |\n| --- | ---: |\n| x\\|y | 1 |"
    assert format_markdown_table([["a", "b"]]).splitlines()[1] == "| --- | --- |"
