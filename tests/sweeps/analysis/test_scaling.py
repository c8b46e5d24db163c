"""Sweeps made by a planted law: the report says the law, tests it, extrapolates it, and no more than that."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hrm.config.command_line import run_cli
from sweeps.analysis.comparison import compare
from sweeps.analysis.scaling import ScalingFit, build_point, fit_scaling_laws
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.config import BaselineConfig, ConfirmConfig
from sweeps.report.__main__ import main
from sweeps.report.charts.chart import save_chart
from sweeps.report.files import find_common_parent
from sweeps.report.markdown import render_markdown
from sweeps.report.sections.scaling import build_scaling_report
from sweeps.results.metadata import PresetEntry
from tests.sweeps.confirmed_table import metadata, trials
from tests.sweeps.synthetic_sweep import collect_charts, run_sweep

BUDGETS = [250_000, 500_000, 1_000_000, 2_000_000]
PRESETS = [("tiny_demo", 527_490), ("small", 27_000_000), ("huge", 10**9)]


def sweep(
    params: int,
    error: float,
    depth: int = 4,
    spread: float = 0.004,
    flops: int | None = None,
    seed: int = 0,
    **of_context: Any,
) -> SweepFolder:
    """A sweep with a good find of this error and depth, a poor one, and a preset."""
    rng = np.random.default_rng([seed, params])
    scores = {
        "trial 1": list(1 - error + rng.normal(0, spread, 5)),
        "trial 2": list(1 - 1.5 * error + rng.normal(0, spread, 5)),
        "tiny_demo": [0.1] * 5,
    }
    model = {"hidden_size": 16 * round(params**0.5 / 50), "H_layers": depth - 1, "L_layers": 1, "H_cycles": 1,
             "L_cycles": 1}  # fmt: skip
    config = json.dumps({"family": "puzzle", "model": model})
    other = json.dumps({"family": "puzzle", "model": model | {"H_layers": 7}})
    presets = [PresetEntry(name=name, params=size, left_out=None) for name, size in PRESETS]
    setting = metadata(max_params=params, presets=presets, **of_context)
    table = trials(
        scores, presets=("tiny_demo",), config={"trial 1": config, "trial 2": other, "tiny_demo": config},
        params=dict.fromkeys(scores, params),
        train_flops=dict.fromkeys(scores, 10**6 * params if flops is None else flops),
    )  # fmt: skip
    return SweepFolder(
        metadata=setting, trials=table.to_pylist(), curves={}, comparisons=compare(table, setting)
    )


def law(params: int) -> float:
    return 0.4 * (params / BUDGETS[0]) ** -0.3


def fits(folders: list[SweepFolder]) -> dict[tuple[str, str], ScalingFit]:
    points = [point for folder in folders if (point := build_point(folder)) is not None]
    return {(fit.quantity, fit.axis): fit for fit in fit_scaling_laws(points)}


def text(folders: list[SweepFolder]) -> str:
    return render_markdown(build_scaling_report(folders))


def test_a_planted_law_is_found_tested_and_extrapolated() -> None:
    folders = [sweep(params, law(params), depth=2 + i) for i, params in enumerate(BUDGETS)]
    found = fits(folders)[("error", "parameters")]
    assert found.law is not None and found.law.exponent_interval.contains(-0.3) and found.trend == "falls"
    assert found.held_out is not None and found.largest == found.y[-1] and found.may_extrapolate
    assert found.predict(27_000_000).contains(law(27_000_000))
    assert fits(folders)[("depth", "parameters")].trend == "grows"
    said = text(folders)
    assert "- error against parameters: **falls**, exponent -0." in said
    assert "predicted the largest sweep within its interval" in said
    assert "**This is extrapolation**" in said and "| small | 27,000,000 | 13.5 |" in said
    assert "huge" not in said and "tiny_demo |" not in said, "neither beyond reach nor within the sweeps"


def test_a_law_that_breaks_at_the_largest_sweep_is_not_trusted() -> None:
    folders = [sweep(params, law(params), spread=0.001) for params in [*BUDGETS, 4_000_000]]
    folders[-1] = sweep(4_000_000, law(250_000), spread=0.001)
    found = fits(folders)[("error", "parameters")]
    assert found.held_out is not None and not found.may_extrapolate
    assert "do not extrapolate" in text(folders)
    assert "| small | 27,000,000 | 6.8 | the law failed |" in text(folders)


def test_noise_has_no_trend() -> None:
    """Sweeps whose errors do not depend on their size, with scatter: a trend is told of few."""
    told = 0
    for seed in range(20):
        errors = np.random.default_rng(seed).normal(0.4, 0.04, len(BUDGETS))
        folders = [sweep(p, float(e), seed=seed) for p, e in zip(BUDGETS, errors)]
        told += fits(folders)[("error", "parameters")].trend != "no trend can be told"
    assert told <= 3
    assert "no trend can be told, the exponent may be 0" in text(
        [sweep(params, error) for params, error in zip(BUDGETS, (0.4, 0.43, 0.38, 0.41))]
    )


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: [sweep(p, law(p)) for p in BUDGETS[:2]], "no law: a law takes 3 sweeps or more"),
        (lambda: [sweep(p, law(p), flops=7) for p in BUDGETS],
         "error against training FLOPs: no law: the sweeps span less than a factor of 2."),
        (lambda: [sweep(p, law(p)) for p in BUDGETS[:3]], "Untested: leaving the largest out leaves too few."),
        (lambda: [sweep(BUDGETS[0], 0.4), sweep(BUDGETS[1], 0.4, task="sudoku9")],
         "The sweeps differ in their task (sudoku6, sudoku9): no law joins their scores."),
    ],
)  # fmt: skip
def test_what_cannot_be_fitted_is_said(make: Callable[[], list[SweepFolder]], said: str) -> None:
    assert said in text(make())


def test_seeds_of_one_budget_are_put_side_by_side_and_no_law_is_spoken_of() -> None:
    said = text([sweep(BUDGETS[0], 0.4 + 0.01 * seed, seed=seed) for seed in range(3)])
    assert said.startswith("# Several sweeps, side by side")
    assert "There is no law: the sweeps span less than a factor of 2." in said
    assert "power law" not in said and "y = a x^b" not in said
    assert [f"| {i}. " in said.partition("## Sweeps")[2] for i in (1, 2, 3)] == [True] * 3


def test_extrapolation_ends_where_a_quantity_does() -> None:
    found = fits([sweep(params, law(params), depth=5 - i) for i, params in enumerate(BUDGETS)])
    depth, error = (found[(name, "parameters")].predict(10**12) for name in ("depth", "error"))
    assert (depth.low, depth.middle) == (1.0, 1.0), "there is no half of a layer"
    assert 0 < error.low < error.middle < error.high <= 1


def test_what_no_search_could_choose_is_not_fitted() -> None:
    quantities = {quantity for quantity, _ in fits([sweep(params, law(params)) for params in BUDGETS])}
    assert quantities == {"error", "width", "depth"}, "cycles are 1 in every find"


def test_a_loss_is_its_own_error() -> None:
    folder = sweep(BUDGETS[0], 0.4, objective="valid/loss")
    point = build_point(folder)
    assert point is not None and not point.maximizes and point.error_name == "test/loss"
    # The table's loss is 1 minus its score: the better objective, being a loss, is now the smaller one.
    assert point.best.name == "trial 2"


def test_choosing_again_brings_the_doubt_about_the_shape() -> None:
    """Two finds that seeds hardly tell apart: both depths are among the replicates."""
    folder = sweep(BUDGETS[0], 0.4, depth=4, spread=0.3)
    point = build_point(folder)
    assert point is not None
    assert set(point.draw_replicates(500, seed=0)["depth"]) == {4.0, 8.0}
    sure = build_point(sweep(BUDGETS[0], 0.4, depth=4, spread=0.001))
    assert sure is not None and set(sure.draw_replicates(500, seed=0)["depth"]) == {4.0}


def test_the_report_lies_above_the_sweeps(tmp_path: Path) -> None:
    assert find_common_parent([tmp_path / "a", tmp_path / "b" / "c"]) == tmp_path.resolve()
    assert find_common_parent([tmp_path / "a", tmp_path / "a"]) == tmp_path.resolve()


def test_the_door_writes_what_several_sweeps_say_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = {"baseline": BaselineConfig(trials=1), "confirm": ConfirmConfig(finalists=1, seeds=2)}
    first = run_sweep(tmp_path / "one", num_trials=3, **few)
    shutil.copytree(first, tmp_path / "other")
    assert run_cli(main, [str(first), str(tmp_path / "other")]) == 0
    assert "Together: " in capsys.readouterr().out
    said = (tmp_path / "scaling.md").read_text()
    assert "no law: a law takes 3 sweeps or more" in said
    assert (tmp_path / "scaling.html").read_text().startswith("<!doctype html>")


def test_figures_are_drawn(tmp_path: Path) -> None:
    folders = [sweep(params, law(params), depth=2 + i) for i, params in enumerate(BUDGETS)]
    charts = collect_charts(build_scaling_report(folders))
    assert set(charts) == {"side_by_side", "scaling_parameters", "scaling_training_FLOPs"}
    save_chart(charts["scaling_parameters"], "scaling_parameters", tmp_path)
    assert (tmp_path / "scaling_parameters.png").stat().st_size > 20_000
    presets = [layer for layer in charts["scaling_parameters"].panels[0].layers if "presets" in layer.name]
    assert len(presets) == 1 and dataclasses.asdict(presets[0])["x"] == [27.0]
