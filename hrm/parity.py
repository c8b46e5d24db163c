"""Holds the puzzle HRM against golden numbers of the official one, group by group.

A file of segments holds `train{i}/*`, consecutive ACT segments without exploration and without an optimizer
step between them, some with gradients, and `eval/*`, the last segment of an evaluation of `batch0`. A file of
training holds a run: see `hrm.parity`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import zipfile
import zlib
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hrm.config.command_line import run_cli
from hrm.config.errors import DataError
from hrm.config.schema import build_config
from hrm.config.train_config import TrainConfig
from hrm.data.base import IGNORED_LABEL
from hrm.models.base import Carry, TensorBatch
from hrm.models.puzzle.checkpoint_names import load_official
from hrm.models.puzzle.config import PuzzleHRMConfig
from hrm.models.puzzle.model import Outputs, PuzzleHRM
from hrm.training.optimizers import learning_rate


@dataclass(frozen=True)
class Bounds:
    """Largest errors allowed."""

    values: float
    """Of outputs, losses, metrics and gradients of a segment: max|a - b| / max(max|b|, 1e-6)."""
    step_loss: float
    """Of the loss of each step of a training run, relative."""
    weights: float
    """Of trained weights: ||a - b|| / ||b - initial||; looser, as atan2 turns rounding into steps."""


FLOAT32_BOUNDS = Bounds(values=1e-4, step_loss=1e-3, weights=1e-2)
HALF_BOUNDS = Bounds(values=0.5, step_loss=0.5, weights=1.0)
"""These catch gross faults only: in half precision two sound orders of summing differ by tenths, as the
recurrence and the halting decisions amplify each rounding."""


def bounds_of(file: GoldenFile) -> Bounds:
    """The bounds for the type of the file's forward pass."""
    return FLOAT32_BOUNDS if file.config.forward_dtype == "float32" else HALF_BOUNDS


@dataclass(frozen=True)
class Group:
    """One line of the result: the largest error of some tensors."""

    name: str
    worst: str
    """The tensor of the largest error."""
    error: float
    bound: float
    """Largest error allowed; 0 asks for equality, and `error` is then the number of differing entries."""

    @property
    def holds(self) -> bool:
        return self.error <= self.bound  # False for NaN

    def __str__(self) -> str:
        verdict = "ok" if self.holds else "ABOVE THE BOUND"
        return f"{self.name:<24} error {self.error:<9.3g} bound {self.bound:<7.3g} {verdict} ({self.worst})"


def relative_error(ours: Tensor, golden: Tensor) -> float:
    """max|a - b| / max(max|b|, 1e-6)."""
    a, b = ours.detach().double(), golden.double()
    return float((a - b).abs().max() / b.abs().max().clamp(min=1e-6))


def worst_of(errors: Iterable[tuple[float, str]]) -> tuple[float, str]:
    """The largest error; NaN is larger than any."""
    return max(errors, key=lambda pair: float("inf") if pair[0] != pair[0] else pair[0])


def check_shape(where: str, golden: Tensor, ours: Tensor) -> None:
    """Makes sure that two tensors can be compared.

    Raises:
        DataError: they differ in shape.
    """
    if golden.shape != ours.shape:
        raise DataError(where, list(golden.shape), f"must have the shape {list(ours.shape)} of our model's")


BATCH_KEYS = ("inputs", "labels", "puzzle_identifiers")
_NOT_OURS = ("name", "loss", "batch_size", "causal")
"""Fields of an official config that say nothing about our model."""


