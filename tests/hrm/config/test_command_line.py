"""A door ends with one message and the right exit code, whatever its main does."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hrm.config.command_line import run_cli
from hrm.config.errors import ConfigError


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


def test_our_own_faults_keep_their_traceback() -> None:
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
