"""Several sweeps by one command: each in a folder of its own, each with the command that starts it alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweeps.cli.main import describe_multirun_sweep, set_multirun_folder
from sweeps.config import SweepConfig
from tests.sweeps.door_cases import call

ASKED = ["space=space_1", "++budget.max_params=0.25M,0.5M", "++seed=0,1", "++out=there", "-m"]


def test_a_folder_is_named_by_what_varies() -> None:
    overrides = ["space=space_1", "++budget.max_params=0.5M", "++seed=1", "++out=there"]
    command, folder = describe_multirun_sweep(overrides, ASKED, {"space_1": "my spaces/mine.yaml"})
    assert folder == "max_params-0.5M_seed-1"
    assert command == ["space=my spaces/mine.yaml", "budget.max_params=0.5M", "seed=1", "out=there"]


@pytest.mark.parametrize(
    ("override", "folder"),
    [
        ("space=space_2", "space-mine"),
        ("++baseline.presets=[tiny_demo]", "presets-tiny_demo"),
        ("++train.lr=1e-3", "lr-1e-3"),
    ],
)
def test_a_folder_s_name_holds_no_special_characters(override: str, folder: str) -> None:
    assert describe_multirun_sweep([override], ["-m"], {"space_2": "a/b/mine.yaml"})[1] == folder


def test_folders_lie_together() -> None:
    config = SweepConfig(space={"name": "s"})
    alone = set_multirun_folder(config, "seed-1", started=0.0)
    assert alone.out is not None and alone.out.startswith("outputs/multirun-19")
    assert alone.out == set_multirun_folder(config, "seed-1", started=0.0).out
    assert (
        set_multirun_folder(SweepConfig(space={"name": "s"}, out="there"), "seed-1", 0.0).out
        == "there/seed-1"
    )


def test_each_sweep_is_run_in_its_folder_with_its_own_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The door up to `sweep.run`; what that does is tested with one sweep."""
    asked: list[tuple[str | None, int, list[str]]] = []

    def run(config: SweepConfig, command: list[str], resume: bool) -> None:
        asked.append((config.out, config.seed, command))

    monkeypatch.setattr("sweeps.sweep.run", run)
    ended = call("-m", "space=cycles", "seed=3,4", f"out={tmp_path}")
    assert ended.code == 0, ended.err
    assert asked == [
        (str(tmp_path / f"seed-{seed}"), seed, ["space=cycles", f"seed={seed}", f"out={tmp_path}"])
        for seed in (3, 4)
    ]
    asked.clear()
    assert call("space=cycles", "seed=3", f"out={tmp_path}").code == 0
    assert asked == [(str(tmp_path), 3, ["space=cycles", "seed=3", f"out={tmp_path}"])]
