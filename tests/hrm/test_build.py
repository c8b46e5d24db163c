"""The Python API: models from presets, files and configs; families from outside this package."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import hrm
from hrm.config.errors import ConfigError, ImportPathError, UnknownNameError
from hrm.config.presets import list_presets, load_preset
from hrm.config.run_config import RunConfig, save_run_config
from hrm.data.registry import open_task
from hrm.models.puzzle.config import PuzzleHRMConfig
from hrm.models.puzzle.model import PuzzleHRM
from hrm.models.registry import get_family
from hrm.models.text.model import TextHRM
from hrm.training.trainer import Trainer
from tests.hrm.conftest import SMALL_MODEL, SMALL_TASK, SMALL_TRAIN
from tests.hrm.runs import all_reports

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "python-api.md"


def test_a_preset_with_overrides() -> None:
    model = hrm.build("tiny_demo", hidden_size=64, H_layers=2)
    assert isinstance(model, PuzzleHRM)
    assert model.config == PuzzleHRMConfig(
        **{**load_preset("tiny_demo").model, "hidden_size": 64, "H_layers": 2}
    )
    assert isinstance(hrm.build("text_demo"), TextHRM)


def test_a_config_a_run_and_a_saved_run_give_the_same_model(tmp_path: Path) -> None:
    run = RunConfig.from_dict({"model": SMALL_MODEL})
    save_run_config(run, tmp_path / "best.yaml")
    states = []
    for config in (run, run.model, tmp_path / "best.yaml", str(tmp_path / "best.yaml")):
        torch.manual_seed(3)
        model = hrm.build(config, L_layers=2)
        assert model.config == PuzzleHRMConfig(**{**SMALL_MODEL, "L_layers": 2})  # type: ignore[arg-type]
        states.append(model.state_dict())
    for state in states[1:]:
        assert all(torch.equal(state[name], tensor) for name, tensor in states[0].items())


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'tiny_demo'"):
        hrm.build("tiny_dmo")
    with pytest.raises(UnknownNameError, match="Did you mean 'hidden_size'"):
        hrm.build("tiny_demo", hiden_size=3)
    with pytest.raises(ConfigError, match="must divide hidden_size=128"):
        hrm.build("tiny_demo", num_heads=3)
    with pytest.raises(ConfigError, match="no such file"):
        hrm.build(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="must be a preset's name"):
        hrm.build(3)


@pytest.mark.parametrize(
    "module",
    [
        "hrm",
        "hrm.config.run_config",
        "hrm.config.presets",
        "hrm.count",
        "hrm.train",
    ],
)
def test_configs_and_counting_need_no_torch(module: str) -> None:
    program = f"import sys, {module}\n"
    if module == "hrm.count":
        program += f"{module}.format_presets('puzzle'), {module}.format_presets('text')\n"
    program += "assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


@pytest.fixture
def outside_family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The import path of the family of docs/python-api.md, in the current folder."""
    (source,) = re.findall(r"```python\n(# my_models.py\n.*?)```", DOCUMENT.read_text(), re.DOTALL)
    (tmp_path / "my_models.py").write_text(source + "NOT_A_FAMILY = 3\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return "my_models:FAMILY"


def test_a_family_from_outside_trains_a_task_with_its_own_optimizer(
    outside_family: str, data_cache: str
) -> None:
    values = {"family": outside_family, "model": SMALL_MODEL, "task": SMALL_TASK, "train": SMALL_TRAIN}
    config = RunConfig.from_dict(values).replace(**{"device": "cpu", "train.steps": 4})
    assert RunConfig.from_dict(config.to_dict()) == config
    trainer = Trainer(config, open_task(config.task))
    assert [type(optimizer) for optimizer in trainer.optimizers] == [torch.optim.SGD]
    assert all_reports(trainer)[-1].step == 4
    assert type(hrm.build(config)).__name__ == "SGDModel"


def test_a_family_from_outside_is_named_by_its_path_also_in_another_process(outside_family: str) -> None:
    family = get_family(outside_family)
    assert family.name == outside_family
    assert list_presets(outside_family) == list_presets("puzzle")
    assert pickle.loads(pickle.dumps(family)) == family
    text = {"family": outside_family, "task": "text"}
    with pytest.raises(ConfigError, match=f"fits the text family, not family={outside_family}"):
        RunConfig.from_dict(text)


@pytest.mark.parametrize("path", ["no_such_module:FAMILY", "my_models:NOT_A_FAMILY"])
def test_an_import_path_without_a_family_is_refused(outside_family: str, path: str) -> None:
    with pytest.raises(ImportPathError, match=f"family: given '{path}'"):
        get_family(path)
