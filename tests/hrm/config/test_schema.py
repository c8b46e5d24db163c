"""The reader of configuration: types, unknown keys, YAML, dotlists, and the messages of each fault."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrm.config.errors import ConfigError, ImportPathError, UnknownNameError
from hrm.config.schema import build_config, import_object, parse_dotlist, read_yaml, write_yaml


@dataclass(frozen=True, kw_only=True)
class Options:
    layers: int = 2
    lr: float = 1e-4
    period: int | None = None
    on: bool = True
    name: str = "x"
    limit: int | float | str = 1
    names: list[str] | None = None

    def __post_init__(self) -> None:
        if self.layers < 1:
            raise ConfigError("layers", self.layers, "must be at least 1")


@pytest.mark.parametrize(
    ("values", "field", "expected"),
    [
        ({"layers": "3"}, "layers", 3),
        ({"layers": 1e3}, "layers", 1000),
        ({"period": 4.0}, "period", 4),
        ({"period": None}, "period", None),
        ({"lr": 1}, "lr", 1.0),
        ({"lr": "1e-5"}, "lr", 1e-5),
        ({"on": "no"}, "on", False),
        ({"on": "Off"}, "on", False),
        ({"name": 3}, "name", "3"),
        ({"name": "${lr}"}, "name", "${lr}"),
        ({"limit": 0.5}, "limit", 0.5),
        ({"limit": "0.5M"}, "limit", "0.5M"),
        ({"limit": "7"}, "limit", "7"),
        ({"names": ["a"]}, "names", ["a"]),
    ],
)
def test_build_converts_where_nothing_is_lost(values: dict, field: str, expected: object) -> None:
    value = getattr(build_config(Options, values, "options"), field)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"layers": 1.5}, "options.layers: given 1.5; must be a whole number"),
        ({"layers": True}, "options.layers: given True; must be a whole number"),
        ({"layers": [1]}, "options.layers: given [1]; must be a whole number"),
        ({"layers": None}, "options.layers: given None; must be a whole number"),
        ({"period": "often"}, "options.period: given 'often'; must be a whole number or null"),
        ({"lr": "fast"}, "options.lr: given 'fast'; must be a finite number"),
        ({"lr": math.nan}, "options.lr: given nan; must be a finite number"),
        ({"lr": math.inf}, "options.lr: given inf; must be a finite number"),
        ({"on": "perhaps"}, "options.on: given 'perhaps'; must be true or false"),
        ({"name": {"a": 1}}, "options.name: given {'a': 1}; must be text"),
        ({"name": True}, "options.name: given True; must be text"),
        ({"lr": True}, "options.lr: given True; must be a finite number"),
        ({"on": 2}, "options.on: given 2; must be true or false"),
        ({"period": 1e300 * 1e10}, "options.period: given inf; must be a whole number or null"),
        ({"layers": 0}, "layers: given 0; must be at least 1"),
    ],
)
def test_build_refuses_what_does_not_fit(values: dict, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_config(Options, values, "options")
    assert str(caught.value) == message


def test_build_suggests_the_nearest_key() -> None:
    with pytest.raises(UnknownNameError, match=r"options: given 'layer'; .*Did you mean 'layers'\?"):
        build_config(Options, {"layer": 3}, "options")


def test_build_refuses_what_is_no_mapping() -> None:
    with pytest.raises(ConfigError, match="options: given 3; must be a mapping of names to values"):
        build_config(Options, 3, "options")  # type: ignore[arg-type]


@settings(max_examples=50)
@given(
    layers=st.integers(1, 2**40),
    lr=st.floats(1e-12, 1e12),
    period=st.none() | st.integers(-5, 5),
    on=st.booleans(),
    name=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20),
)
def test_yaml_round_trip(tmp_path_factory: pytest.TempPathFactory, **values: object) -> None:
    path = tmp_path_factory.getbasetemp() / "options.yaml"
    write_yaml(values, path)
    read = read_yaml(path)
    assert read == values
    assert build_config(Options, read, "options") == Options(**values)  # type: ignore[arg-type]


def test_yaml_reads_exponents_without_a_dot_as_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("lr: 1e-4\nperiod: null\n")
    assert read_yaml(path) == {"lr": 1e-4, "period": None}


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"a: [1, 2", "must be valid YAML"),
        (b"a: 1\na: 2\n", "must be valid YAML"),
        (b"\xff\xfe\x00", "must be valid YAML"),
        (b"- 1\n- 2\n", "must hold a mapping"),
    ],
)
def test_read_yaml_refuses_with_the_file_named(tmp_path: Path, content: bytes, rule: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=rule) as caught:
        read_yaml(path)
    assert caught.value.where == str(path)
    assert "\n" not in str(caught.value)


def test_read_yaml_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        read_yaml(tmp_path / "missing.yaml")
    with pytest.raises(ConfigError):
        read_yaml(tmp_path)


@pytest.mark.parametrize(
    ("item", "value"),
    [
        ("a=1e-4", 1e-4),
        ("a=null", None),
        ("a='null'", "null"),
        ("a=b=c", "b=c"),
        ("a=[1]", [1]),
        ("a=", None),
    ],
)
def test_dotlist_values_are_yaml(item: str, value: object) -> None:
    assert parse_dotlist([item]) == {"a": value}


def test_later_dotlist_item_wins() -> None:
    assert parse_dotlist(["train.lr=1", "seed=3", "train.lr=2"]) == {"train.lr": 2, "seed": 3}


@pytest.mark.parametrize("item", ["steps", "=3", "1a=3", "a-b=3", "--steps=3"])
def test_dotlist_refuses_what_is_no_assignment(item: str) -> None:
    with pytest.raises(ConfigError, match="must read name=value"):
        parse_dotlist([item])


def test_dotlist_refuses_an_unreadable_value() -> None:
    with pytest.raises(ConfigError, match=r"lr: given '\[1,'; must be a value that YAML can read"):
        parse_dotlist(["lr=[1,"])


@pytest.fixture
def a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module `mine` in the current folder, which is not on Python's path."""
    (tmp_path / "mine.py").write_text("NUMBER = 3\nclass Thing:\n    pass\n")
    (tmp_path / "broken.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])


@pytest.mark.usefixtures("a_module")
def test_import_object_finds_what_the_path_names() -> None:
    assert import_object("mine:NUMBER", "task", int) == 3
    assert import_object("mine:Thing", "task", type).__name__ == "Thing"


@pytest.mark.usefixtures("a_module")
@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("mine", "must read package.module:Name"),
        ("mine:", "must read package.module:Name"),
        ("mine:Thing.x", "must read package.module:Name"),
        ("../mine:Thing", "must read package.module:Name"),
        ("no_such_module:Thing", "cannot be imported: ModuleNotFoundError: No module named 'no_such_module'"),
        ("mine:Thong", "cannot be imported: AttributeError"),
        ("broken:Thing", "cannot be imported: ZeroDivisionError: division by zero"),
        ("mine:NUMBER", "must be of type str, not int"),
    ],
)
def test_import_object_refuses_with_the_option_named(path: str, rule: str) -> None:
    with pytest.raises(ImportPathError) as caught:
        import_object(path, "task", str)
    assert str(caught.value).startswith(f"task: given {path!r}; {rule}")
