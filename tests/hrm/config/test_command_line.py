"""A command line ends with one message and the right exit code, and its help comes from the dataclasses."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

import pytest

from hrm.config.command_line import format_listing, format_options, format_value, read_field_docs, run_cli
from hrm.config.errors import ConfigError
from hrm.config.run_config import RunConfig
from hrm.config.train_config import TrainConfig
from hrm.data.registry import TASKS
from hrm.models.registry import get_family


def test_main_gets_the_arguments_and_its_code_is_the_exit_code() -> None:
    seen: list[str] = []
    assert run_cli(lambda arguments: seen.extend(arguments), ["a=1", "b"]) == 0
    assert seen == ["a=1", "b"]
    assert run_cli(lambda _: 1, []) == 1


def test_a_user_error_is_one_message_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    def main(_: list[str]) -> None:
        raise ConfigError("model.num_heads", 3, "must divide hidden_size=128", "Try 4.")

    assert run_cli(main, []) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "error: model.num_heads: given 3; must divide hidden_size=128. Try 4.\n"


def test_an_interrupt_is_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def main(_: list[str]) -> None:
        raise KeyboardInterrupt

    assert run_cli(main, []) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_faults_of_the_program_keep_their_traceback() -> None:
    def main(_: list[str]) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_cli(main, [])


def test_a_closed_pipe_is_silent() -> None:
    program = (
        "import sys; from hrm.config.command_line import run_cli\n"
        "def main(_):\n    sys.stdin.read()\n    print('x' * 100_000)\n"
        "sys.exit(run_cli(main, []))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin and process.stdout and process.stderr
    process.stdout.close()
    process.stdin.close()
    assert process.stderr.read() == b""
    assert process.wait() == 141


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
        *TASKS.values(),
    ],
)
def test_options_say_what_they_mean(config_class: type) -> None:
    """Names that say it all are few: most options carry a sentence."""
    docs = read_field_docs(config_class)
    assert sum(bool(doc) for doc in docs.values()) >= len(docs) / 2


def test_listing() -> None:
    assert format_listing({"a": "one", "long": "two"}) == "  a     one\n  long  two"
    assert format_listing({}) == ""
