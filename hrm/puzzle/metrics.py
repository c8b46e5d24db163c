"""How right the answers are, without gradient. Metrics are sums over sequences, as 0-d tensors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hrm.tasks.base import IGNORED_LABEL


@dataclass(frozen=True)
class Correctness:
    """The right cells of a batch.

    Args:
        labelled: cells that have a label, bool [B, S].
        right: labelled cells whose largest logit is the label's, bool [B, S].
    """

    labelled: Tensor
    right: Tensor

    @classmethod
    @torch.no_grad()
    def of(cls, logits: Tensor, labels: Tensor) -> Correctness:
        """From logits [B, S, V] and labels [B, S]."""
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

    def accuracy(self, cells: Tensor | None = None) -> Tensor:
        """Share of right cells of each sequence [B], among `cells` (bool [B, S]) if given; 1 of none."""
        if cells is None:
            num_right, num_cells = self.right.sum(-1), self.num_labels
        else:
            num_right, num_cells = (self.right & cells).sum(-1), (self.labelled & cells).sum(-1)
        return torch.where(num_cells > 0, num_right / num_cells, 1)


@torch.no_grad()
def answer_metrics(correct: Correctness, q_halt: Tensor, counted: Tensor) -> dict[str, Tensor]:
    """Sums over the sequences `counted` (bool [B]) that have labels.

    `count`, `cell_accuracy`, `exact_accuracy`, and `q_halt_accuracy`: the halting logit [B] is positive or 0
    exactly when the answer is exact.
    """
    counted = counted & (correct.num_labels > 0)
    exact = correct.exact
    return {
        "count": counted.sum(),
        "cell_accuracy": torch.where(counted, correct.accuracy(), 0).sum(),
        "exact_accuracy": (counted & exact).sum(),
        "q_halt_accuracy": (counted & ((q_halt >= 0) == exact)).sum(),
    }
