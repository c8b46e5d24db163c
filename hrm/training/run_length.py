"""How long a run is: in optimizer steps, or in training FLOPs where the data decide what a step costs."""

from __future__ import annotations

from dataclasses import dataclass

from hrm.config.errors import ConfigError
from hrm.config.train_config import TrainConfig


@dataclass(frozen=True)
class RunLength:
    """When a run ends, when it reports, and how far its schedule has got.

    Under `train.max_flops` the run ends before the first step that could exceed it, and everything follows
    the FLOPs spent; where all steps cost the same that is a run of `max_flops // most_flops_per_step` steps.

    Args:
        train: the training rules.
        most_flops_per_step: training FLOPs that an optimizer step can cost at most.

    Raises:
        ConfigError: `train.max_flops` leaves less than a step for each report.
    """

    train: TrainConfig
    most_flops_per_step: int

    def __post_init__(self) -> None:
        given, least = self.train.max_flops, self.train.num_reports * self.most_flops_per_step
        if given is not None and given < least:
            raise ConfigError(
                "train.max_flops", given,
                f"must be at least {least}, a step for each of train.num_reports={self.train.num_reports}",
            )  # fmt: skip

    @property
    def _usable(self) -> int:
        """What whole steps of the greatest cost can spend of `max_flops`."""
        assert self.train.max_flops is not None
        return self.train.max_flops - self.train.max_flops % self.most_flops_per_step

    def has_ended(self, step: int, train_flops: int) -> bool:
        """Whether the run makes no further step, after `step` steps that have cost `train_flops`."""
        if self.train.max_flops is None:
            return step >= self.train.steps
        return train_flops + self.most_flops_per_step > self.train.max_flops

    def get_next_validation(self, reports_made: int, step: int, train_flops: int) -> int:
        """The index of the report to make next; reports that have been passed are left out."""
        num_reports = self.train.num_reports
        if self.train.max_flops is None:
            steps = self.train.list_report_steps()
            return next(i for i, at in enumerate(steps, 1) if i > reports_made and at >= step)
        passed = train_flops * num_reports // self._usable
        return min(max(reports_made + 1, passed), num_reports)

    def is_due(self, report: int, step: int, train_flops: int) -> bool:
        """Whether the report of that index is to be made now."""
        if self.train.max_flops is None:
            return step >= self.train.list_report_steps()[report - 1]
        if self.has_ended(step, train_flops):
            return True
        num_reports = self.train.num_reports
        return report < num_reports and train_flops * num_reports >= report * self._usable

    def schedule_step(self, step: int, train_flops: int) -> float:
        """The step about to be made, counted from 1, as the learning rate's schedule over `train.steps` sees it."""
        if self.train.max_flops is None:
            return step + 1
        return min(1.0, (train_flops + self.most_flops_per_step) / self._usable) * self.train.steps
