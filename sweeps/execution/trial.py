"""One job, trained: from its resolved configuration to its reports, or to the reason of its failure."""

from __future__ import annotations

import dataclasses
import gc
import traceback
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import torch

from hrm.config.errors import UserError
from hrm.data.base import Dataset
from hrm.data.registry import open_task
from hrm.models.registry import get_family
from hrm.system.device import get_allocated_bytes, is_out_of_memory, resolve_device
from hrm.training.divergence import Diverged
from hrm.training.trainer import Trainer
from sweeps.events import OUT_OF_MEMORY, Ended, Job, Validation
from sweeps.execution.checkpoints import Checkpoint
from sweeps.execution.prefetch import Prefetcher
from sweeps.search.objectives import LATENCY

NUM_EXAMPLES = 3
"""The first ones of the validation split: the same for every model, and none of the test split."""


def collect(trainer: Trainer) -> dict[str, Any] | None:
    """Inputs, labels and each segment's answers; None for a model that does not answer by segments.

    Returns:
        `blank_token` and `examples`, each with `inputs`, `labels` and `segments`, each of those with `tokens`,
        `confidence` (the probability of each token, to three digits) and `halting` (the chance of stopping).
    """
    split = trainer.dataset.valid
    segments = trainer.answer_segments(split, NUM_EXAMPLES)
    if not segments:
        return None
    return {
        "blank_token": split.blank_token,
        "examples": [
            {
                "inputs": split.inputs[i].tolist(),
                "labels": split.labels[i].tolist(),
                "segments": [
                    {
                        "tokens": segment.tokens[i].tolist(),
                        "confidence": [round(value, 3) for value in segment.confidence[i].tolist()],
                        "halting": round(float(segment.halting[i]), 3),
                    }
                    for segment in segments
                ],
            }
            for i in range(min(NUM_EXAMPLES, len(split)))
        ],
    }


_datasets: dict[str, Dataset] = {}
"""Data opened in this process, by task config: the trials that a process runs share the memory maps."""


def warm_up() -> None:
    """Does what the first job of a process would wait for: torch imports much when it makes its first optimizer."""
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)


def run(
    job: Job,
    num_reported: int = 0,
    checkpoint: Checkpoint | None = None,
    dataset: Dataset | None = None,
    ahead: Prefetcher | None = None,
) -> Generator[Validation | Ended]:
    """Trains the job, one report at a time; nothing is trained between two calls of `next`.

    Args:
        num_reported: reports that are known already, of a job that goes on: they are not told again.
        checkpoint: where the job goes on from and is kept; None keeps nothing.
        dataset: of the job's task; None opens it on this machine.
        ahead: who calls `next` before a report is wanted. Nothing is written for a report that is not.

    Yields:
        Each report; or, in place of the first one that cannot be had, an `Ended` event with the reason in
        one line, and then nothing more. Nothing that the training does is raised: the process goes on to its
        next job.
    """
    reports: list[Validation] = []
    try:
        for report in _train(job, checkpoint, dataset, ahead):
            reports.append(report)
            if report.index > num_reported:
                yield report
    except Exception as error:
        failure = _failure(job, error)
    else:
        return
    _release_memory()
    yield failure


def _train(
    job: Job, checkpoint: Checkpoint | None, dataset: Dataset | None, ahead: Prefetcher | None
) -> Iterator[Validation]:
    dataset = dataset or _open(job.run.task)
    kept = checkpoint.load(job, dataset) if checkpoint else None
    trainer, reports = kept or (Trainer(job.run, dataset), [])
    yield from reports

    def between_steps(step: int) -> None:
        if (ahead is None or ahead.is_wanted()) and checkpoint:
            checkpoint.save_if_due(trainer, reports, step)

    while not trainer.finished:
        report = trainer.train_to_next_validation(between_steps)
        if ahead is not None:
            ahead.wait()
        metrics = dict(report.metrics)
        if job.measure_latency:
            metrics[LATENCY.metric] = trainer.measure_latency(dataset.valid)
        if trainer.finished and job.read_test:
            test = trainer.evaluate(dataset.test)
            metrics |= {f"test/{name}": value for name, value in test.items()}
        answers = collect(trainer) if trainer.finished and job.keep_model else None
        report = dataclasses.replace(
            report, eval_seconds=trainer.eval_seconds, metrics=metrics, answers=answers
        )
        reports.append(report)
        if checkpoint and trainer.finished and job.keep_model:
            checkpoint.save_weights(trainer)
        if checkpoint:
            checkpoint.after_report(trainer, reports)
        yield report


def _open(task: Any) -> Dataset:
    key = repr(task)
    if key not in _datasets:
        _datasets[key] = open_task(task)
    return _datasets[key]


def _failure(job: Job, error: Exception) -> Ended:
    reason, held = describe(error), None
    if is_out_of_memory(error):
        held = get_allocated_bytes(resolve_device(job.run.device))
        predicted = get_family(job.run.family).count(job.run.model, job.run.train.batch_size, job.run.train)
        reason += f" (predicted {predicted.total_bytes:,} bytes, held {held:,} when no more could be had)"
    return Ended(
        number=job.number,
        status="failed",
        error=reason,
        traceback="".join(traceback.format_exception(error)),
        observed_bytes=held,
    )


def describe(error: BaseException) -> str:
    """What went wrong, in one line: kind, message, and for a fault of the program the place."""
    message = next(iter(str(error).strip().splitlines()), "")
    if is_out_of_memory(error):
        return f"{OUT_OF_MEMORY}: {message or 'the machine has no memory left'}"
    name = type(error).__name__
    text = f"{name}: {message}" if message else name
    if isinstance(error, Diverged | UserError):
        return text
    frames = traceback.extract_tb(error.__traceback__)
    return f"{text} ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else text


def _release_memory() -> None:
    # A failed trainer lives on in reference cycles, and CUDA's cache holds what other processes may need.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
