"""Trains one model: `python -m hrm.train preset=tiny_demo task=sudoku4`; `--help` lists the options."""

from __future__ import annotations

import sys

from hrm import door
from hrm.train_help import help_text


def main(arguments: list[str]) -> int:
    """Trains what the command line asks for.

    Returns:
        0; 1 when the run diverged or memory ran out; 128 + the signal's number when a signal stopped it.

    Raises:
        UserError: the command line, a file that it names, or the data are at fault.
    """
    if not arguments or {"-h", "--help"} & set(arguments):
        print(help_text())
        return 0
    from hrm.train_run import run_command  # takes seconds: torch

    return run_command(arguments)


if __name__ == "__main__":
    sys.exit(door.run(main))
