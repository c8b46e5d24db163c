"""How a command-line door ends: a fault of the user is one message and exit code 2, never a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from hrm.errors import UserError

USER_ERROR = 2
INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""
PIPE_CLOSED = 141
"""128 + SIGPIPE: the reader (`| head`) has left, which is no fault."""


def run(main: Callable[[list[str]], int | None], arguments: Sequence[str] | None = None) -> int:
    """Runs a door's `main` on its arguments; use as `sys.exit(run(main))`.

    Args:
        main: takes the command line without the program's name; returns an exit code, None meaning 0.
        arguments: what to give it instead of this process's command line.

    Returns:
        The exit code: `main`'s own, 2 after a `UserError`, 130 after Ctrl-C, 141 when the pipe we print to
        was closed. Any other exception is our fault and keeps its traceback.
    """
    try:
        code = main(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Python flushes stdout once more at exit, which would print a second BrokenPipeError.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    return code or 0
