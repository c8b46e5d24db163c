"""Small text HRMs and batches of random tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from hrm.models.base import TensorBatch
from hrm.models.text.config import TextHRMConfig
from hrm.models.text.model import TextHRM
from tests.hrm.family_cases import one_thread

SMALL = {
    "n_embd": 16,
    "n_head": 2,
    "n_layers": 2,
    "halt_max_steps": 4,
    "h_update_period": 2,
    "halt_epsilon": 0.1,
    "dropout": 0.0,
    "vocab_size": 23,
    "seq_len": 12,
    "forward_dtype": "float32",
}


@pytest.fixture(autouse=True, scope="package")
def on_one_thread() -> Iterator[None]:
    with one_thread():
        yield


def small_config(**overrides: Any) -> TextHRMConfig:
    return TextHRMConfig(**(SMALL | overrides))


def small_model(seed: int = 0, **overrides: Any) -> TextHRM:
    torch.manual_seed(seed)
    return TextHRM(small_config(**overrides)).eval()


def lively_model(seed: int = 0, **overrides: Any) -> TextHRM:
    """A model whose tokens halt at different H updates: its deciding weights are not what they start as."""
    model = small_model(seed, **overrides)
    with torch.no_grad():
        for layer in model.layers:
            layer.halt_head.weight.normal_(std=1.0)
            layer.halt_head.bias.fill_(2.0)
            layer.q_network.head.weight.normal_(std=0.5)
    return model


def random_batch(config: TextHRMConfig, num_sequences: int = 3, seq_len: int | None = None) -> TensorBatch:
    shape = (num_sequences, seq_len or config.seq_len)
    return {name: torch.randint(config.vocab_size, shape, dtype=torch.int32) for name in ("inputs", "labels")}
