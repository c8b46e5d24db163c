"""The committed document is what the code says now, and its links lead somewhere."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from hrm.config.command_line import run_cli
from hrm.config.presets import list_presets, load_preset
from hrm.models.puzzle.config import PuzzleHRMConfig
from hrm.models.puzzle.counting import count
from hrm.size_guide.__main__ import main
from hrm.size_guide.commands import EXAMPLES, Example
from hrm.size_guide.document import document
from hrm.size_guide.parts import NO, PARTLY, YES, always, table, within_tolerance

DOCUMENT = Path(__file__).parents[2] / "docs" / "size-guide.md"


@pytest.fixture(scope="module")
def text() -> str:
    return document()


def test_the_committed_document_is_up_to_date(text: str) -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == text, "run: python -m hrm.size_guide docs/size-guide.md"


def test_every_link_leads_to_a_section(text: str) -> None:
    anchors = {title.lower().replace(" ", "-") for title in re.findall(r"^## (.+)$", text, re.MULTILINE)}
    links = set(re.findall(r"\]\(#([^)]+)\)", text))
    assert links == anchors


def test_every_row_of_a_table_has_its_columns(text: str) -> None:
    tables = re.findall(r"(?:^\|.*\|\n?)+", text, re.MULTILINE)
    assert len(tables) > 10
    for lines in map(str.splitlines, tables):
        assert len({line.count(" | ") for line in lines}) == 1, lines[0]


def test_every_preset_stands_with_its_exact_count(text: str) -> None:
    for name in list_presets("puzzle"):
        params = count(PuzzleHRMConfig(**load_preset(name).model)).params
        assert re.search(rf"^\| `{name}` .* {params:,} \|", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("claim", "holds"),
    [
        ('"Tiny Demo": ~0.40M | 527,490 (+31.9%)', NO),
        ('"Larger": ~85M | 84,953,858 (-0.1%)', YES),
        ('"Small custom": ~7–8M | 10,626,434 (+32.8%)', NO),
        ("~3.2M | 3,414,274 (+6.7%)", NO),
        ("~25M | 27,275,778 (+9.1%)", NO),
        ("The commands for Tiny, Medium and Base give these models", PARTLY),
        ("`expansion=3` saves ~25% of the MLP against 4 | 0% to 50% by width", PARTLY),
        ("Compute scaling: same params | 27,275,778", YES),
    ],
)
def test_verdicts(text: str, claim: str, holds: str) -> None:
    (line,) = (line for line in text.splitlines() if claim in line)
    assert line.endswith(f"| {holds} |")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_the_guides_overrides_make_the_presets(example: Example) -> None:
    """Of Medium all but the cycles, for its command starts from the Tiny Demo's."""
    preset = PuzzleHRMConfig(**load_preset(example.preset).model)
    cycles = {"H_cycles": 1, "L_cycles": 1} if example.name == "Medium" else {}
    assert example.config == dataclasses.replace(preset, **cycles)


def test_the_words_of_a_verdict() -> None:
    assert [always(each) for each in ([True, True], [True, False], [False])] == [YES, PARTLY, NO]
    assert [within_tolerance(error) for error in (0.05, -0.05, 0.051)] == [YES, YES, NO]


def test_a_table_is_markdown() -> None:
    assert table(("a", "b"), [(1, "x")]) == "| a | b |\n| --- | ---: |\n| 1 | x |"


def test_the_door_prints_or_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    assert run_cli(main, []) == 0
    assert capsys.readouterr().out == text
    assert run_cli(main, [str(tmp_path / "guide.md")]) == 0
    assert (tmp_path / "guide.md").read_text(encoding="utf-8") == text
    assert run_cli(main, ["--help"]) == 0
    assert "python -m hrm.size_guide [PATH]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a", "b"], "must be one path or none"),
        (["no/such/folder/guide.md"], "cannot be written: No such file"),
    ],
)
def test_bad_input(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(main, arguments) == 2
    assert message in capsys.readouterr().err
