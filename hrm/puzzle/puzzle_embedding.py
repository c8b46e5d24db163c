"""The learned embedding of each puzzle identifier, trained by `hrm.optim.SparseSignSGD`."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PuzzleEmbedding(nn.Module):
    """A table of one row a puzzle, zero at first. Only the rows in a batch get a gradient.

    The table may be far larger than the model, so a batch's rows are copied to a leaf of their own:
    `local_weights` [B, ndim] with its `.grad`, and `local_ids` [B], both of the last lookup under autograd.
    """

    weights: Tensor

    def __init__(self, num_puzzles: int, ndim: int) -> None:
        super().__init__()
        self.register_buffer("weights", torch.zeros(num_puzzles, ndim))
        self.local_weights: Tensor | None = None
        self.local_ids: Tensor | None = None

    def forward(self, ids: Tensor) -> Tensor:
        """Rows [B, ndim], float32, of the puzzle identifiers [B]."""
        rows = self.weights[ids]
        if torch.is_grad_enabled():
            self.local_ids, self.local_weights = ids, rows.requires_grad_()
        return rows
