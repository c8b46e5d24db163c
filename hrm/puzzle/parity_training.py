"""Holds the official optimizers' training run, recorded in a golden file, against ours.

The file holds `loss` and `lr` of each step, and `after{n}/*`, the weights after n steps.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from hrm import config as reader
from hrm.errors import DataError
from hrm.model import Carry, TensorBatch
from hrm.optim import learning_rate
from hrm.puzzle.golden import GoldenFile
from hrm.puzzle.model import PuzzleHRM
from hrm.puzzle.parity_errors import Group, bounds_of, check_shape, relative_error, worst_of
from hrm.train_config import TrainConfig

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
        check_shape(f"{file.path}: {key}", golden, ours[name])
        errors.append((moved_error(ours[name], golden, initial[name]), name))
    error, worst = worst_of(errors)
    return Group(f"weights after {step}", worst, error, bounds_of(file).weights)
