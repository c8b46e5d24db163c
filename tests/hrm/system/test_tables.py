"""Tables as text: columns line up, texts wrap below themselves, bars do not break Markdown."""

from __future__ import annotations

from hrm.system.tables import format_columns, format_markdown_table

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
