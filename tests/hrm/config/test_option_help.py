"""Help text that comes from the dataclasses themselves."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from hrm.config.command_line import format_listing, format_options, format_value, read_field_docs
from hrm.config.run_config import RunConfig
from hrm.config.train_config import TrainConfig
from hrm.data.registry import TASKS
from hrm.models.registry import get_family


@dataclass(frozen=True)
class Base:
    a: int = 1
    """What a is,
    over two lines."""
    b: str | None = None


@dataclass(frozen=True)
class Derived(Base):
    b: str | None = "x"
    """What b is."""
    c: float = 0.5


def test_docs_of_a_class_and_its_bases() -> None:
    assert read_field_docs(Derived) == {"a": "What a is, over two lines.", "b": "What b is.", "c": ""}


def test_option_lines() -> None:
    lines = format_options(Base, "train").splitlines()
    assert lines[0].split() == ["train.a=1", "What", "a", "is,", "over", "two", "lines."]
    assert lines[1].rstrip() == "  train.b=null"
    assert [format_value(value) for value in (None, True, False, 0.5, "x")] == [
        "null",
        "true",
        "false",
        "0.5",
        "x",
    ]
    assert format_options(Base, skip=("a",)).rstrip() == "  b=null"
    assert max(len(line) for line in format_options(TrainConfig, "train", width=80).splitlines()) <= 80


@pytest.mark.parametrize(
    "config_class",
    [
        TrainConfig,
        RunConfig,
        get_family("puzzle").config_class,
        *(kind.config_class for kind in TASKS.values()),
    ],
)
def test_options_say_what_they_mean(config_class: type) -> None:
    """Names that say it all are few: most options carry a sentence."""
    docs = read_field_docs(config_class)
    assert sum(bool(doc) for doc in docs.values()) >= len(docs) / 2


def test_listing() -> None:
    assert format_listing({"a": "one", "long": "two"}) == "  a     one\n  long  two"
    assert format_listing({}) == ""
