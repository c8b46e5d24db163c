"""Compare the puzzle HRM with numbers recorded from the official one.

usage: python -m hrm.parity FILE.npz ...

Exit code 0: every error is within its bound; 1: one is above; 2: a file is at fault.

A golden file holds JSON `meta` (`config`, `loss_type`), the weights `state/*`, the batches `batch{i}/*`, and one of

- segments: `train{i}/*`, consecutive ACT segments without exploration and without an optimizer step between them,
  some with gradients, and `eval/*`, the last segment of an evaluation of `batch0`;
- training: `loss` and `lr` of each step and the weights `after{step}/*` of a run by the rules `meta["optimizer"]`.
"""

from __future__ import annotations

import json
import re
import sys
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hrm.config.command_line import asks_for_help, run_cli
from hrm.config.errors import DataError
from hrm.config.schema import build_config
from hrm.config.train_config import TrainConfig
from hrm.data.base import IGNORED_LABEL
from hrm.models.base import TensorBatch
from hrm.models.puzzle.checkpoint_names import load_official
from hrm.models.puzzle.config import PuzzleHRMConfig
from hrm.models.puzzle.model import Outputs, PuzzleHRM
from hrm.training.optimizers import step_optimizers

ABOVE_A_BOUND = 1
_NOT_OURS = ("name", "loss", "batch_size", "causal")
"""Fields of an official config that do not concern our model."""


def main(arguments: list[str]) -> int:
    """Print the error of each group of tensors and its bound; return 1 when one is above, else 0.

    Raises:
        UserError: a file is missing, malformed, or does not fit its own config.
    """
    if asks_for_help(arguments):
        print(__doc__)
        return 0
    num_above = 0
    for file in [GoldenFile.read(Path(name)) for name in arguments]:
        print(file.path)
        for group in compare(file):
            print(f"  {group}")
            num_above += not group.is_within_bound
    print(f"{num_above} above the bound" if num_above else "all within their bounds")
    return ABOVE_A_BOUND if num_above else 0


FLOAT32_BOUNDS = {"values": 1e-4, "step_loss": 1e-3, "weights": 1e-2, "lr": 1e-6}
"""Largest errors allowed: of outputs, losses, metrics and gradients of a segment, max|a - b| / max(max|b|, 1e-6); of
the loss of each training step, relative; of trained weights, ||a - b|| / ||b - initial||, looser because atan2 turns
rounding into steps; of learning rates, relative."""
HALF_BOUNDS = {"values": 0.5, "step_loss": 0.5, "weights": 1.0, "lr": 1e-6}
"""These catch gross faults only: in half precision two correct orders of summing differ by tenths, because the
recurrence and the halting decisions amplify each rounding."""


