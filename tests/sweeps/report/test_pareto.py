from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from sweeps.analysis.pareto import FILE_NAME, write_pareto
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.config import BudgetConfig, ConfirmConfig
from sweeps.report.charts.pareto import build_front
from sweeps.report.markdown import render_markdown
from sweeps.report.sections import build_report
from sweeps.results.schema import OBJECTIVE_PREFIX
from sweeps.search.pareto_front import dominates
from tests.sweeps.synthetic_sweep import run_sweep

NAMES = ["valid/blank_accuracy", "params"]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    budget = BudgetConfig(max_params="tiny_demo", min_params=0.3)
    out = run_sweep(tmp_path_factory.mktemp("pareto"), objective=NAMES[0], objectives=NAMES, budget=budget,
                    confirm=ConfirmConfig(finalists=3, seeds=2))  # fmt: skip
    write_pareto(out, SweepFolder.read(out))
    return out


@cache
def folder(out: Path) -> SweepFolder:
    return SweepFolder.read(out)


def test_the_table_holds_every_objective(out: Path) -> None:
    for row in folder(out).trials:
        if row["status"] != "failed":
            assert row[OBJECTIVE_PREFIX + "valid/blank_accuracy"] == row["objective"]
            assert row[OBJECTIVE_PREFIX + "params"] == row["params"]


def test_the_result_names_the_front_and_its_reference_point(out: Path) -> None:
    found: dict[str, Any] = json.loads((out / FILE_NAME).read_text())
    rows = {row["arm"]: row for row in folder(out).select("search", "completed")}
    points = {arm: (-row["objective"], row["params"]) for arm, row in rows.items()}
    expected = [arm for arm in points if not any(dominates(other, points[arm]) for other in points.values())]
    assert [one["name"] for one in found["front"]] == expected
    assert found["reference"] == [0.0, 527_490.0] and found["directions"] == ["maximize", "minimize"]
    steps = sorted((points[arm][1], -points[arm][0]) for arm in expected)
    widths = [after[0] - before[0] for before, after in zip(steps, [*steps[1:], (527_490, 0)], strict=True)]
    area = sum(width * score for width, (_, score) in zip(widths, steps, strict=True))
    assert found["hypervolume"] == pytest.approx(area / 527_490)
    [preset] = found["presets"]
    assert preset["name"] == "tiny_demo"
    place = (-preset["values"][0], preset["values"][1])
    assert preset["dominated_by"] == [arm for arm in points if dominates(points[arm], place)]


def test_the_report_says_front_volume_places_and_what_is_confirmed(out: Path) -> None:
    found = folder(out)
    pareto = found.pareto
    assert pareto is not None
    text = render_markdown(build_report(found))
    section = text.split("## Pareto front")[1].split("\n## ")[0]
    assert (
        f"{len(pareto.front)} of {pareto.num_configurations} completed configurations are on the front"
        in section
    )
    assert f"Hypervolume {pareto.hypervolume:.4f}" in section
    assert "reference point (valid/blank_accuracy 0.000, params 527,490)" in section
    for one in pareto.front:
        assert f"| {one.name} | {one.values[0]:.3f} | {one.values[1]:,.0f} |" in section
    for arm in found.comparisons.arms:
        if not arm.is_baseline:
            share = (arm.params - 527_490) / 527_490
            assert f"{arm.name} and tiny_demo: test/blank_accuracy **" in section
            assert f"params {arm.params:,} against 527,490 ({share:+.1%})" in section
            assert text.split("## Pareto front")[0].count(f"{arm.name} (") >= 1, (
                "a sentence of the verdict each"
            )
    assert "tiny_demo (valid/blank_accuracy" in section


def test_the_figure_marks_the_front(out: Path) -> None:
    chart = build_front(folder(out))
    assert chart is not None
    [panel] = chart.panels
    layers = {layer.name: layer for layer in panel.layers}
    pareto = folder(out).pareto
    assert pareto is not None
    marked = layers["on the front"]
    assert sorted(marked.x) == sorted(one.values[1] for one in pareto.front)  # type: ignore[union-attr]
    assert {"search trials", "tiny_demo, one seed each"} <= set(layers)


def test_one_objective_has_no_front(tmp_path: Path) -> None:
    alone = run_sweep(tmp_path / "one", num_trials=3)
    found = SweepFolder.read(alone)
    assert write_pareto(alone, found) is None and not (alone / FILE_NAME).exists()
    assert found.pareto is None and build_front(found) is None
    assert not [name for name in found.trials[0] if name.startswith(OBJECTIVE_PREFIX)]
