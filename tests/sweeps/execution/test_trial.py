"""A job yields validations or one reason of its failure, and its process survives."""

from __future__ import annotations

import itertools
import re
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from hrm.system.machine import get_resident_bytes
from hrm.training.checkpoint import load_checkpoint
from hrm.training.trainer import Diverged
from sweeps.cli.compose import build_sweep_config
from sweeps.errors import SpaceError
from sweeps.events import Ended, Measured, Validation
from sweeps.execution import checkpoints
from sweeps.execution.checkpoints import TrialCheckpoint
from sweeps.execution.storage import Storage
from sweeps.execution.trial import Prefetcher, describe_error, run_trial
from sweeps.results.tables import read_trials
from tests.sweeps.small_jobs import DIVERGES, MODEL, NEEDS_TOO_MUCH_MEMORY, RAISES, TASK, small_job
from tests.sweeps.test_faults import check_each_event_once, run_in_turns


def reports_of(*args: Any, **kwargs: Any) -> list[Validation]:
    messages = list(run_trial(small_job(*args, **kwargs)))
    reports = [message for message in messages if isinstance(message, Validation)]
    assert len(reports) == len(messages), messages
    return reports


def test_reports_at_equal_fractions_with_exact_flops() -> None:
    job = small_job(0)
    reports = reports_of(0)
    assert [report.index for report in reports] == [1, 2, 3, 4]
    assert [report.step for report in reports] == [2, 4, 6, 8]
    assert [report.train_flops for report in reports] == [job.flops_per_step * step for step in (2, 4, 6, 8)]
    assert all(0 <= report.metrics["valid/blank_accuracy"] <= 1 for report in reports)  # type: ignore[operator]
    for earlier, later in itertools.pairwise(reports):
        assert earlier.train_seconds < later.train_seconds
        assert earlier.eval_seconds < later.eval_seconds


def test_the_test_split_is_read_once_at_the_end_and_only_when_asked() -> None:
    assert not any(name.startswith("test/") for report in reports_of(0) for name in report.metrics)
    *early, last = reports_of(0, read_test=True)
    assert not any(name.startswith("test/") for report in early for name in report.metrics)
    assert {name for name in last.metrics if name.startswith("test/")} >= {"test/exact_accuracy", "test/loss"}


def test_the_same_job_gives_the_same_numbers_bit_for_bit() -> None:
    first, _, second = reports_of(3), reports_of(4), reports_of(3)
    assert [report.metrics for report in first] == [report.metrics for report in second]


def test_latency_is_measured_when_asked_and_changes_nothing_else() -> None:
    plain, measured = reports_of(3), reports_of(3, measured_objectives=("latency",))
    assert all(0 < report.metrics.pop("valid/latency") < 60 for report in measured)  # type: ignore[operator]
    assert [report.metrics for report in plain] == [report.metrics for report in measured]


def test_a_bounded_cost_is_measured_before_the_first_step_and_changes_nothing_else() -> None:
    first, *reports = run_trial(small_job(3, bounded_costs=("latency",)))
    assert isinstance(first, Measured) and first.number == 3
    assert first.costs.keys() == {"latency"} and 0 < first.costs["latency"] < 60
    assert [one.metrics for one in reports if isinstance(one, Validation)] == [
        one.metrics for one in reports_of(3)
    ]


@pytest.mark.parametrize(
    ("fault", "reason", "place"),
    [
        (DIVERGES, "Diverged: ", "in train_to_next_validation"),
        (RAISES, "DataError: task=/nowhere/at/all", "in open_task"),
        pytest.param(NEEDS_TOO_MUCH_MEMORY, "OutOfMemory: ", "in __init__", marks=pytest.mark.slow),
    ],
    ids=["diverges", "raises", "out of memory"],
)
def test_a_failure_is_an_outcome_with_a_one_line_reason_and_its_traceback(
    fault: dict[str, Any], reason: str, place: str
) -> None:
    *reports, last = run_trial(small_job(0, **fault))
    assert isinstance(last, Ended)
    assert last.status == "failed"
    assert last.number == 0 and all(isinstance(report, Validation) for report in reports)
    assert last.error is not None
    assert last.error.startswith(reason)
    assert "\n" not in last.error
    assert last.traceback is not None
    assert last.traceback.startswith("Traceback (most recent call last):\n")
    assert place in last.traceback, "the way to the fault"
    assert len(reports_of(1)) == 4


def test_nothing_is_trained_between_two_reports() -> None:
    messages = run_trial(small_job(0))
    assert isinstance(next(messages), Validation)
    messages.close()
    assert list(messages) == []


def test_what_is_trained_ahead_makes_the_same_numbers() -> None:
    messages = Prefetcher(lambda prefetcher: run_trial(small_job(0), prefetcher=prefetcher))
    assert [report.metrics for report in messages] == [report.metrics for report in reports_of(0)]


