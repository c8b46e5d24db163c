"""The trainer: the official order of a step, determinism, reports, evaluation, and divergence."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from hrm.config.errors import ConfigError
from hrm.data.base import Dataset, Split
from hrm.models.registry import get_family
from hrm.system.device import list_devices
from hrm.training.progress import Validation
from hrm.training.schedule import compute_lr
from hrm.training.trainer import Diverged, Trainer, derive_seed
from tests.hrm.conftest import MakeConfig
from tests.hrm.runs import all_reports, same_weights


def _figures(report: Validation) -> dict[str, Any]:
    """All but the clock's."""
    return {name: value for name, value in dataclasses.asdict(report).items() if not name.endswith("seconds")}


@pytest.mark.parametrize(
    "overrides",
    [{}, {"puzzle_emb_ndim": 0}, {"lr_warmup_steps": 0, "lr_min_ratio": 0.1}, {"q_continue": False}],
)
def test_a_step_is_the_official_one(
    small_config: MakeConfig, small_data: Dataset, overrides: dict[str, Any]
) -> None:
    """Against a loop written from the official trainer: forward with carry, backward of the loss over the
    batch size, rates of the step counted from 1, optimizers in their order."""
    config = small_config(**overrides)
    trainer = Trainer(config, small_data)
    trainer.train_to(9)

    train = config.train
    torch.manual_seed(config.seed)
    model = get_family("puzzle").build(trainer.config.model)
    exploration = torch.Generator().manual_seed(derive_seed(config.seed, "exploration"))
    optimizers = model.build_optimizers(train)
    carry = None
    for step in range(1, 10):
        batch = {
            name: torch.tensor(array)
            for name, array in small_data.get_train_batch(step - 1, train.batch_size, config.seed).items()
        }
        carry = model.initial_carry(batch) if carry is None else carry
        carry, loss, _ = model.train_segment(carry, batch, exploration)
        ((1 / train.batch_size) * loss).backward()
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = compute_lr(
                    group["peak_lr"], step, train.steps, train.warmup_steps, train.lr_min_ratio
                )
            optimizer.step()
            optimizer.zero_grad()
    torch.testing.assert_close(trainer.model.state_dict(), model.state_dict(), rtol=0, atol=0)
    assert torch.equal(trainer.carry["z_H"], carry["z_H"])


def test_same_config_same_run_whatever_happened_before(small_config: MakeConfig, small_data: Dataset) -> None:
    first = Trainer(small_config(), small_data)
    reports = all_reports(first)
    torch.rand(17)
    other = Trainer(small_config(seed=1), small_data)
    other.train_to(3)
    torch.manual_seed(99)
    again = Trainer(small_config(), small_data)
    other.train_to(5)
    assert [_figures(report) for report in all_reports(again)] == [_figures(report) for report in reports]
    assert same_weights(first, again)


def test_torchs_global_generator_is_left_alone(small_config: MakeConfig, small_data: Dataset) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    Trainer(small_config(**{"train.ema": 0.9}), small_data).train_to_next_validation()
    assert torch.equal(torch.get_rng_state(), before)


def test_the_seed_decides_weights_exploration_and_batches(
    small_config: MakeConfig, small_data: Dataset
) -> None:
    a, b = (Trainer(small_config(seed=seed), small_data) for seed in (0, 1))
    assert not same_weights(a, b)
    assert derive_seed(0, "exploration") != derive_seed(1, "exploration")
    batches = [small_data.get_train_batch(0, 8, seed)["inputs"] for seed in (0, 1)]
    assert not np.array_equal(*batches)


def test_evaluating_changes_nothing_in_training(small_config: MakeConfig, small_data: Dataset) -> None:
    config = small_config(**{"train.ema": 0.9})
    plain, watched = Trainer(config, small_data), Trainer(config, small_data)
    for step in range(1, 12):
        watched.train_to(step)
        watched.evaluate(small_data.valid)
    plain.train_to(11)
    assert same_weights(plain, watched)
    assert watched.model.training


def testall_reports(small_config: MakeConfig, small_data: Dataset) -> None:
    trainer = Trainer(small_config(), small_data)
    assert not trainer.finished
    reports = all_reports(trainer)
    assert [(report.index, report.step) for report in reports] == [(1, 6), (2, 12), (3, 18), (4, 23)]
    assert [report.train_flops for report in reports] == [
        trainer.counts.flops_per_step * step for step in (6, 12, 18, 23)
    ]
    train = {"loss", "lm_loss", "q_halt_loss", "q_continue_loss", "steps"}
    both = {"loss", "exact_accuracy", "cell_accuracy", "q_halt_accuracy"}
    names = {f"train/{name}" for name in train | both}
    names |= {f"valid/{name}" for name in both | {"blank_accuracy"}}
    assert reports[-1].metrics.keys() == names
    assert all(isinstance(value, float) for value in reports[-1].metrics.values())
    times = [(report.train_seconds, report.eval_seconds) for report in reports]
    assert all(0 < a[i] < b[i] for a, b in pairwise(times) for i in (0, 1))
    assert trainer.finished


