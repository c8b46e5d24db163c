"""The next item is begun before it is asked for, and what must not be done in vain is done when it is."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from sweeps.execution import trial
from sweeps.execution.trial import Prefetcher

pytestmark = pytest.mark.timeout(60)


def test_items_come_in_order_and_end() -> None:
    assert list(Prefetcher(lambda _: iter(range(5)))) == [0, 1, 2, 3, 4]


def test_the_next_item_is_begun_before_it_is_asked_for() -> None:
    begun, wanted = threading.Event(), []

    def make(it: Prefetcher) -> Iterator[int]:
        yield 1
        wanted.append(it.is_wanted())
        begun.set()
        it.wait()
        wanted.append(it.is_wanted())
        yield 2

    items = Prefetcher(make)
    assert next(items) == 1
    begun.wait()
    assert wanted == [False]
    assert next(items) == 2
    assert wanted == [False, True]


def test_what_is_begun_in_vain_ends_at_the_next_question() -> None:
    begun, done = threading.Event(), []

    def make(it: Prefetcher) -> Iterator[int]:
        yield 1
        begun.set()
        try:
            while not it.is_wanted():
                pass
        finally:
            done.append("cleaned up")
        done.append("in vain")
        yield 2

    items = Prefetcher(make)
    assert next(items) == 1
    begun.wait()
    items.close()
    assert done == ["cleaned up"]


def test_it_runs_ahead_for_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "MAX_PREFETCH_SECONDS", 0.0)
    asked, answers = threading.Event(), []

    def make(it: Prefetcher) -> Iterator[int]:
        yield 1
        asked.set()
        answers.append(it.is_wanted())
        yield 2

    items = Prefetcher(make)
    assert next(items) == 1
    asked.wait()
    assert answers == []
    assert next(items) == 2
    assert answers == [True]


def test_an_error_reaches_who_asks() -> None:
    def make(_: Prefetcher) -> Iterator[int]:
        yield 1
        raise ValueError("of the second")

    items = Prefetcher(make)
    assert next(items) == 1
    with pytest.raises(ValueError, match="of the second"):
        next(items)
