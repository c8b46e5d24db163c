"""Holds the puzzle HRM against golden numbers of the official one, group by group.

A file of segments holds `train{i}/*`, consecutive ACT segments without exploration and without an optimizer
step between them, some with gradients, and `eval/*`, the last segment of an evaluation of `batch0`. A file of
training holds a run of the official optimizers: `loss` and `lr` of each step, and `after{n}/*`, the weights
after n steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from hrm import config as reader
from hrm.errors import DataError
from hrm.model import Carry, TensorBatch
from hrm.optim import learning_rate
from hrm.puzzle.golden import GoldenFile
from hrm.puzzle.model import Outputs, PuzzleHRM
from hrm.train_config import TrainConfig


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
LR_BOUND = 1e-6
SEGMENT_KEYS = ("logits", "q_halt_logits", "q_continue_logits", "loss", "halted", "steps")
METRIC_NAMES = {"accuracy": "cell_accuracy"}
"""Official names of metrics that are not ours."""


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


def moved_error(ours: Tensor, golden: Tensor, initial: Tensor) -> float:
    """||a - b|| / ||b - initial||; 0 where a = b, infinite where only b has not moved."""
    distance = float((ours.detach().double() - golden.double()).norm())
    moved = float((golden.double() - initial.double()).norm())
    if distance == 0:
        return 0.0
    return distance / moved if moved > 0 else float("inf")


def hold(file: GoldenFile) -> Iterator[Group]:
    """Runs our model as the file's was run and compares.

    Raises:
        UserError: the file lacks an array of its format, or one has another shape than the model asks for.
    """
    if file.optimizer is not None:
        yield from _hold_training(file)
        return
    segments = file.numbers("train")
    if segments != list(range(len(segments))) or not segments:
        raise DataError(str(file.path), f"segments {segments}", "must hold train0, train1, ... without a gap")
    yield from _hold_segments(file, len(segments))
    evaluated = file.under("eval/")
    if evaluated:
        yield from _hold_evaluation(file, evaluated)


def _bounds(file: GoldenFile) -> Bounds:
    return FLOAT32_BOUNDS if file.config.forward_dtype == "float32" else HALF_BOUNDS


def _hold_segments(file: GoldenFile, num_segments: int) -> Iterator[Group]:
    model = file.model()
    carry = model.initial_carry(file.batch(0))
    for i in range(num_segments):
        model.zero_grad()
        carry, outputs = model.forward_segment(carry, file.batch(i))
        loss, metrics = model.loss(carry, outputs)
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
    outputs = model.evaluation_outputs(batch)
    carry = model.initial_carry(batch) | {"data": batch}
    carry["steps"] = carry["steps"] + file.config.halt_max_steps
    _, metrics = model.loss(carry, outputs)
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
    bound = _bounds(file).values
    groups: dict[tuple[str, float], list[tuple[float, str]]] = {}
    for key, expected in golden.items():
        exact = not expected.is_floating_point()
        kind = key.partition("/")[0].removesuffix("_logits")
        if key in ours:
            _check_shape(f"{file.path}: {segment}/{key}", expected, ours[key])
            error = float((ours[key] != expected).sum()) if exact else relative_error(ours[key], expected)
        else:
            error = float("inf")
        name = f"{kind} counts" if exact and kind == "metric" else kind
        groups.setdefault((name, 0.0 if exact else bound), []).append((error, key))
    for (name, allowed), errors in groups.items():
        error, worst = _worst(errors)
        yield Group(f"{segment} {name}", worst, error, allowed)


def _worst(errors: Iterable[tuple[float, str]]) -> tuple[float, str]:
    """The largest error; NaN is larger than any."""
    return max(errors, key=lambda pair: float("inf") if pair[0] != pair[0] else pair[0])


def _check_shape(where: str, golden: Tensor, ours: Tensor) -> None:
    if golden.shape != ours.shape:
        raise DataError(where, list(golden.shape), f"must have the shape {list(ours.shape)} of our model's")


def _hold_training(file: GoldenFile) -> Iterator[Group]:
    rules = _training_rules(file)
    losses, rates = file.array("loss"), file.array("lr")
    for key, values in (("loss", losses), ("lr", rates)):
        _check_shape(f"{file.path}: {key}", values, torch.empty(rules.steps))
    snapshots = file.numbers("after")
    if not snapshots or not 1 <= snapshots[0] <= snapshots[-1] <= rules.steps:
        raise DataError(
            str(file.path), f"weights after {snapshots}", f"must lie in 1..total_steps={rules.steps}"
        )
    model = file.model()
    loss_errors, rate_errors, weights = [], [], []
    carry, optimizers = model.initial_carry(file.batch(0)), model.optimizers(rules)
    for step in range(1, rules.steps + 1):
        carry, loss, rate = _train_step(model, optimizers, carry, file.batch(step - 1), step, rules)
        loss_errors.append((relative_error(loss, losses[step - 1]), f"step {step}"))
        rate_errors.append(
            (relative_error(torch.tensor(rate, dtype=torch.float64), rates[step - 1]), f"step {step}")
        )
        if step in snapshots:
            weights.append(_hold_weights(file, model, step))
    for name, errors, bound in (
        ("loss", loss_errors, _bounds(file).step_loss),
        ("lr", rate_errors, LR_BOUND),
    ):
        error, worst = _worst(errors)
        yield Group(name, worst, error, bound)
    yield from weights


def _training_rules(file: GoldenFile) -> TrainConfig:
    values = dict(file.optimizer or {})
    try:
        values["beta1"], values["beta2"] = values.pop("betas")
        values["steps"] = values.pop("total_steps")
    except (KeyError, TypeError, ValueError):
        raise DataError(f"{file.path}: meta.optimizer", values, "must hold betas and total_steps") from None
    return reader.build(TrainConfig, values | {"num_reports": 1}, f"{file.path}: meta.optimizer")


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
        _check_shape(f"{file.path}: {key}", golden, ours[name])
        errors.append((moved_error(ours[name], golden, initial[name]), name))
    error, worst = _worst(errors)
    return Group(f"weights after {step}", worst, error, _bounds(file).weights)
