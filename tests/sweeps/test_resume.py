"""What `resume=DIR` takes and what it refuses, before anything is touched."""

from __future__ import annotations

import dataclasses
import fcntl
import re
from pathlib import Path

import pytest
import yaml

from hrm.config.schema import read_yaml, write_yaml
from sweeps.cli.resume import read_resumed_config
from sweeps.config import StopConfig
from sweeps.events import EVENT_LOG, EventLog, SessionStarted
from sweeps.results.output_dir import lock_output_dir
from sweeps.scheduler.resume import check_overrides
from tests.sweeps.door_cases import call, contents
from tests.sweeps.test_sweep import SPACE


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the user stands in, with a sweep in `found` that was stopped at once."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(SPACE)
    shown = call("space=mine.yaml", "--cfg", "job", "seed=3")
    assert shown.code == 0, shown.err
    (tmp_path / "found").mkdir()
    (tmp_path / "found" / "config.yaml").write_text(shown.out)
    return tmp_path


def test_it_goes_on_with_the_stored_configuration(here: Path) -> None:
    config = read_resumed_config(["resume=found"])
    assert (config.seed, config.num_trials, config.out) == (3, 4, str(here / "found"))
    assert (
        read_resumed_config(["resume=found", "space=mine.yaml", "task=sudoku4", "sampler=grid", "seed=3"])
        == config
    )


def test_a_configuration_with_removed_options_at_their_defaults_goes_on(here: Path) -> None:
    config = read_resumed_config(["resume=found"])
    stored = here / "found" / "config.yaml"
    stored.write_text(stored.read_text() + "pruning: {fidelity: fraction, within: all}\n")
    assert read_resumed_config(["resume=found"]) == config


@pytest.mark.parametrize(
    ("removed", "instead"),
    [
        ("pruning: {fidelity: steps, within: all}", "train.equal=steps"),
        ("pruning: {fidelity: fraction, within: depth}", "pruner.min_resource=N"),
        ("pruner: {name: wilcoxon, p_threshold: 0.1}", "Use pruner=median"),
        ("pruner: {name: extrapolation, margin: 1.0}", "Use pruner=patient"),
    ],
)
def test_a_stored_option_that_was_removed_is_refused_once(here: Path, removed: str, instead: str) -> None:
    stored = here / "found" / "config.yaml"
    values = read_yaml(stored) | yaml.safe_load(removed)
    write_yaml(values, stored)
    before = contents(here / "found")
    ended = call("resume=found")
    assert ended.code == 2
    assert "removed" in ended.err and instead in ended.err and len(ended.err.splitlines()) == 1
    assert contents(here / "found") == before


def test_an_option_may_have_its_old_name(here: Path) -> None:
    stored = here / "found" / "config.yaml"
    stored.write_text(stored.read_text().replace("resume_pruned: 0", "revive: 1"))
    silent, told = call("resume=found", "dry_run=true"), call("resume=found", "revive=2", "dry_run=true")
    assert (silent.code, silent.err) == (0, "")
    assert (told.code, told.err) == (0, "note: revive is called resume_pruned now\n")
    assert read_resumed_config(["resume=found", "revive=2"]).resume_pruned == 2
    first = call("space=mine.yaml", "pruner=median", "revive=2", "dry_run=true")
    assert (first.code, first.err) == (0, told.err) and "resumed trials" in first.out


def test_limits_grow_and_the_way_of_running_changes(here: Path) -> None:
    config = read_resumed_config(
        ["resume=found", "extend=5", "confirm.seeds=4", "max_concurrent=1", "wandb.mode=offline"]
    )
    assert (config.num_trials, config.confirm.seeds, config.max_concurrent) == (9, 4, 1)
    assert read_resumed_config(["resume=found", "resume_pruned=2"]).resume_pruned == 2
    assert read_resumed_config(["resume=found", "num_trials=7"]).num_trials == 7


def test_shorthands_mean_what_they_mean_on_a_first_run(here: Path) -> None:
    most = read_resumed_config(["resume=found"]).budget.max_params
    config = read_resumed_config(["resume=found", f"budget={most}", "wandb=online"])
    assert (config.budget.max_params, config.wandb.mode) == (most, "online")


