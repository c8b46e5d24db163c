"""Every job starts once and ends once, whoever runs it and however often its end is told."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sweeps.callbacks.base import Callback
from sweeps.events import Ended, Job, Trial, Validated, Validation
from sweeps.scheduler.phases.base import DONE
from sweeps.scheduler.trial_runner import TrialRunner
from tests.sweeps.small_jobs import ScriptedScheduler, small_job


class Diary(Callback):
    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def on_start(self, trial: Trial) -> None:
        self.told.append(("start", trial.number))

    def on_validation(self, trial: Trial) -> None:
        self.told.append(("validation", trial.number, trial.validations[-1].index))

    def on_end(self, trial: Trial) -> None:
        assert trial.ended is not None
        ended = trial.ended
        self.told.append(("end", trial.number, ended.status, ended.error, len(trial.validations)))


def applied(scheduler: ScriptedScheduler) -> list[tuple[Any, ...]]:
    """What the scheduler learned, in the words of the diary."""
    told: list[tuple[Any, ...]] = []
    for event in scheduler.events:
        match event:
            case Validated():
                told.append(("validation", event.number, event.validation.index))
            case Ended():
                num = len(scheduler.state.trials[event.number].validations)
                told.append(("end", event.number, event.status, event.error, num))
    return told


def scripted(count: int, prune: dict[int, int] | None = None) -> ScriptedScheduler:
    return ScriptedScheduler([small_job(number) for number in range(count)], prune)


def validation(index: int) -> Validation:
    return Validation(
        index=index, step=2 * index, train_flops=1, train_seconds=0.1, eval_seconds=0.1, metrics={}
    )


def failure(number: int, error: str) -> Ended:
    return Ended(number=number, status="failed", error=error)


def test_a_job_from_start_to_completion() -> None:
    scheduler, diary = scripted(1), Diary()
    runner = TrialRunner(scheduler, [diary])
    assert isinstance(runner.next_job(), Job)
    runner.start(0)
    assert [runner.report(0, validation(index)) for index in (1, 2, 3, 4)] == [False, False, False, True]
    assert runner.next_job() is DONE
    told = [*(("validation", 0, index) for index in (1, 2, 3, 4)), ("end", 0, "completed", None, 4)]
    assert applied(scheduler) == told
    assert diary.told == [("start", 0), *told]


def test_pruning_at_the_last_validation_comes_too_late() -> None:
    scheduler = scripted(1, {0: 4})
    runner = TrialRunner(scheduler, [])
    runner.next_job()
    for index in (1, 2, 3, 4):
        runner.report(0, validation(index))
    assert applied(scheduler)[-1] == ("end", 0, "completed", None, 4)


events = st.lists(
    st.tuples(st.sampled_from(["next", "start", "report", "fail"]), st.integers(0, 3)), max_size=60
)


@given(events, st.dictionaries(st.integers(0, 3), st.integers(1, 4)))
def test_once_each_in_order_whatever_is_told(events: list[tuple[str, int]], prune: dict[int, int]) -> None:
    scheduler, diary = scripted(4, prune), Diary()
    runner = TrialRunner(scheduler, [diary])
    made: dict[int, int] = {}
    for event, number in events:
        if event == "next":
            runner.next_job()
        elif event == "start":
            runner.start(number)
        elif event == "fail":
            runner.end(failure(number, "why"))
        elif number in runner.running:
            made[number] = made.get(number, 0) + 1
            ended = runner.report(number, validation(made[number]))
            assert ended == (number not in runner.running)
        else:
            assert runner.report(number, validation(1))
    for number in runner.running:
        runner.end(failure(number, "the end"))
    for number in {told[1] for told in diary.told}:
        own = [told for told in diary.told if told[1] == number]
        assert [told[0] for told in own] == ["start", *["validation"] * (len(own) - 2), "end"]
        assert own[-1][-1] == len(own) - 2
        assert [told for told in applied(scheduler) if told[1] == number] == own[1:]


def test_a_lost_job_is_handed_out_again_until_it_has_failed_too_often() -> None:
    scheduler, diary = scripted(1), Diary()
    runner = TrialRunner(scheduler, [diary], max_failures=2)
    assert runner.next_job() == small_job(0)
    runner.report(0, validation(1))
    for _ in range(2):
        runner.lose(0, "WorkerDied: killed")
        runner.lose(0, "WorkerDied: killed, as another hook says")
        assert runner.next_job() == small_job(0)
        assert runner.num_reported(0) == 1
        assert not runner.report(0, validation(1)), "told again by the worker that begins anew"
    runner.lose(0, "WorkerDied: killed")
    end = ("end", 0, "failed", "WorkerDied: killed, 3 times", 1)
    assert diary.told == [("start", 0), ("validation", 0, 1), end]
    assert runner.next_job() is DONE
