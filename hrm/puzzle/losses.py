"""The losses of a puzzle HRM's cells: cross entropies over stablemax and softmax."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from hrm.losses import softmax_cross_entropy
from hrm.tasks.base import IGNORED_LABEL

TokenLoss = Callable[[Tensor, Tensor], Tensor]
"""Logits [..., V] and integer labels [...] to a float32 loss of each label [...], 0 where ignored."""


def stablemax_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy of s(x) / sum(s(x)); s(x) = x + 1 for x >= 0, 1 / (1 - x) below (arXiv 2501.04697).

    The official code needs float64 here; this does not.

    Arguments and result as `hrm.losses.softmax_cross_entropy`.
    """
    # Each branch sees only its own side of 0: else the gradient of 1 / (1 - x) at x = 1, which `where`
    # multiplies by 0, is infinite and gives NaN.
    x = logits.float()
    scores = torch.where(x < 0, 1 / (1 - x.clamp(max=0)), x.clamp(min=0) + 1)
    counted = labels != IGNORED_LABEL
    index = torch.where(counted, labels, 0).long().unsqueeze(-1)
    log_probability = scores.gather(-1, index).squeeze(-1).log() - scores.sum(-1).log()
    return torch.where(counted, -log_probability, 0)


TOKEN_LOSSES: dict[str, TokenLoss] = {
    "stablemax_cross_entropy": stablemax_cross_entropy,
    "softmax_cross_entropy": softmax_cross_entropy,
}
