"""Adaptive halting of one layer: which tokens go on, what they hand over, and what it is expected to cost.

Every decision is a token's own and depends on its state alone, by the same rule in training and evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from hrm.models.text.config import TextHRMConfig


def ponder_loss(traces: Sequence[Trace], config: TextHRMConfig) -> Tensor:
    """Expected share of T steps, mean over layers: in 0..1, with gradient to what decides it."""
    total = torch.stack([trace.expected_steps for trace in traces]).sum(0)
    return total / (config.halt_max_steps * len(traces))


def q_loss(traces: Sequence[Trace], nats: Tensor, config: TextHRMConfig) -> Tensor:
    """Binary cross entropies of the Q networks, mean over layers and H updates; 0 where a token had halted.

    Where a token halted, the value of halting is how likely the right next token then was, exp(-nats). Where
    it went on, the value of continuing is the best value at its next H update (the value of halting at the
    last). Both targets lie in 0..1, so the term stays small beside the language loss.
    """
    right = torch.exp(-nats.detach())
    terms = []
    for trace in traces:
        for k, (q, running, halting) in enumerate(zip(trace.q_values, trace.running, trace.halting)):
            is_last = k + 1 == len(trace.q_values)
            target = right if is_last else torch.where(halting, right, _worth(trace, k + 1, config))
            value = torch.where(halting, q[..., HALT], q[..., CONTINUE])
            terms.append(F.binary_cross_entropy_with_logits(value, target, reduction="none") * running)
    return torch.stack(terms).sum(0) / (config.num_H_updates * len(traces))


def _worth(trace: Trace, k: int, config: TextHRMConfig) -> Tensor:
    """What it is worth to have gone on to H update k, as a probability [B, S]."""
    values = trace.q_values[k].detach()
    best = values[..., HALT] if k + 1 == config.num_H_updates else values.amax(-1)
    return best.sigmoid()


CONTINUE, HALT = 0, 1
"""Places of the two values in a Q network's output."""


@dataclass
class Trace:
    """How the tokens [B, S] of one layer halted.

    Attributes:
        expected_steps: steps weighted by the output that each hands over, float32, with gradient.
        steps: steps that each token made, int64.
        num_updates: H updates that were executed, for the token that went on longest.
        q_values: at each H update [B, S, 2]; the last update's only under autograd.
        running, halting: which tokens arrived at each H update running, and which of them halted there.
    """

    expected_steps: Tensor
    steps: Tensor
    num_updates: int = 0
    q_values: list[Tensor] = field(default_factory=list)
    running: list[Tensor] = field(default_factory=list)
    halting: list[Tensor] = field(default_factory=list)


class Halting:
    """The tokens of one layer while it runs.

    At its k-th H update a token hands over a share of its output, its state z_H weighted by
    lambda_k * (1 - lambda_1) ... (1 - lambda_{k-1}). It halts when what is left to hand over is at most
    `halt_epsilon`, or at step T; what is left then goes with the state it halts in, so that shares add up to 1.

    lambda = sigmoid(h + Q_halt - Q_continue): h is the halting head's logit, the Q values are probabilities.
    What the Q network says moves the logit by less than 1, so that a young one cannot end all thinking.

    Args:
        x: the layer's input [B, S, d].

    Attributes:
        output: shares of states handed over so far, [B, S, d].
    """

    def __init__(self, config: TextHRMConfig, x: Tensor) -> None:
        self.config = config
        self.output = torch.zeros_like(x)
        shape, device = x.shape[:2], x.device
        self._left = torch.ones(shape, dtype=torch.float32, device=device)
        self._running = torch.ones(shape, dtype=torch.bool, device=device)
        self.trace = Trace(
            expected_steps=torch.zeros(shape, dtype=torch.float32, device=device),
            steps=torch.zeros(shape, dtype=torch.int64, device=device),
        )

    def keep(self, old: Tensor, new: Tensor) -> Tensor:
        """The new state of running tokens, the old one of halted tokens; [B, S, d]."""
        if self.trace.num_updates == 0:
            return new
        return torch.where(self._running.unsqueeze(-1), new, old)

    def update(
        self,
        step: int,
        z_H: Tensor,
        halt_head: Callable[[Tensor], Tensor],
        q_network: Callable[[Tensor], Tensor],
    ) -> bool:
        """Takes shares of the new z_H; returns whether every token has halted.

        The Q network sees z_H without gradient: its loss trains it and nothing else.
        """
        is_last = step == self.config.halt_max_steps
        running, trace = self._running, self.trace
        if not is_last or torch.is_grad_enabled():
            trace.q_values.append(q_network(z_H.detach()))
        if is_last:
            halting, share = running, self._left
        else:
            halting, share = self._decide(halt_head(z_H).squeeze(-1), trace.q_values[-1].detach())
        self.output = self.output + share.to(z_H.dtype).unsqueeze(-1) * z_H
        self._left = self._left - share
        trace.expected_steps = trace.expected_steps + step * share
        trace.steps = torch.where(halting, step, trace.steps)
        trace.running.append(running)
        trace.halting.append(halting)
        trace.num_updates += 1
        self._running = running & ~halting
        return is_last or not bool(self._running.any())

    def _decide(self, halt_logit: Tensor, q_values: Tensor) -> tuple[Tensor, Tensor]:
        """Which tokens halt, and the share of output that each hands over; both [B, S]."""
        chances = q_values.sigmoid()
        advantage = chances[..., HALT] - chances[..., CONTINUE]
        share = self._left * (halt_logit + advantage).sigmoid()
        halting = self._running & (self._left - share <= self.config.halt_epsilon)
        return halting, torch.where(halting, self._left, share)