@dataclass(frozen=True)
class GoldenFile:
    """The arrays of one golden file, and the config of its model."""

    path: Path
    arrays: dict[str, np.ndarray]
    config: PuzzleHRMConfig
    optimizer: dict[str, Any] | None
    """Hyperparameters of the recorded training run; None in a file of segments."""

    @classmethod
    def read(cls, path: Path) -> GoldenFile:
        """Reads and checks a file.

        Raises:
            DataError: it is missing, or not a golden file.
            ConfigError: its config is not one of ours.
        """
        arrays = _read_arrays(path)
        try:
            meta = json.loads(arrays.pop("meta").item())
            config = {name: value for name, value in meta["config"].items() if name not in _NOT_OURS}
            # The official code has no puzzle embedding by default; a golden run never explores.
            config = {"puzzle_emb_ndim": 0} | config
            config |= {"halt_exploration_prob": 0.0, "loss_type": meta["loss_type"]}
            optimizer = meta.get("optimizer")
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            given = f"missing {error}" if isinstance(error, KeyError) else "unreadable"
            raise DataError(f"{path}: meta", given, "must be JSON with config and loss_type") from None
        return cls(path, arrays, build_config(PuzzleHRMConfig, config, f"{path}: meta.config"), optimizer)

    def model(self) -> PuzzleHRM:
        """The model with the file's weights.

        Raises:
            CheckpointError: the weights do not fit the config.
        """
        model = PuzzleHRM(self.config)
        load_official(model, self.under("state/"), f"{self.path}: state")
        return model

    def array(self, key: str) -> Tensor:
        """One array.

        Raises:
            DataError: there is none, or it does not hold numbers.
        """
        if key not in self.arrays:
            raise DataError(str(self.path), f"no {key}", "must hold every array of its format")
        try:
            return torch.from_numpy(np.array(self.arrays[key]))
        except TypeError:
            raise DataError(f"{self.path}: {key}", str(self.arrays[key].dtype), "must hold numbers") from None

    def under(self, prefix: str) -> dict[str, Tensor]:
        """All arrays whose key starts with the prefix, by the rest of their keys."""
        return {key.removeprefix(prefix): self.array(key) for key in self.arrays if key.startswith(prefix)}

    def batch(self, number: int) -> TensorBatch:
        """`batch{number}`.

        Raises:
            DataError: it is missing, or does not fit the config.
        """
        batch = {name: self.array(f"batch{number}/{name}") for name in BATCH_KEYS}
        config, num_sequences = self.config, len(batch["puzzle_identifiers"].view(-1))
        cells = (num_sequences, config.seq_len)
        self._check(number, "inputs", batch["inputs"], cells, range(config.vocab_size))
        self._check(number, "labels", batch["labels"], cells, {IGNORED_LABEL, *range(config.vocab_size)})
        identifiers = batch["puzzle_identifiers"]
        self._check(
            number, "puzzle_identifiers", identifiers, cells[:1], range(config.num_puzzle_identifiers)
        )
        return batch

    def _check(
        self, number: int, name: str, values: Tensor, shape: tuple[int, ...], allowed: Container[int]
    ) -> None:
        where = f"{self.path}: batch{number}/{name}"
        if values.shape != shape or values.is_floating_point():
            raise DataError(where, f"{values.dtype} {list(values.shape)}", f"must be integers {list(shape)}")
        for value in values.unique().tolist():
            if value not in allowed:
                raise DataError(where, value, "must lie in the range of the config")

    def numbers(self, kind: str) -> list[int]:
        """The numbers n of the groups `{kind}{n}/...`, ascending."""
        found = (re.match(rf"{kind}(\d+)/", key) for key in self.arrays)
        return sorted({int(match[1]) for match in found if match})


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except FileNotFoundError:
        raise DataError(str(path), "no such file", "must be a golden .npz file") from None
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(str(path), type(error).__name__, "must be a golden .npz file") from None


LR_BOUND = 1e-6


def moved_error(ours: Tensor, golden: Tensor, initial: Tensor) -> float:
    """||a - b|| / ||b - initial||; 0 where a = b, infinite where only b has not moved."""
    distance = float((ours.detach().double() - golden.double()).norm())
    moved = float((golden.double() - initial.double()).norm())
    if distance == 0:
        return 0.0
    return distance / moved if moved > 0 else float("inf")


