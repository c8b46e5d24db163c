"""Adaptive computation time: which sequences take new data, which halt, and what continuing is worth."""

from __future__ import annotations

import torch
from torch import Tensor

from hrm.model import TensorBatch
from hrm.puzzle.config import PuzzleHRMConfig


def refill(data: TensorBatch, batch: TensorBatch, halted: Tensor) -> TensorBatch:
    """The sequences being worked on: halted slots (bool [B]) take theirs from the fresh `batch`."""
    return {
        name: torch.where(halted.view(-1, *[1] * (fresh.ndim - 1)), fresh, data[name])
        for name, fresh in batch.items()
    }


def halting(
    q_halt: Tensor,
    q_continue: Tensor,
    steps: Tensor,
    config: PuzzleHRMConfig,
    generator: torch.Generator | None,
) -> Tensor:
    """Which sequences halt after this training segment.

    A sequence halts at `halt_max_steps`, or before when halting is worth more than continuing (without
    `config.q_continue`: when its own logit is positive), but not below an explored minimum: with probability
    `halt_exploration_prob` one in 2..`halt_max_steps`, drawn anew each segment.

    Args:
        q_halt, q_continue: logits, float32 [B].
        steps: segments made, this one included, integers [B].
        generator: source of exploration.

    Returns:
        bool [B].
    """
    last = steps >= config.halt_max_steps
    if config.halt_max_steps == 1:
        return last
    wants_to = q_halt > q_continue if config.q_continue else q_halt > 0
    if config.halt_exploration_prob > 0:
        explores = (
            torch.rand(q_halt.shape, generator=generator, device=q_halt.device) < config.halt_exploration_prob
        )
        minimum = torch.randint(
            2,
            config.halt_max_steps + 1,
            steps.shape,
            generator=generator,
            dtype=steps.dtype,
            device=steps.device,
        )
        wants_to = wants_to & (steps >= explores * minimum)
    return last | wants_to


def continue_target(next_q_halt: Tensor, next_q_continue: Tensor, last: Tensor) -> Tensor:
    """What continuing should be worth, as a probability [B]: the best choice one segment later.

    Sequences on their `last` segment can only halt. Q-learning without replay, as in arXiv 2407.04811.
    """
    return torch.where(last, next_q_halt, torch.maximum(next_q_halt, next_q_continue)).sigmoid()
