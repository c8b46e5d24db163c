"""Small real runs: a model of a few thousand parameters on a few 4x4 Sudokus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hrm.config.run_config import RunConfig
from hrm.data.base import Dataset
from hrm.data.registry import open_task

SMALL_TASK = {"name": "sudoku4", "train_puzzles": 40, "valid_puzzles": 12, "test_puzzles": 12}
TASK_OPTIONS = [f"task.{name}={value}" for name, value in SMALL_TASK.items()]
"""The same for a command line."""
SMALL_MODEL = {
    "hidden_size": 16,
    "num_heads": 2,
    "H_layers": 1,
    "L_layers": 1,
    "mlp_multiple": 16,
    "halt_max_steps": 3,
    "forward_dtype": "float32",
}
SMALL_TRAIN = {"steps": 23, "batch_size": 8, "num_reports": 4, "lr": 1e-3, "eval_batch_size": 5}

MakeConfig = Callable[..., RunConfig]


@pytest.fixture(scope="session")
def data_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cache of prepared data for this session, seen by subprocesses too."""
    folder = str(tmp_path_factory.mktemp("cache"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HRM_SWEEPS_CACHE", folder)
        yield folder


@pytest.fixture(scope="session")
def small_config() -> MakeConfig:
    """Makes the small run's config, with dotted overrides: `small_config(**{"train.ema": 0.9})`."""

    def make(**overrides: Any) -> RunConfig:
        values = {"model": SMALL_MODEL, "task": SMALL_TASK, "train": SMALL_TRAIN}
        values |= {"device": "cpu", "threads": 1}
        return RunConfig.from_dict(values).replace(**overrides)

    return make


@pytest.fixture(scope="session")
def small_data(data_cache: str, small_config: MakeConfig) -> Dataset:
    return open_task(small_config().task)