def test_time_counts_anew_and_may_be_less(here: Path) -> None:
    stored = read_resumed_config(["resume=found", "stop.hours=1"])
    assert stored.stop.hours == 1
    for hours in (0.5, 2, None):
        check_overrides(stored, dataclasses.replace(stored, stop=StopConfig(hours=hours)))


def test_an_extension_counts_from_where_the_log_says_the_sweep_was_to_go(here: Path) -> None:
    log = EventLog(here / "found" / EVENT_LOG)
    log.write(
        SessionStarted(
            limits={
                "num_trials": 6,
                "baseline.trials": None,
                "confirm.finalists": 1,
                "confirm.seeds": 2,
                "stop.trials": None,
                "stop.hours": None,
                "stop.flops": None,
                "stop.no_improvement": None,
            },
            slots=2,
            memory_bytes=None,
        )
    )
    log.close()
    assert read_resumed_config(["resume=found", "extend=2"]).num_trials == 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resume=nowhere"], "no such folder"),
        (["resume=."], "no sweep in it"),
        (["extend=3"], "goes with resume=DIR"),
        (["resume=found", "extend=0"], "must be the number of search trials to add"),
        (["resume=found", "extend=2", "num_trials=9"], "leave num_trials out"),
        (["resume=found", "num_trials=3"], "num_trials: given 3; must be at least 4"),
        (["resume=found", "confirm.seeds=1"], "confirm.seeds"),
        (["resume=found", "resume_pruned=-1"], "resume_pruned: given -1; must be at least 0"),
        (["resume="], "resume: given ''; must be the folder of a sweep. For example: resume=outputs/first"),
        (["resume=", "extend=3"], "resume: given ''; must be the folder of a sweep"),
        (["resume=found", "stop.hours=0"], "stop.hours: given 0"),
        (
            ["resume=found", "stop.trials=9"],
            "stop.trials: given 9; must stay null: the sweep was to go on without",
        ),
        (["resume=found", "stop.flops=1e12"], "stop.flops: given 1000000000000; must stay null"),
        (["resume=found", "budget=0.2M"], "budget.max_params is .*, not '0.2M'"),
        (["resume=found", "wandb=onlin"], "wandb.mode: given 'onlin'; must be one of"),
        (["resume=found", "task.train_puzzles=64"], "task.train_puzzles is 32, not 64"),
        (["resume=found", "task=sudoku6"], "task is 'sudoku4', not 'sudoku6'"),
        (["resume=found", "sampler=tpe"], "sampler is 'grid', not 'tpe'"),
        (["resume=found", "space=cycles"], "space.name is 'mine', not 'cycles'"),
        (["resume=found", "train.steps=9", "seed=4"], r"train.steps is 8, not 9; seed is 3, not 4|seed is 3"),
        (["resume=found", "train.stesp=9"], "train"),
        (["resume=found", "nonsense"], "must read name=value"),
    ],
)
def test_what_is_not_how_it_began_is_refused(here: Path, arguments: list[str], message: str) -> None:
    before = contents(here)
    ended = call(*arguments)
    assert ended.code == 2
    assert re.search(message, ended.err), ended.err
    assert ended.err.count("\n") == 1
    assert contents(here) == before


def test_two_processes_do_not_run_one_sweep(here: Path) -> None:
    with (here / "found" / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        ended = call("resume=found")
    assert ended.code == 2 and "another process is running" in ended.err
    with lock_output_dir(here / "found"):
        pass


def test_a_new_sweep_in_its_folder_is_told_how_to_go_on(here: Path) -> None:
    ended = call("space=mine.yaml", "out=found")
    assert ended.code == 2
    assert "Resume it: python run_sweep.py resume=found, or choose another folder" in ended.err


def test_a_dry_run_says_what_would_be_gone_on_with(here: Path) -> None:
    ended = call("resume=found", "dry_run=true")
    assert ended.code == 0 and "Where do the layers go?" in ended.out
