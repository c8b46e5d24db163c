"""Training a text HRM: accumulation, clipping, exact resuming, and runs as long as their FLOPs allow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hrm.config.errors import ConfigError
from hrm.config.run_config import RunConfig
from hrm.data.base import IGNORED_LABEL, Batch, Dataset
from hrm.data.registry import open_task
from hrm.models.puzzle.config import PuzzleHRMConfig
from hrm.models.text.counting import count, count_min_training_flops
from hrm.training.progress import Validation
from hrm.training.trainer import Trainer
from tests.hrm.models.text.conftest import SMALL
from tests.hrm.runs import all_reports, same_weights

TRAIN = {"steps": 6, "batch_size": 4, "num_reports": 3, "lr": 1e-2, "eval_batch_size": 7}


@pytest.fixture(scope="module")
def text_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "lines.txt"
    rng = np.random.default_rng(0)
    words = ["the", "a", "cat", "dog", "sees", "runs", "and", "but", "then", "house", "river", "of"]
    path.write_text("\n\n".join(" ".join(rng.choice(words, 30)) for _ in range(60)))
    return path


@pytest.fixture
def make_config(text_file: Path, data_cache: str) -> Any:
    def make(**overrides: Any) -> RunConfig:
        model = {name: value for name, value in SMALL.items() if name not in ("vocab_size", "seq_len")}
        task = {"name": "text", "text": str(text_file), "document": "paragraph", "seq_len": 12}
        values = {
            "family": "text",
            "model": model,
            "task": task,
            "train": TRAIN,
            "device": "cpu",
            "threads": 1,
        }
        return RunConfig.from_dict(values).replace(**overrides)

    return make


def trained(config: RunConfig, data: Dataset) -> tuple[Trainer, list[Validation]]:
    trainer = Trainer(config, data)
    return trainer, all_reports(trainer)


class Padded(Dataset):
    """Another data set whose sequences end in more or less padding."""

    def __init__(self, inner: Dataset) -> None:
        self.__dict__.update(vars(inner))
        self.inner = inner

    def get_train_batch(self, step: int, batch_size: int, seed: int) -> Batch:
        batch = {
            name: array.copy() for name, array in self.inner.get_train_batch(step, batch_size, seed).items()
        }
        lengths = 1 + (np.arange(batch_size) * 5) % batch["labels"].shape[1]
        batch["labels"][np.arange(batch["labels"].shape[1]) >= lengths[:, None]] = IGNORED_LABEL
        return batch


@pytest.mark.parametrize("padded", [False, True])
def test_accumulated_gradients_equal_the_large_batchs(make_config: Any, padded: bool) -> None:
    data = open_task(make_config().task)
    data = Padded(data) if padded else data
    found = []
    for batch_size, accumulation in ((8, 1), (2, 4), (1, 8)):
        trainer = Trainer(make_config(batch_size=batch_size, accumulation=accumulation), data)
        gradients: dict[str, torch.Tensor] = {}
        step = trainer.optimizers[0].step

        def kept(model: Any = trainer.model, into: Any = gradients, step: Any = step) -> None:
            into |= {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
            step()

        trainer.optimizers[0].step = kept  # type: ignore[method-assign,assignment]
        metrics = trainer.train_to(1)
        found.append((gradients, metrics, trainer.train_flops))
    for gradients, metrics, flops in found[1:]:
        assert gradients.keys() == found[0][0].keys()
        for name, gradient in gradients.items():
            torch.testing.assert_close(gradient, found[0][0][name], rtol=1e-4, atol=1e-7)
        assert metrics == pytest.approx(found[0][1], rel=1e-5)
        assert flops == found[0][2]


def test_clipping_shortens_long_gradients_only(make_config: Any) -> None:
    data = open_task(make_config().task)
    free, wide, tight = (trained(make_config(clip_norm=norm), data)[0] for norm in (0.0, 1e6, 1e-12))
    assert same_weights(free, wide)
    assert not same_weights(free, tight)


def test_a_resumed_run_is_the_run_bit_for_bit(make_config: Any, tmp_path: Path) -> None:
    config = make_config(dropout=0.2, accumulation=2, clip_norm=1.0, gradient_checkpointing=True, ema=0.9)
    data = open_task(config.task)
    whole, reports = trained(config, data)
    first = Trainer(config, data)
    first.train_to(3)
    first.save(tmp_path)
    second = Trainer.resume(tmp_path, data)
    rest = all_reports(second)
    assert same_weights(whole, second)
    assert rest[-1].metrics == reports[-1].metrics
    assert second.train_flops == whole.train_flops


def test_reports_hold_the_language_metrics(make_config: Any) -> None:
    config = make_config()
    data = open_task(config.task)
    trainer, reports = trained(config.replace(**{"train.steps": 40}), data)
    names = {"loss", "perplexity", "bits_per_byte", "accuracy", "steps"}
    assert {name.removeprefix("valid/") for name in reports[0].metrics if name.startswith("valid/")} == names
    last = reports[-1].metrics
    assert last["valid/loss"] < reports[0].metrics["valid/loss"] < 5.56  # type: ignore[operator]
    nats, num_bytes = last["valid/loss"] * data.valid.labels.size, data.valid.label_bytes.sum()  # type: ignore
    assert last["valid/bits_per_byte"] == pytest.approx(nats / np.log(2) / num_bytes)
    assert last["valid/perplexity"] == pytest.approx(np.exp(last["valid/loss"]))
    assert reports[-1].train_flops == trainer.train_flops <= 40 * trainer.counts.flops_per_step


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_evaluation_batches_decide_nothing(make_config: Any, size: int) -> None:
    config = make_config()
    data = open_task(config.task)
    reference = Trainer(config, data).evaluate(data.valid)
    other = Trainer(make_config(eval_batch_size=size), data).evaluate(data.valid)
    assert other == pytest.approx(reference, rel=1e-5)


def halting_early(trainer: Trainer) -> None:
    """Makes every token halt at its layer's first H update."""
    with torch.no_grad():
        for layer in trainer.model.layers:  # type: ignore[union-attr]
            layer.halt_head.bias.fill_(9.0)  # type: ignore[union-attr,operator]


