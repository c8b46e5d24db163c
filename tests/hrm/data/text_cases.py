"""Small texts on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hrm.data.registry import open_task
from hrm.data.text.config import TextConfig
from hrm.data.text.task import TextDataset

SMALL = {"seq_len": 16, "valid_fraction": 0.2, "test_fraction": 0.2}


def write_files(folder: Path, texts: Sequence[str]) -> str:
    """A file a text; returns the pattern that finds them."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(texts):
        (folder / f"{number:03}.txt").write_text(text, encoding="utf-8")
    return str(folder / "*.txt")


def numbered(number: int, length: int = 40) -> str:
    """A text whose every word names it."""
    return f"d{number:03} " * length


def open_text(pattern: str, **options: Any) -> TextDataset:
    data = open_task(TextConfig(text=pattern, **{**SMALL, **options}))
    assert isinstance(data, TextDataset)
    return data
