"""A short training run against the losses it had when they were recorded.

Make them again, after a change that is meant to move them, with `python tests/hrm/test_golden_curve.py`.
On the CPU that recorded them the losses repeat bit for bit, with any number of threads. Older instruction sets
(`ATEN_CPU_CAPABILITY=default`) moved them by 1.3e-6, a learning rate 1% higher by 1e-2: the tolerance is 1e-4.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hrm.config.run_config import RunConfig
from hrm.data.registry import open_task
from hrm.training.trainer import Trainer

CURVE = Path(__file__).parents[2] / "golden" / "loss_curve.json"
CONFIG = {
    "task": {"name": "sudoku4", "train_puzzles": 40, "valid_puzzles": 12, "test_puzzles": 12},
    "model": {
        "hidden_size": 32,
        "num_heads": 4,
        "H_layers": 1,
        "L_layers": 2,
        "mlp_multiple": 32,
        "halt_max_steps": 4,
        "forward_dtype": "float32",
    },
    "train": {"steps": 40, "batch_size": 16, "num_reports": 8, "lr": 3e-3, "lr_min_ratio": 0.1, "ema": 0.9},
    "seed": 0,
    "device": "cpu",
    "threads": 1,
}


def curve() -> dict[str, list[float | None]]:
    """Losses of the run's reports."""
    config = RunConfig.from_dict(CONFIG)
    trainer = Trainer(config, open_task(config.task))
    reports = [trainer.train_to_next_validation() for _ in range(config.train.num_reports)]
    names = ("train/loss", "train/lm_loss", "train/q_halt_loss", "valid/loss")
    return {name: [report.metrics[name] for report in reports] for name in names}


@pytest.mark.usefixtures("data_cache")
def test_losses_are_the_recorded_ones() -> None:
    measured = curve()
    for name, losses in json.loads(CURVE.read_text()).items():
        assert measured[name] == pytest.approx(losses, rel=1e-4), name


if __name__ == "__main__":
    CURVE.write_text(json.dumps(curve(), indent=1) + "\n")
