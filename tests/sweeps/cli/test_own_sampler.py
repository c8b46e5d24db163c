"""A sampler from outside the repository, by its import path."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.sweeps.door_cases import call
from tests.sweeps.test_sweep import SPACE

SAMPLER = """\
import optuna

def build_mine(context, *, num_draws: int = 3):
    return optuna.samplers.RandomSampler(seed=context.trial_seed + num_draws)
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "mine.yaml").write_text(SPACE)
    (tmp_path / "own_sampler.py").write_text(SAMPLER)
    return tmp_path


def test_it_is_chosen_with_its_options() -> None:
    shown = call("space=mine.yaml", "sampler=own_sampler:build_mine", "sampler.num_draws=5", "--cfg", "job")
    assert shown.code == 0, shown.err
    assert yaml.safe_load(shown.out)["sampler"] == {"name": "own_sampler:build_mine", "num_draws": 5}
    done = call("space=mine.yaml", "sampler=own_sampler:build_mine", "dry_run=true")
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sampler=own_sampler:build_yours"], "cannot be imported: AttributeError"),
        (["sampler=nowhere:build"], "cannot be imported: ModuleNotFoundError"),
        (["sampler=own_sampler:build_mine", "sampler.draws=5"], "must be one of: num_draws"),
    ],
)
def test_a_mistake_is_one_message(arguments: list[str], message: str) -> None:
    ended = call("space=mine.yaml", *arguments, "dry_run=true")
    assert ended.code == 2
    assert message in ended.err and len(ended.err.splitlines()) == 1


def test_it_must_be_the_same_on_resuming(here: Path) -> None:
    shown = call("space=mine.yaml", "sampler=own_sampler:build_mine", "--cfg", "job")
    (here / "found").mkdir()
    (here / "found" / "config.yaml").write_text(shown.out)
    assert call("resume=found", "sampler=own_sampler:build_mine", "dry_run=true").code == 0
    other = call("resume=found", "sampler=tpe", "dry_run=true")
    assert other.code == 2 and "sampler is 'own_sampler:build_mine', not 'tpe'" in other.err
