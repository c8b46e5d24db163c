"""The trainer: built from a config, it trains, evaluates, saves and resumes as its caller asks."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import math
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hrm.config.run_config import RunConfig
from hrm.data.base import Batch, Dataset, Split
from hrm.models.base import Carry, Metrics, Model, RunningMeans, SegmentAnswer, sum_batches
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
from hrm.training.checkpoint import check_same_run, load_checkpoint, save_checkpoint
from hrm.training.optimizers import EMA, step_optimizers
from hrm.training.progress import Validation
from hrm.training.schedule import TrainingSchedule


class Diverged(Exception):  # noqa: N818 - a result of a run, not a fault of the program
    """The loss or a weight is no longer finite.

    Args:
        step: the first bad optimizer step, counted from 1, also on a GPU, where the loss is read at validations only.
        reason: what was found, in a few words.
    """

    def __init__(self, step: int, reason: str) -> None:
        super().__init__(step, reason)
        self.step, self.reason = step, reason

    def __str__(self) -> str:
        return f"{self.reason} at step {self.step}"


class DivergenceDetector:
    """Watches losses and weights. On a CPU it checks each loss at once; on a device it only stores the first bad step
    until `check`, because reading a loss would wait for all queued work.

    Args:
        model: on its device.

    Attributes:
        bad_step: the first step with a bad loss, 0 while there is none; int32, on the model's device.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._device = next(model.parameters()).device
        self.bad_step = torch.zeros((), dtype=torch.int32, device=self._device)

    def watch(self, loss: Tensor, step: int) -> None:
        """Take in the loss (0-d) of optimizer step `step`, counted from 1.

        Raises:
            Diverged: it is not finite; on a CPU only.
        """
        if self._device.type != "cpu":
            first = (self.bad_step == 0) & ~torch.isfinite(loss)
            self.bad_step = torch.where(first, step, self.bad_step)
        elif not math.isfinite(loss.item()):
            # A weight that the last step spoiled shows in this step's loss: name the right step.
            self._check_weights(step - 1)
            raise Diverged(step, f"loss is {loss.item()}")

    def check(self, step: int) -> None:
        """Check that all losses up to `step` were finite, and that all weights are now.

        Raises:
            Diverged: they are not.
        """
        bad_step = int(self.bad_step)
        if bad_step:
            raise Diverged(bad_step, "loss is not finite")
        self._check_weights(step)

    def _check_weights(self, step: int) -> None:
        tensors = [tensor for tensor in self._model.state_dict().values() if tensor.is_floating_point()]
        if not bool(torch.stack([torch.isfinite(tensor).all() for tensor in tensors]).all()):
            raise Diverged(step, "weights are not finite")


_COUNTERS = {
    "num_validations": "reports_made",
    "step": "step",
    "train_flops": "train_flops",
    "train_seconds": "train_seconds",
    "eval_seconds": "eval_seconds",
    "eval_flops": "eval_flops",
}
"""Numbers of a trainer that a checkpoint holds, with their names there."""


