"""Calls of `run_sweep.py` in this process, and what they leave behind."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path

from hrm.config.command_line import run_cli
from sweeps.cli.main import main


@dataclass(frozen=True)
class Call:
    """How a call ended."""

    code: int
    out: str
    err: str


def call(*arguments: str) -> Call:
    """`python run_sweep.py arguments` without a new process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = run_cli(main, arguments)
        except SystemExit as exit_:  # argparse's way
            code = int(exit_.code or 0)
    return Call(code, out.getvalue(), err.getvalue())


def contents(folder: Path) -> set[str]:
    """Every path under a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}
