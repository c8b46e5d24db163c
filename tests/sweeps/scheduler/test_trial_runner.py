"""Every job starts once and ends once, whoever runs it and however often its end is told."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sweeps.callbacks.base import Callback
from sweeps.events import Job, Outcome, Report
from sweeps.scheduler.scheduler import DONE, Done, Stop, Wait
from sweeps.scheduler.trial_runner import TrialRunner
from tests.sweeps.small_jobs import small_job


class Script:
    """A plan that gives `count` jobs and prunes as told: job number to report index."""

    def __init__(self, count: int, prune: dict[int, int]) -> None:
        self._numbers = itertools.count()
        self._count, self._prune = count, prune
        self.told: list[tuple[Any, ...]] = []

    def next_job(self) -> Job | Wait | Done:
        number = next(self._numbers)
        return small_job(number) if number < self._count else DONE

    def report(self, number: int, report: Report) -> None:
        self.told.append(("report", number, report.index))

    def must_stop(self, number: int) -> Stop | None:
        last = max(index for kind, told, index, *_ in self.told if (kind, told) == ("report", number))
        return Stop() if self._prune.get(number) == last else None

    def end(self, number: int, outcome: Outcome) -> None:
        self.told.append(("end", number, outcome.status, outcome.error, len(outcome.reports)))


class Diary(Callback):
    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def on_start(self, job: Job) -> None:
        self.told.append(("start", job.number))

    def on_report(self, job: Job, report: Report) -> None:
        self.told.append(("report", job.number, report.index))

    def on_end(self, job: Job, outcome: Outcome) -> None:
        self.told.append(("end", job.number, outcome.status, outcome.error, len(outcome.reports)))


def report(index: int) -> Report:
    return Report(index=index, step=2 * index, train_flops=1, train_seconds=0.1, eval_seconds=0.1, metrics={})


def test_a_job_from_start_to_completion() -> None:
    plan, diary = Script(1, {}), Diary()
    dispatcher = TrialRunner(plan, [diary])
    assert isinstance(dispatcher.next_job(), Job)
    dispatcher.started(0)
    assert [dispatcher.reported(0, report(index)) for index in (1, 2, 3, 4)] == [False, False, False, True]
    assert dispatcher.next_job() is DONE
    reports = [("report", 0, index) for index in (1, 2, 3, 4)]
    assert plan.told == [*reports, ("end", 0, "completed", None, 4)]
    assert diary.told == [("start", 0), *reports, ("end", 0, "completed", None, 4)]


def test_pruning_at_the_last_report_comes_too_late() -> None:
    plan = Script(1, {0: 4})
    dispatcher = TrialRunner(plan, [])
    dispatcher.next_job()
    for index in (1, 2, 3, 4):
        dispatcher.reported(0, report(index))
    assert plan.told[-1] == ("end", 0, "completed", None, 4)


events = st.lists(
    st.tuples(st.sampled_from(["next", "started", "reported", "failed"]), st.integers(0, 3)), max_size=60
)


@given(events, st.dictionaries(st.integers(0, 3), st.integers(1, 4)))
def test_once_each_in_order_whatever_is_told(events: list[tuple[str, int]], prune: dict[int, int]) -> None:
    plan, diary = Script(4, prune), Diary()
    dispatcher = TrialRunner(plan, [diary])
    made: dict[int, int] = {}
    for event, number in events:
        if event == "next":
            dispatcher.next_job()
        elif event == "started":
            dispatcher.started(number)
        elif event == "failed":
            dispatcher.failed(number, "why")
        elif number in dispatcher.running:
            made[number] = made.get(number, 0) + 1
            ended = dispatcher.reported(number, report(made[number]))
            assert ended == (number not in dispatcher.running)
        else:
            assert dispatcher.reported(number, report(1))
    for number in dispatcher.running:
        dispatcher.failed(number, "the end")
    for number in {told[1] for told in diary.told}:
        own = [told for told in diary.told if told[1] == number]
        assert [told[0] for told in own] == ["start", *["report"] * (len(own) - 2), "end"]
        assert own[-1][-1] == len(own) - 2
        assert [told for told in plan.told if told[1] == number] == own[1:]


def test_a_lost_job_is_handed_out_again_until_it_has_failed_too_often() -> None:
    plan, diary = Script(1, {}), Diary()
    dispatcher = TrialRunner(plan, [diary], max_failures=2)
    assert dispatcher.next_job() == small_job(0)
    dispatcher.reported(0, report(1))
    for _ in range(2):
        dispatcher.lost(0, "WorkerDied: killed")
        dispatcher.lost(0, "WorkerDied: killed, as another hook says")
        assert dispatcher.next_job() == small_job(0)
        assert dispatcher.num_reported(0) == 1
        assert not dispatcher.reported(0, report(1)), "told again by the worker that begins anew"
    dispatcher.lost(0, "WorkerDied: killed")
    assert diary.told == [
        ("start", 0), ("report", 0, 1), ("end", 0, "failed", "WorkerDied: killed, 3 times", 1)
    ]  # fmt: skip
    assert dispatcher.next_job() is DONE
