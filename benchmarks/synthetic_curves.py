"""Learning curves by formula, for tests and benchmarks of the search: no result is ever made of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sweeps.events import Job, Validation


@dataclass(frozen=True)
class SyntheticCurves:
    """A world with one best shape and learning rate, drawn from `world`; call it for a job's report.

    Accuracy rises towards the configuration's ceiling with the fraction of the run, and carries noise that
    depends on configuration, seed and report alone. Every run takes ten seconds, whatever its shape.

    Args:
        world: decides where the best is: 1 to 5 H layers and L layers, lr from 2e-4 to 5e-3.
        noise: standard deviation of a report.
    """

    world: int
    noise: float = 0.01

    def compute_ceiling(self, job: Job) -> float:
        """Return the configuration's accuracy after endless training, without noise; 0 to 1."""
        best_H, best_L, best_log_lr = self._draw_best()
        model, train = job.run.model, job.run.train
        shape = 0.12 * (model.H_layers - best_H) ** 2 + 0.08 * (model.L_layers - best_L) ** 2
        return math.exp(-shape - 0.6 * (math.log10(train.lr) - best_log_lr) ** 2)

    def __call__(self, job: Job, index: int) -> Validation:
        """Return the job's validation at an index, from 1."""
        train = job.run.train
        fraction = index / train.num_reports
        accuracy = self.compute_ceiling(job) * (1 - math.exp(-3 * fraction)) + self._draw_noise(job, index)
        scores = {"blank_accuracy": accuracy, "exact_accuracy": accuracy**2, "loss": 1 - accuracy}
        splits = ["valid", *(["test"] if job.read_test and index == train.num_reports else [])]
        step = train.list_report_steps()[index - 1]
        return Validation(
            index=index,
            step=step,
            train_flops=step * job.flops_per_step,
            train_seconds=9 * fraction,
            eval_seconds=fraction,
            metrics={f"{split}/{name}": score for split in splits for name, score in scores.items()},
        )

    def _draw_best(self) -> tuple[float, float, float]:
        rng = np.random.default_rng(self.world)
        return rng.uniform(1, 5), rng.uniform(1, 5), rng.uniform(-3.7, -2.3)

    def _draw_noise(self, job: Job, index: int) -> float:
        model, train = job.run.model, job.run.train
        entropy = [self.world, model.H_layers, model.L_layers, round(train.lr * 1e9), job.run.seed, index]
        return float(np.random.default_rng(entropy).normal(0, self.noise))