def test_nothing_is_saved_of_what_is_trained_in_vain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "MAX_SHARE", 1e9)  # one at every step
    steps: list[bool] = []

    class Watched(Prefetcher):
        def is_wanted(self) -> bool:
            steps.append(super().is_wanted())
            return steps[-1]

    kept = TrialCheckpoint(Storage.at(tmp_path), seconds=0.0)
    job = small_job(0, **{"train.steps": 200})
    messages = Watched(lambda prefetcher: run_trial(job, checkpoint=kept, prefetcher=prefetcher))
    assert next(messages).step == 50
    while len(steps) <= 50:
        time.sleep(0.001)
    messages.close()
    assert not any(steps[50:])
    state = load_checkpoint(tmp_path)
    assert state["trainer"]["step"] == 50 and len(state["reports"]) == 1


def test_reasons_name_what_a_reader_needs() -> None:
    assert describe_error(Diverged(37, "loss is nan")) == "Diverged: loss is nan at step 37"
    assert describe_error(SpaceError("here", 3, "must be 4")) == "SpaceError: here: given 3; must be 4"
    assert describe_error(ValueError()) == "ValueError"
    assert describe_error(MemoryError()) == "OutOfMemory: the machine has no memory left"
    assert (
        describe_error(torch.OutOfMemoryError("CUDA out of memory.\nTried"))
        == "OutOfMemory: CUDA out of memory."
    )
    try:
        torch.zeros(2) + torch.zeros(3)
    except RuntimeError as error:
        reason = describe_error(error)
    assert reason.startswith("RuntimeError: The size of tensor a (2)")
    assert "(test_trial.py:" in reason


def test_a_job_resumes_from_its_checkpoint_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "MAX_SHARE", 1e9)  # a step takes less time than a checkpoint here
    whole = reports_of(0)
    kept = TrialCheckpoint(Storage.at(tmp_path), seconds=0.0)
    messages = run_trial(small_job(0), checkpoint=kept)
    assert isinstance(first := next(messages), Validation)
    assert isinstance(next(messages), Validation)
    messages.close()
    state = load_checkpoint(tmp_path)
    assert state["trainer"]["step"] == 4 and len(state["reports"]) == 2

    again = list(
        run_trial(small_job(0), num_reported=1, checkpoint=TrialCheckpoint(Storage.at(tmp_path), seconds=0.0))
    )
    assert [report.metrics for report in [first, *again]] == [report.metrics for report in whole]  # type: ignore[union-attr]
    assert again[-1].train_seconds > first.train_seconds  # type: ignore[union-attr]


def test_a_damaged_checkpoint_costs_time_only(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"half a file")
    again = list(
        run_trial(small_job(0), num_reported=2, checkpoint=TrialCheckpoint(Storage.at(tmp_path), seconds=9.0))
    )
    assert [report.metrics for report in again] == [report.metrics for report in reports_of(0)[2:]]  # type: ignore[union-attr]


def test_out_of_memory_tells_predicted_and_held_bytes() -> None:
    *_, last = run_trial(small_job(0, **NEEDS_TOO_MUCH_MEMORY))
    assert isinstance(last, Ended)
    assert last.observed_bytes is not None and last.observed_bytes > 2**20
    assert re.search(r"predicted [\d,]+ bytes, held [\d,]+ when no more could be had", str(last.error))


@contextmanager
def address_space(more: int) -> Iterator[None]:
    """Limit this process to so many bytes more than it has."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux has the /proc that tells a process's address space"
)
def test_of_a_sweep_the_model_that_is_too_large_is_a_row_with_both_counts(tmp_path: Path) -> None:
    """Let a real allocation fail while the model is built: the sweep continues and does not try it again."""
    fixed = {name: MODEL[name] for name in ("H_layers", "L_layers", "H_cycles", "L_cycles", "mlp_multiple")}
    config = build_sweep_config(
        {
            "space": {
                "name": "widths",
                "question": "How wide?",
                "fixed": fixed | {"num_heads": 2},
                "parameters": {"hidden_size": [16, 2048]},
            },
            "task": TASK,
            "sampler": {"name": "grid"},
            "num_trials": 2,
            "max_concurrent": 2,
            "model": {"halt_max_steps": 1, "forward_dtype": "float32"},
            "train": {"steps": 8, "num_reports": 4, "batch_size": 8, "equal": "steps"},
            "budget": {"max_params": "1G"},
            "baseline": {"presets": []},
            "confirm": {"finalists": 0},
        }
    )
    held, more = get_resident_bytes() or 0, 2**28
    with address_space(more):
        run_in_turns(config, tmp_path)
    rows = {row["p.hidden_size"]: row for row in read_trials(tmp_path).to_pylist()}
    assert rows[16]["status"] == "completed" and rows[16]["observed_bytes"] is None
    failed = rows[2048]
    assert failed["status"] == "failed" and failed["error"].startswith("OutOfMemory: ")
    assert held < failed["observed_bytes"] < held + 2 * more < held + failed["predicted_bytes"]
    assert f"predicted {failed['predicted_bytes']:,} bytes" in failed["error"]
    check_each_event_once(tmp_path)