class Trainer:
    """Trains one model on one data set.

    The same config gives the same run, bit for bit on a CPU, whatever the process computed before: initial weights,
    exploration and batches each come from a stream of their own, seeded by `config.seed`, and torch's global
    generator is neither read nor moved. The trainer prints nothing; its caller decides when to validate, save and
    stop.

    There is no loss scaling: with `forward_dtype=float16` small gradients underflow, and large activations end the
    run as `Diverged`. Prefer bfloat16, which has the range of float32.

    Attributes:
        config: the run's config, with the model's fields that the data decide filled in.
        step: optimizer steps made; also the position in the data.
        train_flops: training FLOPs spent so far, exact: as executed, where the cost of a step depends on the data.
        num_validations: index of the last validation; 0 before the first.
        train_seconds: seconds on a monotonic clock from step to step, including what `on_step` does between them.
        eval_seconds: seconds inside evaluations.
        eval_flops: FLOPs spent on evaluations, exact.
    """

    def __init__(self, config: RunConfig, dataset: Dataset) -> None:
        """Build model and optimizers.

        Raises:
            ConfigError: the model cannot have the shape that the data ask for.
            DeviceError: the machine does not have the device.
        """
        model_config = dataclasses.replace(config.model, **dataset.model_fields)
        self.config = dataclasses.replace(config, model=model_config)
        self.dataset = dataset
        self.device = resolve_device(config.device)
        self._family = get_family(config.family)
        train = config.train
        self.counts = self._family.count(model_config, train.batch_size, train)
        self.schedule = TrainingSchedule(train, self.counts.flops_per_step)
        with use_threads(config.threads):
            self.model = self._initialize_model().to(self.device)
        self.model.train()
        self.optimizers = self.model.build_optimizers(train)
        self.ema = EMA(self.model, train.ema) if train.ema > 0 else None
        self.carry: Carry = None
        self._exploration = torch.Generator(self.device)
        self._exploration.manual_seed(derive_seed(config.seed, "exploration"))
        self._means = RunningMeans(train.batch_size)
        self._detector = DivergenceDetector(self.model)
        self.num_validations = self.step = self.train_flops = self.eval_flops = 0
        self.train_seconds = self.eval_seconds = 0.0

    def _initialize_model(self) -> Model:
        # Drawn on the CPU whatever the device, so that every device starts from the same weights.
        with torch.random.fork_rng(devices=[]), create_on_cpu():
            torch.default_generator.manual_seed(self.config.seed)
            return self._family.build(self.config.model)

    @property
    def finished(self) -> bool:
        """Whether every validation of the run has been made."""
        return self.num_validations == self.config.train.num_reports

    def train_to(self, step: int, on_step: Callable[[int], object] | None = None) -> Metrics:
        """Train until `step` optimizer steps have been made in all.

        Args:
            step: not beyond the end of the run; steps made already are not made again.
            on_step: called with `self.step` after each step. If it raises an exception, the trainer is intact,
                between two steps: it can be saved, resumed or driven further.

        Returns:
            Means of the training metrics since the last call that returned.

        Raises:
            Diverged: the loss or a weight is not finite.
        """
        return self._train_until(lambda: self.step >= step, on_step)

    def _train_until(
        self, is_reached: Callable[[], bool], on_step: Callable[[int], object] | None
    ) -> Metrics:
        start = time.perf_counter()
        try:
            with use_threads(self.config.threads):
                while not is_reached():
                    assert not self.schedule.has_ended(self.step, self.train_flops)
                    self._train_step()
                    if on_step is not None:
                        on_step(self.step)
                self._detector.check(self.step)
        finally:
            synchronize(self.device)
            self.train_seconds += time.perf_counter() - start
        return self._means.take()

    def train_to_next_validation(self, on_step: Callable[[int], object] | None = None) -> Validation:
        """Train to the next validation of the schedule, and validate.

        Raises:
            Diverged: the loss, a weight or the validation loss is not finite.
        """
        assert not self.finished
        schedule = self.schedule
        index = schedule.get_next_validation(self.num_validations, self.step, self.train_flops)
        train = self._train_until(lambda: schedule.is_due(index, self.step, self.train_flops), on_step)
        metrics = {f"train/{name}": value for name, value in train.items()}
        metrics |= {f"valid/{name}": value for name, value in self.evaluate(self.dataset.valid).items()}
        self.num_validations = index
        return Validation(
            index=index,
            step=self.step,
            train_flops=self.train_flops,
            train_seconds=self.train_seconds,
            eval_seconds=self.eval_seconds,
            metrics=metrics,
        )

    def evaluate(self, split: Split) -> Metrics:
        """Return metrics over a whole split, with the averaged weights where `train.ema` is on.

        Returns:
            The model's `compute_metrics` of its sums. For a puzzle model, means over sequences after `halt_max_steps`
            segments: `loss`, and in 0..1 `exact_accuracy`, `cell_accuracy`, `q_halt_accuracy` and, where the task has
            blank cells, `blank_accuracy`.

        Raises:
            Diverged: the loss is not finite.
        """
        start = time.perf_counter()
        size = self.config.train.eval_batch_size
        sums = []
        with self._evaluating():
            for first in range(0, len(split), size):
                batch = move_batch(split.get_batch(first, size), self.device)
                sums.append(self.model.evaluate_batch(batch, split.blank_token))
                counts = self._family.count(self.config.model, len(batch["inputs"]), self.config.train)
                self.eval_flops += self._get_executed_flops(counts.eval_flops_per_batch)
            metrics = self.model.compute_metrics(sum_batches(sums))
        self.eval_seconds += time.perf_counter() - start
        loss = metrics.get("loss")
        if loss is not None and not math.isfinite(loss):
            raise Diverged(self.step, f"evaluation loss is {loss}")
        return metrics

    def measure_latency(self, split: Split, repeats: int = 5) -> float:
        """Return the seconds to evaluate one sequence alone: the median of `repeats`, after a first one."""
        seconds = []
        with self._evaluating():
            batch = move_batch(split.get_batch(0, 1), self.device)
            for _ in range(repeats + 1):
                start = time.perf_counter()
                self.model.evaluate_batch(batch, split.blank_token)
                synchronize(self.device)
                seconds.append(time.perf_counter() - start)
        return statistics.median(seconds[1:])

    def answer_segments(self, split: Split, num: int) -> list[SegmentAnswer]:
        """Return the answers to the first `num` examples of a split after each segment, with the evaluation weights.

        None for a model that answers only once.
        """
        with self._evaluating():
            return self.model.answer_segments(move_batch(split.get_batch(0, num), self.device))

    def get_evaluation_weights(self) -> dict[str, Tensor]:
        """Return a copy of the model's `state_dict` as evaluations use it: averaged where `train.ema` is on."""
        with self._evaluating():
            return {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}

    def export_weights(self) -> dict[str, Tensor]:
        """Return `get_evaluation_weights` on the CPU, under the names of the family's reference implementation."""
        named = self.model.rename_to_official(self.get_evaluation_weights())
        return {name: tensor.cpu() for name, tensor in named.items()}

    def save_weights(self, path: Path) -> None:
        """Write `export_weights`, atomically."""
        write_atomically(path, lambda temporary: torch.save(self.export_weights(), temporary))

    def save(self, folder: Path) -> None:
        """Write the whole state as the folder's checkpoint, atomically."""
        save_checkpoint(self.state_dict(), folder)

    @classmethod
    def resume(cls, folder: Path, dataset: Dataset) -> Trainer:
        """Return the trainer that was saved in the folder.

        Raises:
            CheckpointError: there is no readable checkpoint, or it was trained on other data.
        """
        state = load_checkpoint(folder)
        trainer = cls(RunConfig.from_dict(state["config"]), dataset)
        trainer.load_state_dict(state)
        return trainer

    def state_dict(self) -> dict[str, Any]:
        """Return everything that decides what comes next, and what was spent. Tensors are shared, not copied."""
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
            "bad_step": self._detector.bad_step,
            **{key: getattr(self, name) for name, key in _COUNTERS.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a state: the run continues as the saved one would have, bit for bit on a CPU.

        The state of a random generator fits its own type of device only: on another type, exploration continues from
        a fresh stream.

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
        self._detector.bad_step = state["bad_step"].to(self.device)
        for name, key in _COUNTERS.items():
            setattr(self, name, state[key])

    def _train_step(self) -> None:
        train, position = self.config.train, self.schedule.get_position(self.step, self.train_flops)
        batches = [move_batch(batch, self.device) for batch in self._get_train_batches()]
        weight = sum(self.model.get_loss_weight(batch) for batch in batches)
        for batch in batches:
            if self.carry is None:
                self.carry = self.model.initial_carry(batch)
            self.carry, loss, metrics = self.model.train_segment(self.carry, batch, self._exploration)
            self._detector.watch(loss.detach(), self.step + 1)
            (loss / weight).backward()
            self._means.add(metrics | {"loss": loss.detach()})
            self.train_flops += self._get_executed_flops(self.counts.flops_per_step // len(batches))
        if train.clip_norm > 0:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), train.clip_norm)
        step_optimizers(self.optimizers, train, position)
        if self.ema is not None:
            self.ema.update()
        self.step += 1

    def _get_train_batches(self) -> list[Batch]:
        """Return the step's examples as `accumulation` batches, cut from one large batch."""
        size, num = self.config.train.batch_size, self.config.train.accumulation
        whole = self.dataset.get_train_batch(self.step, size * num, self.config.seed)
        starts = range(0, size * num, size)
        return [{name: array[i : i + size] for name, array in whole.items()} for i in starts]

    def _get_executed_flops(self, counted: int) -> int:
        """Return the FLOPs of what the model has just executed: as counted, unless they depend on the data."""
        executed = self.model.executed_flops
        return counted if executed is None else executed

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        self.model.eval()
        try:
            averages = nullcontext() if self.ema is None else self.ema.use_averages()
            with use_threads(self.config.threads), averages:
                yield
        finally:
            self.model.train()


def derive_seed(seed: int, name: str) -> int:
    """Return the seed of a named stream of random numbers: 64 bits of SHA-256, so that streams do not overlap."""
    return int.from_bytes(hashlib.sha256(f"{name} {seed}".encode()).digest()[:8]) >> 1
