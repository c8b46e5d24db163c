"""Training one job: from its resolved configuration to its validations, or to the reason of its failure."""

from __future__ import annotations

import dataclasses
import gc
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import torch

from hrm.config.errors import UserError
from hrm.data.base import Dataset
from hrm.data.registry import open_task
from hrm.models.registry import get_family
from hrm.system.device import get_allocated_bytes, is_out_of_memory, resolve_device
from hrm.training.trainer import Diverged, Trainer
from sweeps.events import OUT_OF_MEMORY, Ended, Job, Measured, Validation
from sweeps.execution.checkpoints import TrialCheckpoint
from sweeps.space.constraints import compute_costs

NUM_EXAMPLES = 3
"""The first ones of the validation split: the same for every model, and none of the test split."""
MAX_PREFETCH_SECONDS = 1.0
"""How long to train ahead at most: a job that has been ended must not take its neighbours' time for long."""

_datasets: dict[str, Dataset] = {}
"""Data opened in this process, by task config: the trials of a process share the memory maps."""


class Cancelled(BaseException):
    """The item that is being made is not wanted any more. Not an Exception: it is no fault of the job."""


class Prefetcher:
    """An iterator that begins its next item on a thread, before the item is requested.

    A worker so trains on while its last validation is on its way to the driver.

    Args:
        make: yields the items. It calls `is_wanted` often, and `wait` before it does what must not be done in vain;
            either may raise `Cancelled`.
    """

    def __init__(self, make: Callable[[Prefetcher], Iterator[Any]]) -> None:
        self._requests: SimpleQueue[bool] = SimpleQueue()
        """True requests an item, False cancels it."""
        self._items: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        self._is_requested = False
        self._deadline = time.monotonic() + MAX_PREFETCH_SECONDS
        self._thread = threading.Thread(target=self._run, args=(make,), daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        self._requests.put(True)
        item, error = self._items.get()
        if error is not None:
            raise error
        return item

    def close(self) -> None:
        """End the thread when it next calls `is_wanted` or `wait`."""
        self._requests.put(False)
        self._thread.join()

    def is_wanted(self) -> bool:
        """Return whether the item that is being made has been requested; wait for it after a second.

        Raises:
            Cancelled: it will not be requested.
        """
        if not self._is_requested and self._requests.empty() and time.monotonic() < self._deadline:
            return False
        self.wait()
        return True

    def wait(self) -> None:
        """Wait until the item that is being made has been requested.

        Raises:
            Cancelled: it will not be requested.
        """
        if not self._is_requested:
            self._is_requested = self._requests.get()
            if not self._is_requested:
                raise Cancelled

    def _run(self, make: Callable[[Prefetcher], Iterator[Any]]) -> None:
        try:
            for item in make(self):
                self.wait()
                self._is_requested = False
                self._deadline = time.monotonic() + MAX_PREFETCH_SECONDS
                self._items.put((item, None))
            self._items.put((None, StopIteration()))
        except Cancelled:
            pass
        except BaseException as error:
            self._items.put((None, error))


def import_optimizers() -> None:
    """Do what the first job would wait for: torch imports a lot when it builds its first optimizer."""
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)


def run_trial(
    job: Job,
    num_reported: int = 0,
    checkpoint: TrialCheckpoint | None = None,
    dataset: Dataset | None = None,
    prefetcher: Prefetcher | None = None,
) -> Generator[Measured | Validation | Ended]:
    """Train a job, one validation at a time; nothing is trained between two calls of `next`.

    Args:
        num_reported: validations of a resumed job that are known already and are not yielded again.
        checkpoint: where the job is resumed from and saved; None saves nothing.
        dataset: the data of the job's task; None opens them on this machine.
        prefetcher: calls `next` ahead of time. Nothing is written for a validation that nobody requests.

    Yields:
        The costs of `bounded_costs` if there are any, then each validation; or, in place of the first one that fails,
        an `Ended` event with the reason, and then nothing more. No error of the training is raised: the process
        continues with its next job.
    """
    try:
        for message in _train(job, checkpoint, dataset, prefetcher):
            if isinstance(message, Measured) or message.index > num_reported:
                yield message
    except Exception as error:
        failure = _describe_failure(job, error)
    else:
        return
    # A failed trainer lives on in reference cycles, and CUDA's cache holds what other processes may need.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    yield failure


def _train(
    job: Job, checkpoint: TrialCheckpoint | None, dataset: Dataset | None, prefetcher: Prefetcher | None
) -> Iterator[Measured | Validation]:
    dataset = dataset or _open_dataset(job.run.task)
    loaded = checkpoint.load(job, dataset) if checkpoint else None
    trainer, validations = loaded or (Trainer(job.run, dataset), [])
    if job.bounded_costs and trainer.step == 0:
        yield Measured(number=job.number, costs=compute_costs(trainer, job.bounded_costs))
    yield from validations

    def on_step(step: int) -> None:
        if (prefetcher is None or prefetcher.is_wanted()) and checkpoint:
            checkpoint.save_if_due(trainer, validations)

    while not trainer.finished:
        values = trainer.train_to_next_validation(on_step)
        if prefetcher is not None:
            prefetcher.wait()
        metrics, answers = dict(values.metrics), None
        for name, cost in compute_costs(trainer, job.measured_objectives).items():
            metrics[f"valid/{name}"] = cost
        if trainer.finished and job.read_test:
            test = trainer.evaluate(dataset.test)
            metrics |= {f"test/{name}": value for name, value in test.items()}
        if trainer.finished and job.keep_model:
            answers = collect_answers(trainer)
            if checkpoint:
                checkpoint.save_weights(trainer)
        seconds = trainer.eval_seconds
        validations.append(
            dataclasses.replace(values, metrics=metrics, eval_seconds=seconds, answers=answers)
        )
        if checkpoint:
            checkpoint.save_after_validation(trainer, validations)
        yield validations[-1]


def collect_answers(trainer: Trainer) -> dict[str, Any] | None:
    """Return what the model answers to the first validation examples, segment by segment.

    Returns:
        `blank_token` and `examples`, each with `inputs`, `labels` and `segments`, each of those with `tokens`,
        `confidence` (the probability of each token, to three digits) and `halting` (the chance of stopping); None
        for a model that does not answer by segments.
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


def _open_dataset(task: Any) -> Dataset:
    key = repr(task)
    if key not in _datasets:
        _datasets[key] = open_task(task)
    return _datasets[key]


def _describe_failure(job: Job, error: Exception) -> Ended:
    reason, held = describe_error(error), None
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


def describe_error(error: BaseException) -> str:
    """Describe an error in one line: its kind, its message and, for a fault of the program, the place.

    Example:
        >>> describe_error(MemoryError())
        'OutOfMemory: the machine has no memory left'
    """
    message = next(iter(str(error).strip().splitlines()), "")
    if is_out_of_memory(error):
        return f"{OUT_OF_MEMORY}: {message or 'the machine has no memory left'}"
    name = type(error).__name__
    text = f"{name}: {message}" if message else name
    if isinstance(error, Diverged | UserError):
        return text
    frames = traceback.extract_tb(error.__traceback__)
    return f"{text} ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else text
