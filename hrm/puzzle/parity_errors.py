"""Errors of our numbers beside golden ones, and how large they may be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor

from hrm.errors import DataError
from hrm.puzzle.golden import GoldenFile


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