def hold_training(file: GoldenFile) -> Iterator[Group]:
    """Trains our model as the file's was trained and compares: losses, rates, weights.

    Raises:
        UserError: the file lacks an array of its format, or one has another shape than the model asks for.
    """
    rules = _training_rules(file)
    losses, rates = file.array("loss"), file.array("lr")
    for key, values in (("loss", losses), ("lr", rates)):
        check_shape(f"{file.path}: {key}", values, torch.empty(rules.steps))
    snapshots = file.numbers("after")
    if not snapshots or not 1 <= snapshots[0] <= snapshots[-1] <= rules.steps:
        raise DataError(
            str(file.path), f"weights after {snapshots}", f"must lie in 1..total_steps={rules.steps}"
        )
    model = file.model()
    loss_errors, rate_errors, weights = [], [], []
    carry, optimizers = model.initial_carry(file.batch(0)), model.build_optimizers(rules)
    for step in range(1, rules.steps + 1):
        carry, loss, rate = _train_step(model, optimizers, carry, file.batch(step - 1), step, rules)
        loss_errors.append((relative_error(loss, losses[step - 1]), f"step {step}"))
        rate_errors.append(
            (relative_error(torch.tensor(rate, dtype=torch.float64), rates[step - 1]), f"step {step}")
        )
        if step in snapshots:
            weights.append(_hold_weights(file, model, step))
    for name, errors, bound in (
        ("loss", loss_errors, bounds_of(file).step_loss),
        ("lr", rate_errors, LR_BOUND),
    ):
        error, worst = worst_of(errors)
        yield Group(name, worst, error, bound)
    yield from weights


def _training_rules(file: GoldenFile) -> TrainConfig:
    values = dict(file.optimizer or {})
    try:
        values["beta1"], values["beta2"] = values.pop("betas")
        values["steps"] = values.pop("total_steps")
    except (KeyError, TypeError, ValueError):
        raise DataError(f"{file.path}: meta.optimizer", values, "must hold betas and total_steps") from None
    return build_config(TrainConfig, values | {"num_reports": 1}, f"{file.path}: meta.optimizer")


def _train_step(
    model: PuzzleHRM,
    optimizers: list[torch.optim.Optimizer],
    carry: Carry,
    batch: TensorBatch,
    step: int,
    rules: TrainConfig,
) -> tuple[Carry, Tensor, float]:
    """One official training step: the new carry, the loss over the batch size, AdamATan2's learning rate."""
    carry, loss, _ = model.train_segment(carry, batch)
    loss = loss / len(batch["inputs"])
    loss.backward()
    rate = 0.0
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            rate = learning_rate(group["peak_lr"], step, rules.steps, rules.warmup_steps, rules.lr_min_ratio)
            group["lr"] = rate
        optimizer.step()
        optimizer.zero_grad()
    return carry, loss, rate


def _hold_weights(file: GoldenFile, model: PuzzleHRM, step: int) -> Group:
    ours, initial = model.inner.state_dict(), file.under("state/")
    errors = []
    for name, golden in file.under(f"after{step}/").items():
        key = f"after{step}/{name}"
        if name not in ours:
            raise DataError(str(file.path), f"unknown weights {key}", "must be weights of the config's model")
        check_shape(f"{file.path}: {key}", golden, ours[name])
        errors.append((moved_error(ours[name], golden, initial[name]), name))
    error, worst = worst_of(errors)
    return Group(f"weights after {step}", worst, error, bounds_of(file).weights)


SEGMENT_KEYS = ("logits", "q_halt_logits", "q_continue_logits", "loss", "halted", "steps")
METRIC_NAMES = {"accuracy": "cell_accuracy"}
"""Official names of metrics that are not ours."""


def hold(file: GoldenFile) -> Iterator[Group]:
    """Runs our model as the file's was run and compares.

    Raises:
        UserError: the file lacks an array of its format, or one has another shape than the model asks for.
    """
    if file.optimizer is not None:
        yield from hold_training(file)
        return
    segments = file.numbers("train")
    if segments != list(range(len(segments))) or not segments:
        raise DataError(str(file.path), f"segments {segments}", "must hold train0, train1, ... without a gap")
    yield from _hold_segments(file, len(segments))
    evaluated = file.under("eval/")
    if evaluated:
        yield from _hold_evaluation(file, evaluated)


