"""The trainer's evaluations: the whole split, once, with the weights that are to be judged."""

from __future__ import annotations

import pytest

from hrm.data.base import Dataset, Split
from hrm.models.base import Metrics
from hrm.training.trainer import Trainer
from tests.hrm.conftest import MakeConfig
from tests.hrm.runs import same_weights


def _mean(parts: list[tuple[int, Metrics]], name: str) -> float:
    values = [(count, metrics[name]) for count, metrics in parts]
    return sum(count * value for count, value in values if value is not None) / sum(c for c, _ in values)


@pytest.mark.parametrize("size", [1, 7, 12, 100])
def test_evaluation_batches_decide_nothing(small_config: MakeConfig, small_data: Dataset, size: int) -> None:
    reference = Trainer(small_config(), small_data)
    reference.train_to(10)
    trainer = Trainer(small_config(**{"train.eval_batch_size": size}), small_data)
    trainer.train_to(10)
    assert trainer.evaluate(small_data.valid) == pytest.approx(reference.evaluate(small_data.valid), rel=1e-5)
    assert trainer.eval_flops == reference.eval_flops
    per_sequence = reference.counts.eval_flops_per_batch // reference.config.train.batch_size
    assert trainer.eval_flops == per_sequence * len(small_data.valid)


def test_evaluation_covers_the_whole_split_once(small_config: MakeConfig, small_data: Dataset) -> None:
    trainer = Trainer(small_config(), small_data)
    trainer.train_to(10)
    valid = small_data.valid
    parts = []
    for part in (slice(0, 3), slice(3, 12)):
        split = Split(
            valid.inputs[part], valid.labels[part], valid.puzzle_identifiers[part], valid.blank_token
        )
        parts.append((len(split), trainer.evaluate(split)))
    for name, value in trainer.evaluate(valid).items():
        assert value == pytest.approx(_mean(parts, name), rel=1e-5)


def test_an_empty_split_has_no_metrics(small_config: MakeConfig, small_data: Dataset) -> None:
    valid = small_data.valid
    empty = Split(valid.inputs[:0], valid.labels[:0], valid.puzzle_identifiers[:0], valid.blank_token)
    assert Trainer(small_config(), small_data).evaluate(empty) == {}


def test_ema_evaluates_averaged_weights_and_trains_its_own(
    small_config: MakeConfig, small_data: Dataset
) -> None:
    plain, averaged = (Trainer(small_config(**{"train.ema": ema}), small_data) for ema in (0.0, 0.5))
    plain.train_to(15)
    averaged.train_to(15)
    assert same_weights(plain, averaged)
    valid = averaged.evaluate(small_data.valid)
    assert valid != plain.evaluate(small_data.valid)
    plain.model.load_state_dict(averaged.get_evaluation_weights())
    assert valid == plain.evaluate(small_data.valid)
