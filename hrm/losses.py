"""The cross entropy that every family may train on, in float32 on every device."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from hrm.tasks.base import IGNORED_LABEL


def softmax_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Nats of each label under the softmax.

    Args:
        logits: [..., V], any floating type.
        labels: [...], integers in 0..V-1, or IGNORED_LABEL.

    Returns:
        Losses [...], float32, 0 where the label is ignored.
    """
    flat = F.cross_entropy(
        logits.float().flatten(0, -2), labels.long().flatten(), ignore_index=IGNORED_LABEL, reduction="none"
    )
    return flat.view(labels.shape)
