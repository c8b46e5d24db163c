"""Milliseconds of one training step: `python benchmarks/train_step.py --sizes tiny_demo small_sudoku`.

A step is all that the trainer does of it: batch to the device, forward, backward, schedule, optimizers,
metrics, a look at finiteness. Random 9x9-shaped data (vocabulary 11, 81 cells). One CPU thread unless
`--threads` says otherwise. The settings of one size take turns, so that a busy machine is unfair to none.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import machine
from hrm.config import presets
from hrm.config.run_config import RunConfig
from hrm.data.base import Batch, Dataset, Split
from hrm.training.trainer import Trainer

BATCH_SIZES = {"tiny_demo": 32, "small_sudoku": 32, "base_default": 8}
NUM_WARMUP_STEPS = 2
CELLS, VOCABULARY = 81, 11


class RandomGrids(Dataset):
    """Four batches of random digits, over and over."""

    name = "random 9x9"
    model_fields = {"vocab_size": VOCABULARY, "seq_len": CELLS, "num_puzzle_identifiers": 1}  # noqa: RUF012
    fingerprint = "random"
    supports_verdict = False

    def __init__(self, batch_size: int) -> None:
        rng = np.random.default_rng(0)
        self.batches: list[Batch] = [
            {
                "inputs": rng.integers(1, VOCABULARY, (batch_size, CELLS), dtype=np.int32),
                "labels": rng.integers(2, VOCABULARY, (batch_size, CELLS), dtype=np.int32),
                "puzzle_identifiers": np.zeros(batch_size, dtype=np.int32),
            }
            for _ in range(4)
        ]
        first = self.batches[0]
        self.valid = self.test = Split(first["inputs"], first["labels"], first["puzzle_identifiers"])

    def get_train_batch(self, step: int, batch_size: int, seed: int) -> Batch:
        return self.batches[step % len(self.batches)]


@dataclass(frozen=True)
class Setting:
    """One row of the table."""

    size: str
    forward_dtype: str
    q_continue: bool

    def __str__(self) -> str:
        q_continue = "with" if self.q_continue else "without"
        return f"{self.size:<14} {BATCH_SIZES[self.size]:>5}  {self.forward_dtype:<9} {q_continue:<10}"

    def trainer(self, device: str, threads: int) -> Trainer:
        batch_size = BATCH_SIZES[self.size]
        model = presets.load_preset(self.size).model
        model |= {"forward_dtype": self.forward_dtype, "q_continue": self.q_continue}
        values: dict[str, Any] = {"model": model, "train": {"steps": 1_000_000, "batch_size": batch_size}}
        config = RunConfig.from_dict(values | {"device": device, "threads": threads})
        return Trainer(config, RandomGrids(batch_size))


def measure(trainers: Sequence[Trainer], repeat: int) -> list[list[float]]:
    """Seconds of `repeat` steps of each trainer, taking turns."""
    seconds: list[list[float]] = [[] for _ in trainers]
    for number in range(NUM_WARMUP_STEPS + repeat):
        for trainer, taken in zip(trainers, seconds):
            before = trainer.train_seconds
            trainer.train_to(trainer.step + 1)
            if number >= NUM_WARMUP_STEPS:
                taken.append(trainer.train_seconds - before)
    return seconds


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    print(machine.describe())
    print(f"device {options.device}, {options.threads} thread(s), {options.repeat} steps each")
    print(f"{'size':<14} {'batch':>5}  {'type':<9} {'Q-continue':<10} {'median ms':>10} {'fastest ms':>10}")
    for size in options.sizes:
        settings = [Setting(size, dtype, q) for dtype in ("float32", "bfloat16") for q in (True, False)]
        trainers = [setting.trainer(options.device, options.threads) for setting in settings]
        for setting, seconds in zip(settings, measure(trainers, options.repeat)):
            median, fastest = 1e3 * statistics.median(seconds), 1e3 * min(seconds)
            print(f"{setting} {median:>10.1f} {fastest:>10.1f}", flush=True)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", choices=BATCH_SIZES, default=list(BATCH_SIZES))
    parser.add_argument("--repeat", type=positive, default=10, help="measured steps of each setting")
    parser.add_argument("--device", default="cpu", help="auto, cuda, mps or cpu")
    parser.add_argument("--threads", type=positive, default=1)
    return parser.parse_args(arguments)


def positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    main()
