"""The schedule of a run: its learning rate, when it validates and when it ends."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hrm.config.errors import ConfigError
from hrm.config.train_config import TrainConfig


def compute_lr(peak: float, step: float, total_steps: int, warmup_steps: int, min_ratio: float) -> float:
    """Return the learning rate: linear warm-up to `peak`, then a cosine down to `peak * min_ratio` at the last step.

    Args:
        step: the optimizer step that is about to be made, counted from 1.

    >>> [compute_lr(1.0, step, total_steps=8, warmup_steps=4, min_ratio=0.2) for step in (1, 4, 6, 8)]
    [0.25, 1.0, 0.6000000000000001, 0.2]
    """
    if step < warmup_steps:
        return peak * step / warmup_steps
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return peak * (min_ratio + (1 - min_ratio) * 0.5 * (1 + math.cos(math.pi * progress)))


@dataclass(frozen=True)
class TrainingSchedule:
    """The schedule of one run, measured in optimizer steps, or in FLOPs where `train.max_flops` is given.

    With `train.max_flops` the run ends before the first step that could exceed it, and validations and learning rate
    follow the FLOPs spent. If all steps cost the same, that is a run of `max_flops // max_flops_per_step` steps.

    Args:
        train: the training config.
        max_flops_per_step: training FLOPs of the most expensive optimizer step possible.

    Raises:
        ConfigError: `train.max_flops` is less than one step for each validation.
    """

    train: TrainConfig
    max_flops_per_step: int

    def __post_init__(self) -> None:
        given, least = self.train.max_flops, self.train.num_reports * self.max_flops_per_step
        if given is not None and given < least:
            rule = f"must be at least {least}, a step for each of train.num_reports={self.train.num_reports}"
            raise ConfigError("train.max_flops", given, rule)

    @property
    def _usable_flops(self) -> int:
        """The FLOPs of `max_flops` that whole steps of the highest cost can spend."""
        assert self.train.max_flops is not None
        return self.train.max_flops - self.train.max_flops % self.max_flops_per_step

    def _get_progress(self, step: int, train_flops: int) -> tuple[int, int]:
        """Return what is done and the total, in steps or in FLOPs."""
        if self.train.max_flops is None:
            return step, self.train.steps
        return train_flops, self._usable_flops

    def has_ended(self, step: int, train_flops: int) -> bool:
        """Check whether the run makes no further step after `step` steps, which have cost `train_flops`."""
        if self.train.max_flops is None:
            return step >= self.train.steps
        return train_flops + self.max_flops_per_step > self.train.max_flops

    def get_next_validation(self, num_made: int, step: int, train_flops: int) -> int:
        """Return the index of the next validation, counted from 1; of several that are due only the last is made."""
        done, total = self._get_progress(step, train_flops)
        num_validations = self.train.num_reports
        return min(max(num_made + 1, done * num_validations // total), num_validations)

    def is_due(self, validation: int, step: int, train_flops: int) -> bool:
        """Check whether the validation of that index is to be made now, at its fraction of the run or at the end."""
        if self.has_ended(step, train_flops):
            return True
        done, total = self._get_progress(step, train_flops)
        num_validations = self.train.num_reports
        return validation < num_validations and done * num_validations >= validation * total

    def get_position(self, step: int, train_flops: int) -> float:
        """Return where the learning rate of the next step is, in steps of `train.steps` counted from 1.

        Args:
            step: steps made so far, which have cost `train_flops`.
        """
        if self.train.max_flops is None:
            return step + 1
        return min(1.0, (train_flops + self.max_flops_per_step) / self._usable_flops) * self.train.steps
