"""The trainer, a machine: built from a config, it trains, evaluates, saves and resumes when told to."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import math
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hrm.config.run_config import RunConfig
from hrm.data.base import Batch, Dataset, Split
from hrm.models.base import Carry, Model, SegmentAnswer
from hrm.models.metrics import Metrics, RunningMeans, sum_batches
from hrm.models.registry import get_family
from hrm.system.device import (
    create_on_cpu,
    move_batch,
    move_tensors,
    resolve_device,
    synchronize,
    use_threads,
)
from hrm.system.files import write_atomically
from hrm.training import checkpoint
from hrm.training.checkpoint import check_same_run
from hrm.training.divergence import Diverged, FiniteWatch
from hrm.training.optimizers import EMA, step_optimizers
from hrm.training.run_length import RunLength

_COUNTERS = ("reports_made", "step", "train_flops", "train_seconds", "eval_seconds", "eval_flops")
"""Numbers of a trainer that a checkpoint holds."""


@dataclass(frozen=True, kw_only=True)
class Validation:
    """What a run says at one of its equal fractions."""

    index: int
    """1 to `train.num_reports`."""
    step: int
    """Optimizer steps made so far."""
    train_flops: int
    """Training FLOPs spent so far, exact."""
    train_seconds: float
    """Seconds inside training steps so far."""
    eval_seconds: float
    """Seconds inside evaluations so far."""
    metrics: Metrics
    """`train/...`: means since the last report; `valid/...`: the whole validation split."""


class Trainer:
    """Trains one model on one data set.

    The same config gives the same run, bit for bit on a CPU, whatever was computed before in the process:
    initial weights, exploration and batches each come from a stream of their own, seeded by `config.seed`,
    and torch's global generator is neither read nor moved. Nothing is printed here; who drives the trainer
    decides when to report, save and stop.

    There is no loss scaling: with `forward_dtype=float16` small gradients underflow and large activations end
    the run as `Diverged`. Prefer bfloat16, which has float32's range.

    Attributes:
        config: the run's config with the model's fields that the data decide filled in.
        step: optimizer steps made; also the position in the data.
        train_flops: training FLOPs spent so far, exact: as executed, where the data decide what a step costs.
        reports_made: index of the last report; 0 before the first.
        train_seconds: monotonic seconds from step to step, what `on_step` does between them included.
        eval_seconds: monotonic seconds inside evaluations.
        eval_flops: FLOPs spent on evaluations, exact.
    """

    def __init__(self, config: RunConfig, dataset: Dataset) -> None:
        """Builds model and optimizers.

        Raises:
            ConfigError: the model cannot have the shape that the data ask for.
            DeviceError: the machine lacks the device.
        """
        model_config = dataclasses.replace(config.model, **dataset.model_fields)
        self.config = dataclasses.replace(config, model=model_config)
        self.dataset = dataset
        self.device = resolve_device(config.device)
        self._family = get_family(config.family)
        train = config.train
        self.counts = self._family.count(model_config, train.batch_size, train)
        self.length = RunLength(train, self.counts.flops_per_step)
        with use_threads(config.threads):
            self.model = self._initial_model().to(self.device)
        self.model.train()
        self.optimizers = self.model.build_optimizers(train)
        self.ema = EMA(self.model, train.ema) if train.ema > 0 else None
        self.carry: Carry = None
        self._exploration = torch.Generator(self.device)
        self._exploration.manual_seed(derive_seed(config.seed, "exploration"))
        self._means = RunningMeans(train.batch_size)
        self._watch = FiniteWatch(self.model)
        self.reports_made = 0
        self.step = 0
        self.train_flops = 0
        self.train_seconds = 0.0
        self.eval_seconds = 0.0
        self.eval_flops = 0

    def _initial_model(self) -> Model:
        # Drawn on the CPU whatever the device, so that every device starts from the same weights.
        with torch.random.fork_rng(devices=[]), create_on_cpu():
            torch.default_generator.manual_seed(self.config.seed)
            return self._family.build(self.config.model)

    @property
    def finished(self) -> bool:
        """Whether every report of the run has been made."""
        return self.reports_made == self.config.train.num_reports

    def train_to(self, step: int, on_step: Callable[[int], object] | None = None) -> Metrics:
        """Trains until `step` optimizer steps have been made in all.

        Args:
            step: at most what the run's length allows; steps made already are not made again.
            on_step: called with `self.step` after each step. What it raises leaves the trainer whole,
                between two steps: it may be saved, resumed or driven on.

        Returns:
            Means of the training metrics since the last call that returned.

        Raises:
            Diverged: the loss or a weight is not finite.
        """
        return self._train_until(lambda: self.step >= step, on_step)

    def _train_until(self, reached: Callable[[], bool], on_step: Callable[[int], object] | None) -> Metrics:
        start = time.perf_counter()
        try:
            with use_threads(self.config.threads):
                while not reached():
                    assert not self.length.has_ended(self.step, self.train_flops)
                    self._train_step()
                    if on_step is not None:
                        on_step(self.step)
                self._watch.check(self.step)
        finally:
            synchronize(self.device)
            self.train_seconds += time.perf_counter() - start
        return self._means.take()

    def train_to_next_validation(self, on_step: Callable[[int], object] | None = None) -> Validation:
        """Trains to the next report of the run's length and validates there.

        Raises:
            Diverged: the loss, a weight or the validation loss is not finite.
        """
        assert not self.finished
        index = self.length.get_next_validation(self.reports_made, self.step, self.train_flops)
        train = self._train_until(lambda: self.length.is_due(index, self.step, self.train_flops), on_step)
        valid = self.evaluate(self.dataset.valid)
        self.reports_made = index
        return Validation(
            index=index,
            step=self.step,
            train_flops=self.train_flops,
            train_seconds=self.train_seconds,
            eval_seconds=self.eval_seconds,
            metrics=_named("train", train) | _named("valid", valid),
        )

    def evaluate(self, split: Split) -> Metrics:
        """Metrics over a whole split, with the averaged weights where `train.ema` is on.

        Returns:
            What the model's `metrics` makes of its sums. Of a puzzle model, means over sequences after
            `halt_max_steps` segments: `loss`, and in 0..1 `exact_accuracy`, `cell_accuracy`,
            `q_halt_accuracy` and, where the task has blank cells, `blank_accuracy`.

        Raises:
            Diverged: the loss is not finite.
        """
        start = time.perf_counter()
        size = self.config.train.eval_batch_size
        sums = []
        with use_threads(self.config.threads), self._evaluation_weights():
            for first in range(0, len(split), size):
                batch = move_batch(split.get_batch(first, size), self.device)
                sums.append(self.model.evaluate_batch(batch, split.blank_token))
                self.eval_flops += self._spent(self._eval_flops(len(batch["inputs"])))
            means = self.model.compute_metrics(sum_batches(sums))
        self.eval_seconds += time.perf_counter() - start
        loss = means.get("loss")
        if loss is not None and not math.isfinite(loss):
            raise Diverged(self.step, f"evaluation loss is {loss}")
        return means

    def measure_latency(self, split: Split, repeats: int = 5) -> float:
        """Seconds in which the device evaluates one sequence alone: the median of `repeats`, after a first one."""
        seconds = []
        with use_threads(self.config.threads), self._evaluation_weights():
            batch = move_batch(split.get_batch(0, 1), self.device)
            for _ in range(repeats + 1):
                start = time.perf_counter()
                self.model.evaluate_batch(batch, split.blank_token)
                synchronize(self.device)
                seconds.append(time.perf_counter() - start)
        return statistics.median(seconds[1:])

    def answer_segments(self, split: Split, num: int) -> list[SegmentAnswer]:
        """What the model, with the weights that evaluations use, answers to the first `num` examples of a split
        after each segment; empty for a model that does not answer so."""
        with use_threads(self.config.threads), self._evaluation_weights():
            return self.model.answer_segments(move_batch(split.get_batch(0, num), self.device))

    def get_evaluation_weights(self) -> dict[str, Tensor]:
        """The model's `state_dict` that evaluations use: averaged where `train.ema` is on. Copies."""
        with self._evaluation_weights():
            return {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}

    def save(self, folder: Path) -> None:
        """Writes the whole state as the folder's checkpoint, atomically."""
        checkpoint.save(self.state_dict(), folder)

    def export_weights(self) -> dict[str, Tensor]:
        """What the model has learned: `get_evaluation_weights` on the CPU, under the names of the family's reference
        implementation."""
        named = self.model.rename_to_official(self.get_evaluation_weights())
        return {name: tensor.cpu() for name, tensor in named.items()}

    def save_weights(self, path: Path) -> None:
        """Writes `export_weights`, atomically."""
        write_atomically(path, lambda temporary: torch.save(self.export_weights(), temporary))

    @classmethod
    def resume(cls, folder: Path, dataset: Dataset) -> Trainer:
        """The trainer that was saved in the folder.

        Raises:
            CheckpointError: there is no sound checkpoint, or it was trained on other data.
        """
        state = checkpoint.load(folder)
        trainer = cls(RunConfig.from_dict(state["config"]), dataset)
        trainer.load_state_dict(state)
        return trainer

    def state_dict(self) -> dict[str, Any]:
        """Everything that decides what comes next, and what was spent. Tensors are shared, not copied."""
        return {
            "config": self.config.to_dict(),
            "data_fingerprint": self.dataset.fingerprint,
            "device": self.device.type,
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "ema": None if self.ema is None else self.ema.state_dict(),
            "carry": self.carry,
            "exploration": self._exploration.get_state(),
            "means": self._means.state_dict(),
            "bad_step": self._watch.bad_step,
            **{name: getattr(self, name) for name in _COUNTERS},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over a state: what follows equals the saved run going on, bit for bit on a CPU.

        A generator's state fits its own type of device only: on another type, exploration goes on from a
        fresh stream.

        Raises:
            CheckpointError: the state belongs to another config or other data.
        """
        check_same_run(state, self.config, self.dataset)
        state = copy.deepcopy(state)
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        self.carry = move_tensors(state["carry"], self.device)
        if state["device"] == self.device.type:
            self._exploration.set_state(state["exploration"].cpu())
        else:
            self._exploration.manual_seed(derive_seed(self.config.seed, f"exploration after {state['step']}"))
        self._means.load_state_dict(move_tensors(state["means"], self.device))
        self._watch.bad_step = state["bad_step"].to(self.device)
        for name in _COUNTERS:
            setattr(self, name, state[name])

    def _train_step(self) -> None:
        train = self.config.train
        at = self.length.schedule_step(self.step, self.train_flops)
        batches = [move_batch(batch, self.device) for batch in self._train_batches()]
        weight = sum(self.model.get_loss_weight(batch) for batch in batches)
        for batch in batches:
            if self.carry is None:
                self.carry = self.model.initial_carry(batch)
            self.carry, loss, metrics = self.model.train_segment(self.carry, batch, self._exploration)
            self._watch.see(loss.detach(), self.step + 1)
            (loss / weight).backward()
            self._means.add(metrics | {"loss": loss.detach()})
            self.train_flops += self._spent(self.counts.flops_per_step // len(batches))
        if train.clip_norm > 0:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), train.clip_norm)
        step_optimizers(self.optimizers, train, at)
        if self.ema is not None:
            self.ema.update()
        self.step += 1

    def _train_batches(self) -> list[Batch]:
        """The step's examples in batches: the larger batch that accumulation stands for, cut up."""
        train = self.config.train
        whole = self.dataset.get_train_batch(
            self.step, train.batch_size * train.accumulation, self.config.seed
        )
        starts = range(0, train.batch_size * train.accumulation, train.batch_size)
        return [{name: array[i : i + train.batch_size] for name, array in whole.items()} for i in starts]

    def _spent(self, counted: int) -> int:
        """FLOPs of what the model has just executed: as counted, unless the data decide."""
        executed = self.model.executed_flops
        return counted if executed is None else executed

    def _eval_flops(self, batch_size: int) -> int:
        return self._family.count(self.config.model, batch_size, self.config.train).eval_flops_per_batch

    @contextmanager
    def _evaluation_weights(self) -> Iterator[None]:
        self.model.eval()
        try:
            if self.ema is None:
                yield
            else:
                with self.ema.applied():
                    yield
        finally:
            self.model.train()


def derive_seed(seed: int, name: str) -> int:
    """The seed of a named stream of random numbers: streams of one run do not overlap (64 bits, SHA-256)."""
    return int.from_bytes(hashlib.sha256(f"{name} {seed}".encode()).digest()[:8]) >> 1


def _named(split: str, metrics: Metrics) -> Metrics:
    return {f"{split}/{name}": value for name, value in metrics.items()}
