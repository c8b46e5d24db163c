"""What a dry run prints."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hrm.config.errors import UnknownNameError
from hrm.config.presets import list_presets
from sweeps.config import StopConfig
from sweeps.dry_run import WIDTH, describe
from sweeps.space.candidates import Candidates
from tests.sweeps.small_sweep import space, sweep, task_fields

ROOT = Path(__file__).parents[2]
FILLED = space(
    {"H_layers": {"int": [1, 8]}, "L_layers": {"int": [1, 8]}, "lr": {"log": [1e-4, 1e-2], "num": 5}},
    derived={"hidden_size": "fill", "num_heads": "hidden_size // head_size"},
    fixed={"H_cycles": 1, "L_cycles": 1},
)


def described(asked: dict[str, Any], **options: Any) -> str:
    config = sweep(asked, **options)
    return describe(Candidates(config, task_fields()), config)


def line(text: str, label: str) -> str:
    """What stands beside a label, with the lines that go on below it."""
    lines = text.splitlines()
    start = next(i for i, one in enumerate(lines) if one.startswith(label))
    parts = [lines[start][len(label) :]]
    for one in lines[start + 1 :]:
        if not one.startswith(" " * 20):
            break
        parts.append(one)
    return " ".join(part.strip() for part in parts).strip()


@pytest.fixture(scope="module")
def text() -> str:
    return described(
        FILLED, max_params="tiny_demo", min_params=0.8, model={"halt_max_steps": 4}, num_trials=20
    )


def test_the_counts_stand_apart(text: str) -> None:
    assert text.startswith("What is asked?\n")
    assert line(text, "tuples") == "320"
    assert line(text, "distinct architectures") == "64"
    assert line(text, "  of them feasible") == "42"
    assert line(text, "distinct feasible trials") == "210"
    assert line(text, "parameters    ") == "430,882 to 527,490"
    assert line(text, "FLOPs per step") == "4.41G to 5.33G"
    assert line(text, "steps of a trial") == "580 to 701"
    assert line(text, "share of the budget used") == "81.7% to 100.0%"
    assert line(text, "iso-parameter shapes") == "19 of 42 use more than 95% of the budget"


def test_the_bounds_and_the_rules(text: str) -> None:
    assert line(text, "budget, parameters") == "at most 527,490 and at least 421,992"
    assert line(text, "compute of a trial") == "3.09 TFLOPs: what tiny_demo spends in 600 steps"
    assert line(text, "same in every arm") == "halt_max_steps=4"
    assert line(text, "search H_layers") == "1 to 8"
    assert line(text, "search lr") == "0.0001, 0.000316, 0.001, 0.00316, 0.01"
    assert line(text, "derive hidden_size") == "fill: the largest multiple of 16 within the budget"


def test_each_shape_shows_how_full_it_is(text: str) -> None:
    rows = [one.split() for one in text.splitlines()]
    names = ["H_layers", "L_layers", "hidden_size", "num_heads"]
    header = rows.index([*names, "parameters", "used", "inner/width", "FLOPs/step", "steps", "iso"])
    assert rows[header + 1] == ["1", "1", "128", "8", "527,490", "100.0%", "4.00", "5.16G", "600", "yes"]
    assert rows[header + 2] == ["1", "3", "96", "6", "444,770", "84.3%", "2.67", "4.47G", "692", "no"]
    assert rows[header + 43] == [] and sum(row[-1:] == ["yes"] for row in rows) == 19


def test_each_preset_has_its_place(text: str) -> None:
    for name in list_presets("puzzle"):
        assert any(one.startswith(f"{name} ") for one in text.splitlines())
    tiny = next(one for one in text.splitlines() if one.startswith("tiny_demo "))
    assert tiny.split() == ["tiny_demo", "527,490", "600", "5.16G", "fits:", "a", "baseline"]
    small = next(one for one in text.splitlines() if one.startswith("small_sudoku "))
    assert "3,414,274" in small and "exceeds budget.max_params=527,490" in small


def test_the_runs_are_counted(text: str) -> None:
    assert line(text, "search trials") == "20"
    assert line(text, "baseline trials") == "5: 5 of each of tiny_demo"
    assert line(text, "confirmation runs") == "9: 3 arms on 3 seeds"
    assert line(text, "runs in all") == "34"
    assert line(text, "training compute") == "at most 105 TFLOPs"
    assert line(text, "verdict by").startswith("Welch's t-test on fresh seeds")


def test_random_search_and_its_confirmations_are_counted() -> None:
    config = sweep(FILLED, max_params="tiny_demo", num_trials=20)
    config = dataclasses.replace(config, baseline=dataclasses.replace(config.baseline, random=True))
    text = describe(Candidates(config, task_fields()), config)
    assert line(text, "random search").startswith("about 20: ")
    assert line(text, "confirmation runs") == "12: 4 arms on 3 seeds"
    assert line(text, "runs in all") == "about 57"


def test_every_bound_and_limit_is_printed() -> None:
    config = sweep(FILLED, max_params="tiny_demo", num_trials=20)
    budget = dataclasses.replace(
        config.budget, max_memory="64MiB", max_inference_flops="800M", min_inference_flops=0.5
    )
    stop = StopConfig(trials=12, flops="2P", no_improvement=4, hours=1.5)
    config = dataclasses.replace(config, budget=budget, stop=stop)
    text = describe(Candidates(config, task_fields()), config)
    assert line(text, "budget, parameters") == "at most 527,490"
    assert line(text, "budget, bytes of memory") == "at most 67,108,864"
    assert line(text, "budget, inference FLOPs") == "at most 800,000,000 and at least 400,000,000"
    assert "budget, FLOPs per step" not in text
    assert line(text, "inference FLOPs") == "418M to 666M"
    assert line(text, "search trials") == "7" and line(text, "baseline trials").startswith("5:")
    assert line(text, "the sweep ends after") == (
        "12 search and baseline trials; or 2 PFLOPs of search and baseline training; or 4 search trials without "
        "a better best; or 1.5 hours, confirmations included, which depends on the machine: not reproducible"
    )


def test_the_label_of_a_measured_bound_is_apart_from_its_value() -> None:
    config = sweep(FILLED, max_params="1M", deterministic=False)
    config = dataclasses.replace(config, budget=dataclasses.replace(config.budget, max_latency="20ms"))
    text = describe(Candidates(config, task_fields()), config)
    assert "\nbudget, seconds of latency  at most 0.02, measured by each trial" in text


def test_no_more_trials_than_there_are() -> None:
    asked = space({"H_layers": [1, 2]}, fixed={"hidden_size": 64, "num_heads": 4, "L_layers": 1})
    text = described(asked, num_trials=50, max_params="0.3M")
    assert line(text, "search trials") == "2"
    assert line(text, "baseline trials") == "0: no preset fits"
    assert line(described(asked, num_trials=50, max_params="0.3M", replicates=3), "search trials") == "6"


def test_a_row_that_is_too_wide_keeps_its_last_cell_whole() -> None:
    many = {
        name: {"int": [1, 2]} for name in ("H_layers", "L_layers", "H_cycles", "L_cycles", "h_update_period")
    }
    text = described(space(many | {"puzzle_emb_ndim": [0, 8]}, fixed={"hidden_size": 64, "num_heads": 4}))
    [head] = [one for one in text.splitlines() if one.startswith("H_layers ") and one.endswith(" iso")]
    assert len(head) > WIDTH - 3
    assert sum(one.endswith(("  yes", "  no")) for one in text.splitlines()) >= 32


@pytest.mark.parametrize(
    "asked",
    [
        FILLED,
        space(
            {
                "expansion": {"float": [1, 8]},
                "hidden_size": {"int": [16, 128], "step": 16},
                "lr": {"log": [1e-4, 1e-2]},
            },
            derived={"num_heads": "hidden_size // 16"},
        ),
        space(
            {"pos_encodings": ["rope", "learned"], "q_continue": [True, False], "puzzle_emb_ndim": [None, 0]},
            fixed={"hidden_size": 64, "num_heads": 2},
        ),
    ],
)
def test_no_line_is_too_wide(asked: dict[str, Any]) -> None:
    text = described(asked, max_params="tiny_demo", train={"steps": 30})
    assert max(map(len, text.splitlines())) <= WIDTH
    assert not any(one != one.rstrip() for one in text.splitlines())


def test_a_continuous_space_says_what_is_not_counted() -> None:
    asked = space({"expansion": {"float": [1, 8]}, "lr": {"log": [1e-4, 1e-2]}}, fixed={"hidden_size": 64})
    text = described(asked, max_params="tiny_demo")
    assert line(text, "search expansion") == "1 to 8, continuous"
    assert (
        line(text, "tuples")
        == line(text, "architectures")
        == ("not counted: a range is continuous, or the space too large")
    )


def test_a_fixed_value_that_a_rule_overrides_is_not_shown_as_fixed() -> None:
    asked = space({"H_layers": [1, 2]}, fixed={"hidden_size": 64, "num_heads": 4})
    text = described(asked, model={"num_heads": 2})
    assert line(text, "fixed in the search") == "hidden_size=64"
    assert line(text, "same in every arm") == "num_heads=2"


def test_equal_steps() -> None:
    text = described(FILLED, max_params="tiny_demo", train={"equal": "steps", "steps": 40})
    assert line(text, "compute of a trial") == "the same 40 steps for all"
    assert line(text, "steps of a trial") == "40" and "training compute" not in text


def test_unchosen_and_unknown_baselines() -> None:
    text = described(FILLED, max_params="4M", baselines=["small_sudoku"])
    assert "fits, but baseline.presets leaves it out" in " ".join(text.split())
    with pytest.raises(UnknownNameError, match="Did you mean 'tiny_demo'"):
        described(FILLED, max_params="4M", baselines=["tiny_dem"])


def test_a_dry_run_imports_neither_torch_nor_ray() -> None:
    script = (
        "import sys; from sweeps.cli.main import main; main(['space=text_full', 'dry_run=true']); "
        "print(sorted({'torch', 'ray', 'wandb', 'matplotlib'}.intersection(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    *text, imported = ended.stdout.splitlines()
    assert text[0].endswith("of this size?") and imported == "[]"
