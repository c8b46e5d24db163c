"""How many optimizer steps a model may make, so that all trials spend the same training compute."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Compute:
    """The training compute of every trial.

    Args:
        steps: `train.steps`: the steps of the reference under equal FLOPs, of everyone under equal steps.
        num_reports: validations of a trial; each needs at least one step of its own.
        allowance: training FLOPs that a trial may spend; None under equal steps.
    """

    steps: int
    num_reports: int
    allowance: int | None

    def steps_for(self, flops_per_step: int) -> int:
        """The largest whole number of steps within the allowance; may be too few to train (see `misfit`)."""
        return self.steps if self.allowance is None else self.allowance // flops_per_step

    @property
    def most_flops_per_step(self) -> int | None:
        """The costliest step that still leaves one step for each report; None: any."""
        return None if self.allowance is None else self.allowance // self.num_reports

    def misfit(self, flops_per_step: int) -> str | None:
        """Why a model cannot be trained within the allowance; None when it can."""
        most = self.most_flops_per_step
        if most is None or flops_per_step <= most:
            return None
        steps = self.steps_for(flops_per_step)
        word = "step" if steps == 1 else "steps"
        return f"has only {steps:,} {word} at equal compute, below train.num_reports={self.num_reports}"
