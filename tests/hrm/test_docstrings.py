"""The examples in docstrings show what the code does."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import hrm
from tests.docstring_examples import run_examples

FOLDER = Path(hrm.__file__).parent
MODULES = [
    ".".join(path.relative_to(FOLDER.parent).with_suffix("").parts)
    for path in sorted(FOLDER.rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    run_examples(importlib.import_module(name.removesuffix(".__init__")))
