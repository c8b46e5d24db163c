"""Cross entropies over stablemax and softmax, in float32 on every device."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from hrm.tasks.base import IGNORED_LABEL

TokenLoss = Callable[[Tensor, Tensor], Tensor]
"""Logits [..., V] and integer labels [...] to a float32 loss of each label [...], 0 where ignored."""


def stablemax_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy of s(x) / sum(s(x)); s(x) = x + 1 for x >= 0, 1 / (1 - x) below (arXiv 2501.04697).

    The official code needs float64 here; this does not.

    Args:
        logits: [..., V], any floating type.
        labels: [...], integers in 0..V-1, or IGNORED_LABEL.

    Returns:
        Losses [...], float32, 0 where the label is ignored.
    """
    # Each branch sees only its own side of 0: else the gradient of 1 / (1 - x) at x = 1, which `where`
    # multiplies by 0, is infinite and gives NaN.
    x = logits.float()
    scores = torch.where(x < 0, 1 / (1 - x.clamp(max=0)), x.clamp(min=0) + 1)
    counted = labels != IGNORED_LABEL
    index = torch.where(counted, labels, 0).long().unsqueeze(-1)
    log_probability = scores.gather(-1, index).squeeze(-1).log() - scores.sum(-1).log()
    return torch.where(counted, -log_probability, 0)


def softmax_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy of the softmax; arguments and result as `stablemax_cross_entropy`."""
    flat = F.cross_entropy(
        logits.float().flatten(0, -2), labels.long().flatten(), ignore_index=IGNORED_LABEL, reduction="none"
    )
    return flat.view(labels.shape)


TOKEN_LOSSES: dict[str, TokenLoss] = {
    "stablemax_cross_entropy": stablemax_cross_entropy,
    "softmax_cross_entropy": softmax_cross_entropy,
}
