"""A thread that makes the next message while the last one is on its way: a worker trains on meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

MOST_SECONDS = 1.0
"""How far ahead at most: a job that has been ended must not take its neighbours' time for long."""


class Cancelled(BaseException):
    """What is being made is not wanted any more. Not an Exception: no fault of the job."""


class Prefetcher:
    """An iterator whose next item is begun before it is asked for.

    Args:
        make: gives the items, on a thread of its own; it asks `is_wanted` often, and `wait`s before it does what
            must not be done in vain. It may have to end at either.
    """

    def __init__(self, make: Callable[[Prefetcher], Iterator[Any]]) -> None:
        self._changed = threading.Condition()
        self._num_asked = self._num_told = 0
        self._told_at = time.monotonic()
        self._closed = False
        self._items: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, args=(make,), daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        with self._changed:
            self._num_asked += 1
            self._changed.notify()
        item, error = self._items.get()
        if error is not None:
            raise error
        return item

    def close(self) -> None:
        """Ends the thread, the next time that it asks."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def is_wanted(self) -> bool:
        """Whether the item that is being made has been asked for.

        Raises:
            Cancelled: nor will it be.
        """
        if not self._is_decided() and time.monotonic() < self._told_at + MOST_SECONDS:
            return False
        self.wait()
        return True

    def wait(self) -> None:
        """Until the item that is being made has been asked for.

        Raises:
            Cancelled: it will not be.
        """
        with self._changed:
            self._changed.wait_for(self._is_decided)
        if self._closed:
            raise Cancelled

    def _is_decided(self) -> bool:
        return self._closed or self._num_asked > self._num_told

    def _work(self, make: Callable[[Prefetcher], Iterator[Any]]) -> None:
        try:
            for item in make(self):
                self._num_told += 1
                self._told_at = time.monotonic()
                self._items.put((item, None))
        except Cancelled:
            return
        except BaseException as error:
            self._items.put((None, error))
        else:
            self._items.put((None, StopIteration()))
