"""The page of options: as made from the code, and with a word for each."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sweeps.cli.compose import list_defaults
from sweeps.cli.help import BUILDERS, format_page, parse_docstring

ALL_BUILDERS = {name: build for builders in BUILDERS.values() for name, build in builders.items()}


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


@pytest.mark.parametrize("build", ALL_BUILDERS.values(), ids=ALL_BUILDERS)
def test_a_docstring_says_when_and_names_each_option(build: Callable[..., Any]) -> None:
    summary, when, meanings = parse_docstring(build)
    assert summary and when
    assert list(meanings) == list(list_defaults(build)), inspect.getdoc(build)
