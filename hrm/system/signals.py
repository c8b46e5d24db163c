"""Stopping a run between two steps when the system asks for it, so that it can be saved."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(Exception):  # noqa: N818 - a wish of the user, not a fault
    """A signal asked the run to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.name = signal.Signals(number).name
        self.exit_code = 128 + number
        """As shells report a process that the signal ended."""


class StopSignals:
    """Inside the block, Ctrl-C (SIGINT) and SIGTERM are stored for `check` instead of acting at once.

    The first signal restores the former handlers, so a second one acts as usual.
    """

    def __init__(self) -> None:
        self._received: int | None = None
        self._former: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        self._former = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *exception: object) -> None:
        self._restore()

    def check(self) -> None:
        """Raise `Stopped` if a signal has arrived."""
        if self._received is not None:
            raise Stopped(self._received)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._received = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former = {}


@contextmanager
def exit_on_second_signal(message: str) -> Iterator[None]:
    """End this process at once, while the block runs, on a Ctrl-C or SIGTERM that no inner handler takes.

    After a KeyboardInterrupt this stays active, while the processes that were started come to their end.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        show_cursor = "\x1b[?25h" if sys.stderr.isatty() else ""
        os.write(2, f"{show_cursor}\n{message}\n".encode())
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
