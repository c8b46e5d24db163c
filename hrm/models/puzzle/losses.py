"""Cross entropies and accuracies of a puzzle HRM's cells.

Shapes: B sequences, S cells, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from hrm.data.base import IGNORED_LABEL
from hrm.models.layers import softmax_cross_entropy

TokenLoss = Callable[[Tensor, Tensor], Tensor]
"""Logits [..., V] and integer labels [...] to a float32 loss of each label [...], 0 where ignored."""


def stablemax_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross entropy of s(x) / sum(s(x)); s(x) = x + 1 for x >= 0, 1 / (1 - x) below (arXiv 2501.04697).

    The official code needs float64 here; this does not. Arguments and result as in
    `hrm.models.layers.softmax_cross_entropy`.
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


@dataclass(frozen=True)
class Correctness:
    """Which cells of a batch are right.

    Args:
        labelled: cells that have a label, bool [B, S].
        right: labelled cells whose largest logit is the label's, bool [B, S].
    """

    labelled: Tensor
    right: Tensor

    @classmethod
    @torch.no_grad()
    def compare(cls, logits: Tensor, labels: Tensor) -> Correctness:
        """Compare logits [B, S, V] with labels [B, S]."""
        labelled = labels != IGNORED_LABEL
        return cls(labelled, labelled & (logits.argmax(-1) == labels))

    @property
    def num_labels(self) -> Tensor:
        """Labels of each sequence, [B]."""
        return self.labelled.sum(-1)

    @property
    def exact(self) -> Tensor:
        """Sequences without a wrong cell, bool [B]."""
        return self.right.sum(-1) == self.num_labels

    def measure_accuracy(self, cells: Tensor | None = None) -> Tensor:
        """Return the share of right cells of each sequence [B], among `cells` (bool [B, S]) if given.

        It is 1 for a sequence without such cells.
        """
        right, counted = self.right, self.labelled
        if cells is not None:
            right, counted = right & cells, counted & cells
        num_right, num_cells = right.sum(-1), counted.sum(-1)
        return torch.where(num_cells > 0, num_right / num_cells, 1)


@torch.no_grad()
def sum_answer_metrics(correct: Correctness, q_halt: Tensor, counted: Tensor) -> dict[str, Tensor]:
    """Return sums over the sequences `counted` (bool [B]) that have labels.

    They are `count`, `cell_accuracy`, `exact_accuracy` and `q_halt_accuracy`: the halting logit [B] is positive
    or 0 exactly when the answer is exact.
    """
    counted = counted & (correct.num_labels > 0)
    exact = correct.exact
    return {
        "count": counted.sum(),
        "cell_accuracy": torch.where(counted, correct.measure_accuracy(), 0).sum(),
        "exact_accuracy": (counted & exact).sum(),
        "q_halt_accuracy": (counted & ((q_halt >= 0) == exact)).sum(),
    }
