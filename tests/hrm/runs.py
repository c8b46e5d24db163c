"""What tests of trainers share."""

from __future__ import annotations

import torch

from hrm.training.progress import Validation
from hrm.training.trainer import Trainer


def all_reports(trainer: Trainer) -> list[Validation]:
    """Trains to the end."""
    reports = []
    while not trainer.finished:
        reports.append(trainer.train_to_next_validation())
    return reports


def same_weights(a: Trainer, b: Trainer) -> bool:
    ours, theirs = a.model.state_dict(), b.model.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
