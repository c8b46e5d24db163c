"""The counts of a model: parameters, FLOPs and bytes, computed from its config alone.

Convention: a multiply-add is two FLOPs; matrix products only (projections, attention scores and mix, head);
no elementwise operations, no optimizer, no recompute; the backward of a differentiated call costs twice its
forward where inputs need gradients (as `torch.utils.flop_counter` counts under the math attention kernel).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Exact counts of one model at one batch size."""

    trainable_params: int
    """Parameters that the dense optimizer trains."""
    puzzle_embedding_params: int
    """Parameters that the sparse optimizer trains."""
    buffers: int
    """Numbers stored but not trained (initial states), saved in a checkpoint."""
    flops_per_step: int
    """Training FLOPs of one optimizer step: no-grad steps, extra Q forward and backward as executed."""
    eval_flops_per_batch: int
    """FLOPs to evaluate one batch of the same size (`halt_max_steps` segments)."""
    weight_bytes: int
    gradient_bytes: int
    optimizer_bytes: int
    activation_bytes: int

    @property
    def params(self) -> int:
        """The parameters that a budget bounds: trainable plus puzzle embedding."""
        return self.trainable_params + self.puzzle_embedding_params

    @property
    def total_bytes(self) -> int:
        return self.weight_bytes + self.gradient_bytes + self.optimizer_bytes + self.activation_bytes
