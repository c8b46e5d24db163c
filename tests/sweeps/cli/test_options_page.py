"""The page of options: as made from the code, and with a word for each."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sweeps.cli.compose import list_defaults
from sweeps.cli.help import BuilderDoc, format_page
from sweeps.search.pruners import PRUNERS
from sweeps.search.samplers import SAMPLERS

BUILDERS = {name: entry.build for name, entry in SAMPLERS.items()} | PRUNERS


def test_the_document_is_what_the_code_says() -> None:
    document = Path(__file__).parents[3] / "docs" / "options.md"
    assert document.read_text() == format_page(), "run: python -m sweeps.cli.help > docs/options.md"


def test_every_option_is_there_with_a_meaning() -> None:
    told = format_page()
    for row in re.findall(r"^\|.*\|$", told, re.MULTILINE):
        assert all(cell.strip() for cell in row.strip("|").split(" | ")), row
    for row in (
        "| `num_trials` | `16` | Search trials to start; baselines and confirmations come on top. |",
        "| `wandb.entity` | `null` | The user or team whose project it is; null is the login's own. |",
        "| `qmc` | `qmc_type` | `sobol` | The sequence: `sobol` or `halton`. |",
    ):
        assert row.lower() in told.lower()


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_a_docstring_says_when_and_names_each_option(build: Callable[..., Any]) -> None:
    described = BuilderDoc.parse(build)
    assert described.summary and described.when
    assert list(described.arguments) == list(list_defaults(build)), inspect.getdoc(build)
