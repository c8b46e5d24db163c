"""What a text HRM's loss adds to the cross entropy, token by token [B, S], in float32."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from hrm.text.config import TextHRMConfig
from hrm.text.halting import CONTINUE, HALT, Trace


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
