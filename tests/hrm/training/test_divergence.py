"""A run that is lost says so, and in which step."""

from __future__ import annotations

import pickle

import pytest
import torch

from hrm.data.base import Dataset
from hrm.training.trainer import Diverged, Trainer
from tests.hrm.conftest import MakeConfig


def test_a_huge_rate_diverges_by_name(small_config: MakeConfig, small_data: Dataset) -> None:
    trainer = Trainer(small_config(**{"train.lr": 1e30, "train.lr_warmup_steps": 0}), small_data)
    seen: list[int] = []
    with pytest.raises(Diverged, match=r"loss is (nan|inf) at step 2$") as caught:
        trainer.train_to_next_validation(seen.append)
    assert seen == [1]
    assert (caught.value.step, trainer.step) == (2, 1)


def test_a_spoiled_weight_is_blamed_on_the_step_that_spoiled_it(
    small_config: MakeConfig, small_data: Dataset
) -> None:
    def spoil(step: int) -> None:
        if step == 4:
            with torch.no_grad():
                next(trainer.model.parameters()).fill_(torch.nan)

    trainer = Trainer(small_config(), small_data)
    with pytest.raises(Diverged, match="weights are not finite at step 4"):
        trainer.train_to(10, spoil)
    trainer = Trainer(small_config(), small_data)
    with pytest.raises(Diverged, match="weights are not finite at step 4"):
        trainer.train_to(4, spoil)


def test_a_loss_that_only_evaluation_sees_is_not_silent(
    small_config: MakeConfig, small_data: Dataset
) -> None:
    trainer = Trainer(small_config(), small_data)
    trainer.train_to(2)
    with torch.no_grad():
        next(trainer.model.parameters()).fill_(torch.inf)
    with pytest.raises(Diverged, match="evaluation loss is nan at step 2"):
        trainer.evaluate(small_data.valid)


def test_divergence_crosses_processes() -> None:
    diverged = pickle.loads(pickle.dumps(Diverged(37, "loss is nan")))
    assert (diverged.step, diverged.reason, str(diverged)) == (37, "loss is nan", "loss is nan at step 37")
