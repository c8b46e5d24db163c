"""The committed document is what the command makes now, and its claims are judged right."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from benchmarks.size_guide import (
    FORMATTER,
    NO,
    PARTLY,
    TEXT,
    YES,
    build_model,
    describe_variant,
    is_close,
    judge,
    main,
    write_document,
    write_table,
)
from hrm.config.command_line import run_cli
from hrm.config.presets import list_presets, load_preset
from hrm.config.schema import read_yaml
from hrm.models.puzzle.config import PuzzleHRMConfig
from hrm.models.puzzle.counting import count

DOCUMENT = Path(__file__).parents[2] / "docs" / "size-guide.md"


@pytest.fixture(scope="module")
def text() -> str:
    return write_document()


def test_the_committed_document_is_up_to_date(text: str) -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == text, (
        "run: python benchmarks/size_guide.py docs/size-guide.md"
    )


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
        ("`expansion=3` saves ~25% of the MLP against 4 | 0% to 50%, depending on the width", PARTLY),
        ("Compute scaling: same params | 27,275,778", YES),
    ],
)
def test_verdicts(text: str, claim: str, holds: str) -> None:
    (line,) = (line for line in text.splitlines() if claim in line)
    assert line.endswith(f"| {holds} |")


SECTIONS = {section["title"]: section for section in read_yaml(TEXT)["sections"]}
EXAMPLES = {
    "Tiny": "tiny_demo",
    "Medium": "medium",
    "Base": "base_default",
    "Small custom": "small_custom",
    "Larger": "larger_85m",
    "Compute scaling": "compute_scaled",
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_guides_overrides_make_the_presets(name: str) -> None:
    """All but the cycles of Medium, whose command starts from the Tiny Demo's."""
    examples = SECTIONS["Commands"]["models"]["examples"]
    assert examples.keys() == EXAMPLES.keys()
    cycles = {"H_cycles": 1, "L_cycles": 1} if name == "Medium" else {}
    assert build_model(**examples[name]) == dataclasses.replace(build_model(EXAMPLES[name]), **cycles)


@pytest.mark.parametrize("change", SECTIONS["Cycles"]["models"]["composition"].values())
def test_the_parts_of_a_step_add_up(change: dict[str, str]) -> None:
    assert sum(describe_variant("", change).flops_shares) == pytest.approx(1, rel=1e-12)


def test_claims_are_judged_by_their_conditions() -> None:
    figures = {"a": 1, "b": 2, "close": [0.951, 1.049], "off": {"x": 0.94, "y": 1.0}}
    assert judge(["a < 2", "b > a", "close[*] ~ 1", "b = 2"], figures) == YES
    assert judge(["off[*] ~ 1"], figures) == judge(["a = 1", "a = b"], figures) == PARTLY
    assert judge(["b < 2", "b ~ 1", "a > 1"], figures) == NO
    assert [is_close(value, 1) for value in (1.049, 0.951, 1.051)] == [True, True, False]
    with pytest.raises(KeyError):
        judge(["missing = 1"], figures)


def test_a_table_is_markdown() -> None:
    assert write_table([("a", "{x}"), ("b", "{y}")], [{"x": 1, "y": "z"}]) == (
        "| a | b |\n| --- | ---: |\n| 1 | z |"
    )


def test_figures_have_formats_of_their_own() -> None:
    figures = {"x": 2.754, "y": 1.091, "n": 27_275_778, "b": 2**20}
    assert FORMATTER.fill("{x:factor} {y:change} {n:scaled} {b:bytes} {n:,}", figures) == (
        "×2.75 +9.1% 27.3M 1 MiB 27,275,778"
    )


def test_the_command_prints_or_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    assert run_cli(main, []) == 0
    assert capsys.readouterr().out == text
    assert run_cli(main, [str(tmp_path / "guide.md")]) == 0
    assert (tmp_path / "guide.md").read_text(encoding="utf-8") == text
    assert run_cli(main, ["--help"]) == 0
    assert "python benchmarks/size_guide.py [PATH]" in capsys.readouterr().out


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