def _hold_segments(file: GoldenFile, num_segments: int) -> Iterator[Group]:
    model = file.model()
    carry = model.initial_carry(file.batch(0))
    for i in range(num_segments):
        model.zero_grad()
        carry, outputs = model.forward_segment(carry, file.batch(i))
        loss, metrics = model.compute_loss(carry, outputs)
        golden = file.under(f"train{i}/")
        for key in SEGMENT_KEYS:
            file.array(f"train{i}/{key}")
        ours = (
            outputs | {"loss": loss, "halted": carry["halted"], "steps": carry["steps"]} | _official(metrics)
        )
        if any(key.startswith("grad/") for key in golden):
            loss.backward()
            ours |= _gradients(model)
        yield from _compare(file, f"train{i}", ours, golden)


def _hold_evaluation(file: GoldenFile, golden: dict[str, Tensor]) -> Iterator[Group]:
    model, batch = file.model(), file.batch(0)
    outputs = model.evaluate_outputs(batch)
    carry = model.initial_carry(batch) | {"data": batch}
    carry["steps"] = carry["steps"] + file.config.halt_max_steps
    _, metrics = model.compute_loss(carry, outputs)
    ours = outputs | _official(metrics) | {"segments": torch.tensor(file.config.halt_max_steps)}
    yield from _compare(file, "eval", ours, golden)


def _official(metrics: dict[str, Tensor]) -> Outputs:
    ours = {official: metrics[name] for official, name in METRIC_NAMES.items()}
    return {f"metric/{name}": value for name, value in (metrics | ours).items()}


def _gradients(model: PuzzleHRM) -> Outputs:
    gradients = {
        f"grad/{name}": torch.zeros_like(p) if p.grad is None else p.grad
        for name, p in model.inner.named_parameters()
    }
    if model.inner.puzzle_emb is not None:
        rows = model.inner.puzzle_emb.local_weights
        assert rows is not None and rows.grad is not None
        gradients["grad/puzzle_emb.local_weights"] = rows.grad
    return gradients


def _compare(file: GoldenFile, segment: str, ours: Outputs, golden: dict[str, Tensor]) -> Iterator[Group]:
    """A group for each kind of golden array; one that we do not give at all is infinitely wrong."""
    bound = bounds_of(file).values
    groups: dict[tuple[str, float], list[tuple[float, str]]] = {}
    for key, expected in golden.items():
        exact = not expected.is_floating_point()
        kind = key.partition("/")[0].removesuffix("_logits")
        if key in ours:
            check_shape(f"{file.path}: {segment}/{key}", expected, ours[key])
            error = float((ours[key] != expected).sum()) if exact else relative_error(ours[key], expected)
        else:
            error = float("inf")
        name = f"{kind} counts" if exact and kind == "metric" else kind
        groups.setdefault((name, 0.0 if exact else bound), []).append((error, key))
    for (name, allowed), errors in groups.items():
        error, worst = worst_of(errors)
        yield Group(f"{segment} {name}", worst, error, allowed)


ABOVE_A_BOUND = 1


def main(arguments: list[str]) -> int:
    """Prints each group's error beside its bound; 1 when one lies above."""
    parser = argparse.ArgumentParser(
        prog="python -m hrm.parity",
        description="Hold the puzzle HRM against golden numbers of the official one.",
        epilog="Exit code 0: every error is within its bound; 1: one is above; 2: a file is at fault.",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.npz")
    num_above = 0
    for file in [GoldenFile.read(path) for path in parser.parse_args(arguments).files]:
        print(file.path)
        for group in hold(file):
            print(f"  {group}")
            num_above += not group.holds
    print(f"{num_above} above the bound" if num_above else "all within their bounds")
    return ABOVE_A_BOUND if num_above else 0


if __name__ == "__main__":
    sys.exit(run_cli(main))
