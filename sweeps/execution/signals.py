"""Stopping a sweep by a signal, and the command that resumes it."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from hrm.system.signals import SIGNALS

_SHOW_CURSOR = "\x1b[?25h"


def format_resume_command(out: Path) -> str:
    """Return the command that resumes the sweep in a folder."""
    near = Path(os.path.relpath(out))
    return f"python run_sweep.py resume={shlex.quote(str(out if '..' in near.parts else near))}"


@contextmanager
def exit_on_second_signal(out: Path) -> Iterator[None]:
    """Within, end this process at once on a Ctrl-C or SIGTERM that no inner handler takes: all is on disk.

    After an interruption this holds on, while Ray still has to end. Ray's processes end with ours.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        cursor = _SHOW_CURSOR if sys.stderr.isatty() else ""
        os.write(2, f"{cursor}\nstopped at once; to resume: {format_resume_command(out)}\n".encode())
        os._exit(128 + number)

    former = {number: signal.signal(number, leave) for number in SIGNALS}
    try:
        yield
    except KeyboardInterrupt:
        former = {}
        raise
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