@dataclass(frozen=True)
class Group:
    """The largest error in a group of tensors."""

    name: str
    error: float
    worst: str
    """The tensor with the largest error."""
    bound: float
    """Largest error allowed; 0 asks for equality, and `error` is then the number of differing entries."""

    @classmethod
    def find_worst(cls, name: str, errors: list[tuple[float, str]], bound: float) -> Group:
        """Return the group whose tensors have these errors; NaN is larger than any other error."""
        error, worst = max(errors, key=lambda pair: (np.isnan(pair[0]), pair[0]))
        return cls(name, error, worst, bound)

    @property
    def is_within_bound(self) -> bool:
        return self.error <= self.bound  # False for NaN

    def __str__(self) -> str:
        verdict = "ok" if self.is_within_bound else "ABOVE THE BOUND"
        return f"{self.name:<24} error {self.error:<9.3g} bound {self.bound:<7.3g} {verdict} ({self.worst})"


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
        """Read and check a file.

        Raises:
            DataError: it is missing, or not a golden file.
            ConfigError: its config is not one of ours.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {key: file[key] for key in file.files}
        except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            given = "no such file" if isinstance(error, FileNotFoundError) else type(error).__name__
            raise DataError(str(path), given, "must be a golden .npz file") from None
        try:
            meta = json.loads(arrays.pop("meta").item())
            # The official code has no puzzle embedding by default; a golden run never explores.
            config = {key: value for key, value in meta["config"].items() if key not in _NOT_OURS}
            config = {"puzzle_emb_ndim": 0} | config
            config |= {"halt_exploration_prob": 0.0, "loss_type": meta["loss_type"]}
            optimizer = meta.get("optimizer")
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            given = f"missing {error}" if isinstance(error, KeyError) else "unreadable"
            raise DataError(f"{path}: meta", given, "must be JSON with config and loss_type") from None
        return cls(path, arrays, build_config(PuzzleHRMConfig, config, f"{path}: meta.config"), optimizer)

    @property
    def bounds(self) -> dict[str, float]:
        """The bounds for the type of the file's forward pass."""
        return FLOAT32_BOUNDS if self.config.forward_dtype == "float32" else HALF_BOUNDS

    def build_model(self) -> PuzzleHRM:
        """Return the model with the file's weights.

        Raises:
            CheckpointError: the weights do not fit the config.
        """
        model = PuzzleHRM(self.config)
        load_official(model, self.get_group("state/"), f"{self.path}: state")
        return model

    def get(self, key: str) -> Tensor:
        """Return one array.

        Raises:
            DataError: there is none, or it does not hold numbers.
        """
        if key not in self.arrays:
            raise self.fault(f"no {key}", "must hold every array of its format")
        if self.arrays[key].dtype.kind not in "biuf":
            raise self.fault(str(self.arrays[key].dtype), "must hold numbers", key)
        return torch.from_numpy(np.array(self.arrays[key]))

    def get_group(self, prefix: str) -> dict[str, Tensor]:
        """Return all arrays whose key starts with the prefix, by the rest of their keys."""
        return {key.removeprefix(prefix): self.get(key) for key in self.arrays if key.startswith(prefix)}

    def get_batch(self, number: int) -> TensorBatch:
        """Return `batch{number}`.

        Raises:
            DataError: it is missing, or does not fit the config.
        """
        config, prefix = self.config, f"batch{number}/"
        num_sequences, tokens = self.get(f"{prefix}puzzle_identifiers").numel(), range(config.vocab_size)
        cells = (num_sequences, config.seq_len)
        expected = {
            "inputs": (cells, set(tokens)),
            "labels": (cells, {IGNORED_LABEL, *tokens}),
            "puzzle_identifiers": ((num_sequences,), set(range(config.num_puzzle_identifiers))),
        }
        batch = {name: self.get(prefix + name) for name in expected}
        for name, (shape, allowed) in expected.items():
            values, key = batch[name], prefix + name
            if values.shape != shape or values.is_floating_point():
                given = f"{values.dtype} {list(values.shape)}"
                raise self.fault(given, f"must be integers {list(shape)}", key)
            if outside := set(values.unique().tolist()) - allowed:
                raise self.fault(min(outside), "must lie in the range of the config", key)
        return batch

    def list_numbers(self, kind: str) -> list[int]:
        """Return the numbers n of the groups `{kind}{n}/...`, ascending."""
        matches = (re.match(rf"{kind}(\d+)/", key) for key in self.arrays)
        return sorted({int(match[1]) for match in matches if match})

    def check_shape(self, key: str, golden: Tensor, shape: torch.Size | list[int]) -> None:
        """Check that an array has the shape that our model asks for.

        Raises:
            DataError: it has another.
        """
        if list(golden.shape) != list(shape):
            raise self.fault(list(golden.shape), f"must have the shape {list(shape)} of our model's", key)

    def fault(self, given: object, rule: str, key: str = "") -> DataError:
        """Return the error for the file, or for one of its arrays."""
        return DataError(f"{self.path}: {key}" if key else str(self.path), given, rule)


def compare(file: GoldenFile) -> Iterator[Group]:
    """Run our model as the official one was run and yield the errors, group by group.

    Raises:
        UserError: the file lacks an array of its format, or one has another shape than the model asks for.
    """
    if file.optimizer is not None:
        yield from _compare_training(file, file.optimizer)
        return
    segments = file.list_numbers("train")
    if not segments or segments != list(range(len(segments))):
        raise file.fault(f"segments {segments}", "must hold train0, train1, ... without a gap")
    yield from _compare_segments(file, len(segments))
    if evaluated := file.get_group("eval/"):
        yield from _compare_evaluation(file, evaluated)


def _compare_segments(file: GoldenFile, num_segments: int) -> Iterator[Group]:
    model = file.build_model()
    carry = model.initial_carry(file.get_batch(0))
    for i in range(num_segments):
        model.zero_grad()
        carry, outputs = model.forward_segment(carry, file.get_batch(i))
        loss, metrics = model.compute_loss(carry, outputs)
        state = {"loss": loss, "halted": carry["halted"], "steps": carry["steps"]}
        ours = outputs | state | _name_metrics(metrics)
        golden = file.get_group(f"train{i}/")
        for key in ("logits", "q_halt_logits", "q_continue_logits", *state):
            file.get(f"train{i}/{key}")
        if any(key.startswith("grad/") for key in golden):
            loss.backward()
            ours |= _get_gradients(model)
        yield from _compare_arrays(file, f"train{i}", ours, golden)


def _compare_evaluation(file: GoldenFile, golden: dict[str, Tensor]) -> Iterator[Group]:
    model, batch, num_segments = file.build_model(), file.get_batch(0), file.config.halt_max_steps
    outputs = model.evaluate_outputs(batch)
    carry = model.initial_carry(batch) | {"data": batch}
    carry["steps"] = carry["steps"] + num_segments
    _, metrics = model.compute_loss(carry, outputs)
    ours = outputs | _name_metrics(metrics) | {"segments": torch.tensor(num_segments)}
    yield from _compare_arrays(file, "eval", ours, golden)


def _name_metrics(metrics: dict[str, Tensor]) -> Outputs:
    metrics = metrics | {"accuracy": metrics["cell_accuracy"]}  # the official name
    return {f"metric/{name}": value for name, value in metrics.items()}


