"""Holds the puzzle HRM against golden numbers of the official one, group by group.

A file of segments holds `train{i}/*`, consecutive ACT segments without exploration and without an optimizer
step between them, some with gradients, and `eval/*`, the last segment of an evaluation of `batch0`. A file of
training holds a run: see `hrm.puzzle.parity_training`.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from hrm.errors import DataError
from hrm.puzzle.golden import GoldenFile
from hrm.puzzle.model import Outputs, PuzzleHRM
from hrm.puzzle.parity_errors import Group, bounds_of, check_shape, relative_error, worst_of
from hrm.puzzle.parity_training import hold_training

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