def test_flops_spent_are_those_executed(make_config: Any) -> None:
    config = make_config(accumulation=2)
    data = open_task(config.task)
    trainer = Trainer(config, data)
    halting_early(trainer)
    trainer.train_to(2)
    least = count_min_training_flops(trainer.config.model, config.train.batch_size)
    assert trainer.train_flops == 2 * 2 * least < 2 * trainer.counts.flops_per_step
    trainer.evaluate(data.valid)
    per_sequence = count(trainer.config.model, 1).eval_flops_per_batch
    assert 0 < trainer.eval_flops < per_sequence * len(data.valid)


def test_a_run_to_a_target_of_flops_makes_more_steps_when_they_cost_less(make_config: Any) -> None:
    data = open_task(make_config().task)
    step = Trainer(make_config(), data).counts.flops_per_step
    config = make_config(max_flops=6 * step + step // 2)
    constant, reports = trained(config, data)
    assert (constant.step, constant.train_flops) == (6, 6 * step)
    assert [report.step for report in reports] == [2, 4, 6]

    cheap = Trainer(config, data)
    halting_early(cheap)
    reports = []
    while not cheap.finished:
        reports.append(cheap.train_to_next_validation())
    assert cheap.step > 6
    assert 6 * step - step < cheap.train_flops <= config.train.max_flops
    fractions = [report.train_flops / config.train.max_flops for report in reports]
    assert fractions == pytest.approx([1 / 3, 2 / 3, 1], abs=0.2)


def test_where_steps_cost_the_same_a_target_of_flops_is_a_number_of_steps(make_config: Any) -> None:
    data = open_task(make_config().task)
    by_steps, _ = trained(make_config(lr_min_ratio=0.0), data)
    target = 6 * by_steps.counts.flops_per_step
    by_flops, _ = trained(make_config(lr_min_ratio=0.0, max_flops=target), data)
    for name, tensor in by_steps.model.state_dict().items():
        torch.testing.assert_close(by_flops.model.state_dict()[name], tensor, rtol=1e-6, atol=1e-6)


def test_a_target_below_a_step_for_each_report_is_refused(make_config: Any) -> None:
    data = open_task(make_config().task)
    step = Trainer(make_config(), data).counts.flops_per_step
    Trainer(make_config(max_flops=3 * step), data)
    with pytest.raises(
        ConfigError, match=rf"train\.max_flops: given {3 * step - 1}; must be at least {3 * step}"
    ):
        Trainer(make_config(max_flops=3 * step - 1), data)


def test_a_puzzle_model_does_not_accumulate() -> None:
    from hrm.config.train_config import TrainConfig
    from hrm.models.registry import get_family

    model = get_family("puzzle").build(PuzzleHRMConfig(hidden_size=8, num_heads=1, mlp_multiple=8))
    with pytest.raises(ConfigError, match="train.accumulation: given 2; must be 1 for a puzzle HRM"):
        model.build_optimizers(TrainConfig(accumulation=2))