def _get_gradients(model: PuzzleHRM) -> Outputs:
    gradients = {
        f"grad/{name}": torch.zeros_like(p) if p.grad is None else p.grad
        for name, p in model.inner.named_parameters()
    }
    if model.inner.puzzle_emb is not None:
        rows = model.inner.puzzle_emb.local_weights
        assert rows is not None and rows.grad is not None
        gradients["grad/puzzle_emb.local_weights"] = rows.grad
    return gradients


def _compare_arrays(
    file: GoldenFile, segment: str, ours: Outputs, golden: dict[str, Tensor]
) -> Iterator[Group]:
    """Yield a group for each kind of golden array; the error of one that our model does not give is infinite."""
    groups: dict[tuple[str, float], list[tuple[float, str]]] = {}
    for key, expected in golden.items():
        is_exact = not expected.is_floating_point()
        error = float("inf")
        if key in ours:
            file.check_shape(f"{segment}/{key}", expected, ours[key].shape)
            different = (ours[key] != expected).sum()
            error = float(different) if is_exact else _measure_error(ours[key], expected)
        kind = key.partition("/")[0].removesuffix("_logits")
        name = f"{kind} counts" if is_exact and kind == "metric" else kind
        groups.setdefault((name, 0.0 if is_exact else file.bounds["values"]), []).append((error, key))
    for (name, bound), errors in groups.items():
        yield Group.find_worst(f"{segment} {name}", errors, bound)


def _compare_training(file: GoldenFile, recorded: dict[str, Any]) -> Iterator[Group]:
    train = _read_train_config(recorded, f"{file.path}: meta.optimizer")
    golden = {key: file.get(key) for key in ("loss", "lr")}
    for key, values in golden.items():
        file.check_shape(key, values, [train.steps])
    snapshots = file.list_numbers("after")
    if not snapshots or not 1 <= snapshots[0] <= snapshots[-1] <= train.steps:
        raise file.fault(f"weights after {snapshots}", f"must lie in 1..total_steps={train.steps}")
    model = file.build_model()
    carry, optimizers = model.initial_carry(file.get_batch(0)), model.build_optimizers(train)
    errors: dict[str, list[tuple[float, str]]] = {"loss": [], "lr": []}
    weights = []
    for step in range(1, train.steps + 1):
        batch = file.get_batch(step - 1)
        carry, loss, _ = model.train_segment(carry, batch)
        loss = loss / len(batch["inputs"])
        loss.backward()
        step_optimizers(optimizers, train, step)
        # The last optimizer is AdamATan2, whose learning rate was recorded.
        rate = optimizers[-1].param_groups[0]["lr"]
        ours = {"loss": loss, "lr": torch.tensor(rate, dtype=torch.float64)}
        for key, value in ours.items():
            errors[key].append((_measure_error(value, golden[key][step - 1]), f"step {step}"))
        if step in snapshots:
            weights.append(_compare_weights(file, model, step))
    yield Group.find_worst("loss", errors["loss"], file.bounds["step_loss"])
    yield Group.find_worst("lr", errors["lr"], file.bounds["lr"])
    yield from weights


def _read_train_config(recorded: dict[str, Any], where: str) -> TrainConfig:
    try:
        values = recorded | {"num_reports": 1, "steps": recorded["total_steps"]}
        values["beta1"], values["beta2"] = values.pop("betas")
    except (KeyError, TypeError, ValueError):
        raise DataError(where, recorded, "must hold betas and total_steps") from None
    del values["total_steps"]
    return build_config(TrainConfig, values, where)


def _compare_weights(file: GoldenFile, model: PuzzleHRM, step: int) -> Group:
    ours, initial = model.inner.state_dict(), file.get_group("state/")
    errors = []
    for name, golden in file.get_group(f"after{step}/").items():
        key = f"after{step}/{name}"
        if name not in ours:
            raise file.fault(f"unknown weights {key}", "must be weights of the config's model")
        file.check_shape(key, golden, ours[name].shape)
        errors.append((_measure_moved_error(ours[name], golden, initial[name]), name))
    return Group.find_worst(f"weights after {step}", errors, file.bounds["weights"])


def _measure_error(ours: Tensor, golden: Tensor) -> float:
    """Return max|a - b| / max(max|b|, 1e-6)."""
    a, b = ours.detach().double(), golden.double()
    return float((a - b).abs().max() / b.abs().max().clamp(min=1e-6))


def _measure_moved_error(ours: Tensor, golden: Tensor, initial: Tensor) -> float:
    """Return ||a - b|| / ||b - initial||; 0 where a = b, infinite where only b has not moved."""
    distance = float((ours.detach().double() - golden.double()).norm())
    moved = float((golden.double() - initial.double()).norm())
    if distance == 0:
        return 0.0
    return distance / moved if moved > 0 else float("inf")


if __name__ == "__main__":
    sys.exit(run_cli(main))
