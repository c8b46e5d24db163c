"""Adaptive halting of one layer: which tokens continue, their outputs, and the losses of halting.

Every decision belongs to one token and depends on its state alone, by the same rule in training and evaluation.
Shapes: B sequences, S tokens, d width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from hrm.models.text.config import TextHRMConfig

CONTINUE, HALT = 0, 1
"""Places of the two values in a Q network's output."""


@dataclass
class HaltingTrace:
    """How the tokens [B, S] of one layer halted.

    Attributes:
        expected_steps: steps weighted by the share of the output that each contributes, float32, with gradient.
        steps: steps that each token made, int64.
        num_updates: H updates that were executed, for the token that continued longest.
        q_values: at each H update [B, S, 2]; the last update's only under autograd.
        running, halting: which tokens arrived at each H update running, and which of them halted there.
    """

    expected_steps: Tensor
    steps: Tensor
    num_updates: int = 0
    q_values: list[Tensor] = field(default_factory=list)
    running: list[Tensor] = field(default_factory=list)
    halting: list[Tensor] = field(default_factory=list)


class HaltingState:
    """The tokens of one layer while it runs.

    At its k-th H update a token adds a share of its state z_H to its output: lambda_k * (1 - lambda_1) ...
    (1 - lambda_{k-1}). It halts when the remaining share is at most `halt_epsilon`, or at step T; the remaining
    share then goes to the state in which it halts, so that shares add up to 1.

    lambda = sigmoid(h + Q_halt - Q_continue): h is the halting head's logit, the Q values are probabilities.
    So the Q network moves the logit by less than 1, and an untrained one cannot end all computation.

    Args:
        config: the model's.
        x: the layer's input [B, S, d].

    Attributes:
        output: sum of the states weighted by their shares so far, [B, S, d].
        trace: how the tokens have halted so far.
    """

    def __init__(self, config: TextHRMConfig, x: Tensor) -> None:
        self.config = config
        self.output = torch.zeros_like(x)
        shape, device = x.shape[:2], x.device
        self._remaining = torch.ones(shape, dtype=torch.float32, device=device)
        self._running = torch.ones(shape, dtype=torch.bool, device=device)
        self.trace = HaltingTrace(
            expected_steps=torch.zeros(shape, dtype=torch.float32, device=device),
            steps=torch.zeros(shape, dtype=torch.int64, device=device),
        )

    def keep_halted(self, old: Tensor, new: Tensor) -> Tensor:
        """Return the new state of running tokens and the old one of halted tokens; [B, S, d]."""
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
        """Add a share of the new z_H [B, S, d] to the output; return whether every token has halted.

        The Q network sees z_H without gradient: its loss trains it and nothing else.
        """
        is_last = step == self.config.halt_max_steps
        running, trace = self._running, self.trace
        if not is_last or torch.is_grad_enabled():
            trace.q_values.append(q_network(z_H.detach()))
        if is_last:
            halting, share = running, self._remaining
        else:
            halting, share = self._decide(halt_head(z_H).squeeze(-1), trace.q_values[-1].detach())
        self.output = self.output + share.to(z_H.dtype).unsqueeze(-1) * z_H
        self._remaining = self._remaining - share
        trace.expected_steps = trace.expected_steps + step * share
        trace.steps = torch.where(halting, step, trace.steps)
        trace.running.append(running)
        trace.halting.append(halting)
        trace.num_updates += 1
        self._running = running & ~halting
        return is_last or not bool(self._running.any())

    def _decide(self, halt_logit: Tensor, q_values: Tensor) -> tuple[Tensor, Tensor]:
        """Return which tokens halt, and the share of the output that each contributes; both [B, S]."""
        probabilities = q_values.sigmoid()
        advantage = probabilities[..., HALT] - probabilities[..., CONTINUE]
        share = self._remaining * (halt_logit + advantage).sigmoid()
        halting = self._running & (self._remaining - share <= self.config.halt_epsilon)
        return halting, torch.where(halting, self._remaining, share)


def compute_ponder_loss(traces: Sequence[HaltingTrace], config: TextHRMConfig) -> Tensor:
    """Return the expected share of T steps of each token [B, S], mean over layers: in 0..1, with gradient."""
    total = torch.stack([trace.expected_steps for trace in traces]).sum(0)
    return total / (config.halt_max_steps * len(traces))


def compute_q_loss(traces: Sequence[HaltingTrace], nats: Tensor, config: TextHRMConfig) -> Tensor:
    """Return the binary cross entropies of the Q networks [B, S], mean over layers and H updates.

    Where a token halted, the target for the value of halting is the probability of the right next token,
    exp(-nats). Where it continued, the target for the value of continuing is the best value at its next H update
    (the value of halting at the last). Both targets lie in 0..1, so the term is small next to the language loss.
    It is 0 at H updates that a token did not reach.

    Args:
        traces: of each layer.
        nats: cross entropy of each token's label, [B, S].
        config: the model's.
    """
    right = torch.exp(-nats.detach())
    terms = []
    for trace in traces:
        for k, (q, running, halting) in enumerate(zip(trace.q_values, trace.running, trace.halting)):
            is_last = k + 1 == len(trace.q_values)
            target = right if is_last else torch.where(halting, right, _estimate_value(trace, k + 1, config))
            value = torch.where(halting, q[..., HALT], q[..., CONTINUE])
            terms.append(F.binary_cross_entropy_with_logits(value, target, reduction="none") * running)
    return torch.stack(terms).sum(0) / (config.num_H_updates * len(traces))


def _estimate_value(trace: HaltingTrace, k: int, config: TextHRMConfig) -> Tensor:
    """Return the best value at H update k as a probability [B, S]."""
    values = trace.q_values[k].detach()
    best = values[..., HALT] if k + 1 == config.num_H_updates else values.amax(-1)
    return best.sigmoid()
