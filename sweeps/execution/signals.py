"""How a sweep is stopped from outside, and how it goes on."""

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
    """What to type to go on with the sweep in a folder."""
    near = Path(os.path.relpath(out))
    return f"python run_sweep.py resume={shlex.quote(str(out if '..' in near.parts else near))}"


@contextmanager
def exit_on_second_signal(out: Path) -> Iterator[None]:
    """Within, a Ctrl-C or SIGTERM that nobody else waits for ends this process at once: all is on disk.

    So it stays after an interruption, when only Ray has still to end. Ray's processes end with ours.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        cursor = _SHOW_CURSOR if sys.stderr.isatty() else ""
        os.write(2, f"{cursor}\nstopped at once; to go on: {format_resume_command(out)}\n".encode())
        os._exit(128 + number)

    former = {number: signal.signal(number, leave) for number in SIGNALS}
    interrupted = False
    try:
        yield
    except KeyboardInterrupt:
        interrupted = True
        raise
    finally:
        if not interrupted:
            for number, handler in former.items():
                signal.signal(number, handler)
