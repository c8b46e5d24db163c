"""Checkpoints: a stopped and resumed run equals an uninterrupted one; files are whole or absent."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from hrm.config.errors import CheckpointError
from hrm.data.base import Dataset
from hrm.data.registry import open_task
from hrm.system.files import write_atomically
from hrm.training.checkpoint import FILE_NAME, FORMAT, load_checkpoint, save_checkpoint
from hrm.training.progress import Validation
from hrm.training.trainer import Trainer
from tests.hrm.conftest import MakeConfig


class Stop(Exception):  # noqa: N818
    pass


def _without_clock(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_clock(v) for k, v in value.items() if not str(k).endswith("seconds")}
    return [_without_clock(v) for v in value] if isinstance(value, list | tuple) else value


def _assert_equal(a: Any, b: Any, where: str = "state") -> None:
    assert type(a) is type(b), where
    if isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            _assert_equal(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, list):
        assert len(a) == len(b), where
        for i, pair in enumerate(zip(a, b)):
            _assert_equal(*pair, f"{where}[{i}]")
    elif isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype, where
        assert torch.equal(a, b), where
    else:
        assert a == b, where


def _run(trainer: Trainer, folder: Path, dataset: Dataset, stops: tuple[int, ...]) -> tuple[Trainer, list]:
    """Runs to the end; at each stop saves, forgets everything and resumes."""
    reports: list[Validation] = []
    left = list(stops)

    def on_step(step: int) -> None:
        if left and step == left[0]:
            left.pop(0)
            raise Stop

    while not trainer.finished:
        try:
            reports.append(trainer.train_to_next_validation(on_step))
        except Stop:
            trainer.save(folder)
            torch.rand(3)
            trainer = Trainer.resume(folder, dataset)
    assert not left
    return trainer, [_without_clock(dataclasses.asdict(report)) for report in reports]


@pytest.mark.parametrize("stops", [(6,), (1, 2, 7, 11, 18, 23)])
@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"train.ema": 0.9},
        {"puzzle_emb_ndim": 0},
        {"puzzle_emb_ndim": 20, "q_continue": False, "train.ema": 0.5, "gradient_L_steps": 2},
        {"forward_dtype": "bfloat16", "pos_encodings": "learned", "loss_type": "softmax_cross_entropy"},
    ],
)
def test_resumed_equals_uninterrupted(
    small_config: MakeConfig,
    small_data: Dataset,
    tmp_path: Path,
    overrides: dict[str, Any],
    stops: tuple[int, ...],
) -> None:
    config = small_config(**overrides)
    plain, expected = _run(Trainer(config, small_data), tmp_path, small_data, ())
    resumed, reports = _run(Trainer(config, small_data), tmp_path, small_data, stops)
    assert reports == expected
    _assert_equal(_without_clock(resumed.state_dict()), _without_clock(plain.state_dict()))
    assert plain.config == resumed.config


def test_time_goes_on_counting(small_config: MakeConfig, small_data: Dataset, tmp_path: Path) -> None:
    trainer = Trainer(small_config(), small_data)
    trainer.train_to_next_validation()
    trainer.save(tmp_path)
    resumed = Trainer.resume(tmp_path, small_data)
    assert (resumed.train_seconds, resumed.eval_seconds) == (trainer.train_seconds, trainer.eval_seconds)
    assert (resumed.train_flops, resumed.eval_flops) == (trainer.train_flops, trainer.eval_flops)
    resumed.train_to_next_validation()
    assert resumed.train_seconds > trainer.train_seconds


def test_a_loaded_state_is_a_copy(small_config: MakeConfig, small_data: Dataset) -> None:
    first, second = Trainer(small_config(), small_data), Trainer(small_config(), small_data)
    first.train_to(5)
    second.load_state_dict(first.state_dict())
    first.train_to(10)
    second.train_to(10)
    _assert_equal(_without_clock(first.state_dict()), _without_clock(second.state_dict()))


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        ({"train.lr": 2e-3}, "checkpoint's train.lr: given 0.001; must equal this run's: 0.002"),
        ({"hidden_size": 32}, "checkpoint's model.hidden_size: given 16; must equal this run's: 32"),
        ({"seed": 4}, "checkpoint's seed: given 0; must equal this run's: 4"),
        ({"task.data_seed": 5}, "checkpoint's task.data_seed: given 0; must equal this run's: 5"),
    ],
)
def test_another_config_is_refused(
    small_config: MakeConfig, small_data: Dataset, overrides: dict[str, Any], named: str
) -> None:
    state = Trainer(small_config(), small_data).state_dict()
    with pytest.raises(CheckpointError) as caught:
        Trainer(small_config(**overrides), small_data).load_state_dict(state)
    assert str(caught.value) == named


def test_where_it_computes_may_change(small_config: MakeConfig, small_data: Dataset) -> None:
    first = Trainer(small_config(), small_data)
    first.train_to(3)
    second = Trainer(small_config(threads=2, device="auto"), small_data)
    second.load_state_dict(first.state_dict())
    assert second.step == 3
    second.train_to(5)


def test_other_data_are_refused(small_config: MakeConfig, small_data: Dataset, tmp_path: Path) -> None:
    Trainer(small_config(), small_data).save(tmp_path)
    other = open_task(small_config(**{"task.data_seed": 1}).task)
    with pytest.raises(
        CheckpointError, match=f"data: given '{small_data.fingerprint}'; must equal .* start a new"
    ):
        Trainer.resume(tmp_path, other)


def test_exploration_goes_on_from_a_fresh_stream_on_another_device(
    small_config: MakeConfig, small_data: Dataset
) -> None:
    first = Trainer(small_config(), small_data)
    first.train_to(3)
    state = first.state_dict() | {"device": "cuda", "exploration": torch.zeros(16, dtype=torch.uint8)}
    second = Trainer(small_config(), small_data)
    second.load_state_dict(state)
    assert torch.isfinite(torch.tensor(second.train_to(6)["loss"]))


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 torn"])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(CheckpointError, match="must be a checkpoint of this trainer"):
        load_checkpoint(tmp_path)


def test_half_a_checkpoint_is_refused(small_config: MakeConfig, small_data: Dataset, tmp_path: Path) -> None:
    path = save_checkpoint(Trainer(small_config(), small_data).state_dict(), tmp_path)
    whole = path.read_bytes()
    for length in (len(whole) // 3, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            load_checkpoint(tmp_path)


def test_no_checkpoint_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no checkpoint'; must be a run's folder, with checkpoint\.pt"):
        load_checkpoint(tmp_path / "nowhere")
    torch.save({"weights": torch.zeros(2)}, tmp_path / FILE_NAME)
    with pytest.raises(CheckpointError, match="format None"):
        load_checkpoint(tmp_path)
    torch.save([1, 2], tmp_path / FILE_NAME)
    with pytest.raises(CheckpointError, match="format None"):
        load_checkpoint(tmp_path)


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("code ran",))


def test_no_code_runs_from_a_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"format": FORMAT, "model": Evil()}, tmp_path / FILE_NAME)
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path)
    assert capsys.readouterr().out == ""


def test_a_writer_that_dies_leaves_the_old_file(tmp_path: Path) -> None:
    save_checkpoint({"step": 1}, tmp_path)

    def die_halfway(temporary: Path) -> None:
        temporary.write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / FILE_NAME, die_halfway)
    assert load_checkpoint(tmp_path)["step"] == 1
    save_checkpoint({"step": 2}, tmp_path)
    assert load_checkpoint(tmp_path)["step"] == 2
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