def test_before_any_sequence_halts_its_metrics_are_missing(
    small_config: MakeConfig, small_data: Dataset
) -> None:
    metrics = Trainer(small_config(), small_data).train_to(1)
    assert metrics["exact_accuracy"] is None
    assert metrics["loss"] is not None


def test_training_metrics_are_means_of_the_steps_between(
    small_config: MakeConfig, small_data: Dataset
) -> None:
    single, whole = Trainer(small_config(), small_data), Trainer(small_config(), small_data)
    steps = [single.train_to(step)["loss"] for step in range(1, 11)]
    assert whole.train_to(4)["loss"] == pytest.approx(np.mean(steps[:4]), rel=1e-5)
    assert whole.train_to(10)["loss"] == pytest.approx(np.mean(steps[4:]), rel=1e-5)


def test_a_report_due_is_not_lost_when_driven_by_steps(small_config: MakeConfig, small_data: Dataset) -> None:
    trainer = Trainer(small_config(), small_data)
    trainer.train_to(12)
    assert [(report.index, report.step) for report in all_reports(trainer)] == [(2, 12), (3, 18), (4, 23)]


def test_what_on_step_raises_leaves_the_trainer_whole(small_config: MakeConfig, small_data: Dataset) -> None:
    class Enough(Exception):  # noqa: N818
        pass

    def stop_at(step: int) -> None:
        if step in (5, 6):
            raise Enough

    interrupted, plain = Trainer(small_config(), small_data), Trainer(small_config(), small_data)
    for _ in range(2):
        with pytest.raises(Enough):
            interrupted.train_to_next_validation(stop_at)
    assert interrupted.step == 6
    assert _figures(interrupted.train_to_next_validation()) == _figures(plain.train_to_next_validation())


def test_the_test_split_is_not_read(small_config: MakeConfig, small_data: Dataset) -> None:
    class Sealed(type(small_data)):  # type: ignore[misc]
        @property
        def test(self) -> Split:
            raise AssertionError("the test split was read")

    sealed = object.__new__(Sealed)
    sealed.__dict__.update({name: value for name, value in vars(small_data).items() if name != "test"})
    assert len(all_reports(Trainer(small_config(), sealed))) == 4


def test_the_data_decide_their_fields(small_config: MakeConfig, small_data: Dataset) -> None:
    config = small_config(vocab_size=99, seq_len=2)
    trainer = Trainer(config, small_data)
    assert trainer.config.model.seq_len == 16
    assert dataclasses.replace(trainer.config, model=config.model) == config
    with pytest.raises(ConfigError):
        Trainer(small_config(), _with_fields(small_data, {"vocab_size": 0}))


def _with_fields(dataset: Dataset, fields: dict[str, int]) -> Dataset:
    changed = object.__new__(type(dataset))
    changed.__dict__.update(vars(dataset) | {"model_fields": fields})
    return changed


def test_threads_are_the_configs_while_it_computes(small_config: MakeConfig, small_data: Dataset) -> None:
    before = torch.get_num_threads()
    seen: list[int] = []
    trainer = Trainer(small_config(threads=before + 1), small_data)
    trainer.train_to(2, lambda step: seen.append(torch.get_num_threads()))
    assert seen == [before + 1] * 2
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_trains(small_config: MakeConfig, small_data: Dataset, dtype: str) -> None:
    trainer = Trainer(small_config(forward_dtype=dtype), small_data)
    reference = Trainer(small_config(), small_data)
    loss, expected = trainer.train_to(10)["loss"], reference.train_to(10)["loss"]
    assert loss == pytest.approx(expected, rel=0.02)


@pytest.mark.gpu
@pytest.mark.skipif(
    list_devices() == ["cpu"],
    reason="needs a CUDA or MPS device of this machine: it holds training there against training on the CPU",
)
def test_a_device_agrees_with_the_cpu(small_config: MakeConfig, small_data: Dataset) -> None:
    """Same weights, batches and arithmetic; exploration is the device's own, so it is switched off."""
    config = small_config(halt_exploration_prob=0.0)
    cpu = Trainer(config, small_data).train_to_next_validation()
    device = Trainer(config.replace(device="auto"), small_data)
    assert device.device.type != "cpu"
    assert device.train_to_next_validation().metrics == pytest.approx(cpu.metrics, rel=1e-2)
    diverging = config.replace(**{"device": "auto", "train.lr": 1e30, "train.lr_warmup_steps": 0})
    with pytest.raises(Diverged, match="loss is not finite at step 2"):
        Trainer(diverging, small_data).train_to_next_validation()
