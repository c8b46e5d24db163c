"""Publishing the offline runs and the Report of a sweep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from hrm.config.command_line import run_cli
from sweeps.analysis.sweep_folder import SweepFolder
from sweeps.callbacks.wandb.publish import publish
from sweeps.callbacks.wandb.report import build_wandb_report, read_published, write_wandb_report
from sweeps.callbacks.wandb.session import build_run_id
from sweeps.config import WandbConfig
from sweeps.errors import OutputError, PublishError
from sweeps.report.__main__ import main
from sweeps.results.output_dir import lock_output_dir
from tests.sweeps.callbacks.wandb.wandb_sweep import SMALL, TINY, check_runs, ending, one_fails, watched_sweep
from tests.sweeps.wandb_server import ENTITY, WandbServer


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a sweep whose runs are offline; its failing trial is job 4."""
    out = tmp_path_factory.mktemp("wandb") / "sweep"
    watched_sweep(out, "offline", [], one_fails, **SMALL)
    return out


def panels(spec: dict[str, Any]) -> list[dict[str, Any]]:
    grids = [block["metadata"] for block in spec["blocks"] if block["type"] == "panel-grid"]
    return [panel for grid in grids for panel in grid["panelBankSectionConfig"]["panels"]]


def test_the_report_is_saved_beside_the_tables_without_a_login(sweep: Path) -> None:
    write_wandb_report(sweep, SweepFolder.read(sweep))
    saved = json.loads((sweep / "wandb_report.json").read_text())
    blocks = [block for block in saved["spec"]["blocks"] if block["type"] != "paragraph"]
    assert saved["project"] == "hrm-sweeps" and saved["title"] == SweepFolder.read(sweep).metadata.question
    assert blocks[0]["content"].startswith("## Verdict\n\n**"), "the verdict comes first"
    kinds = [panel["viewType"] for panel in panels(saved["spec"])]
    assert kinds == [
        "Parallel Coordinates Plot",
        "Parameter Importance",
        "Scatter Plot",
        "Run History Line Plot",
        "Scatter Plot",
        "Scatter Plot",
        "Run History Line Plot",
        "Run History Line Plot",
        "Bar Chart",
        "Bar Chart",
        "Run Comparer",
    ]
    coordinates, _, over_time, *_ = (panel["config"] for panel in panels(saved["spec"]))
    assert [column["accessor"] for column in coordinates["columns"]] == [
        *(f"config:p.value.{name}" for name in SweepFolder.read(sweep).metadata.value_names),
        "summary:objective",
    ]
    assert over_time["xAxis"] == "run:createdAt" and over_time["showMaxYAxisLine"] is True


def test_publishing_brings_every_run_and_the_report(sweep: Path, server: WandbServer) -> None:
    url = publish(sweep)
    check_runs(sweep, server.runs)
    ((identity, saved),) = server.reports.items()
    assert url == f"{server.url}/{ENTITY}/hrm-sweeps/reports/{url.rpartition('/')[2]}" and identity in url
    assert (saved["entityName"], saved["projectName"]) == (ENTITY, "hrm-sweeps")
    assert json.loads(saved["spec"])["blocks"][1]["content"].startswith("## Verdict\n\n**")
    local, sent = json.loads((sweep / "wandb_report.json").read_text())["spec"], json.loads(saved["spec"])
    assert local.keys() == sent.keys() and len(local["blocks"]) == len(sent["blocks"]), (
        "as the server gets it"
    )
    assert read_published(sweep) == {"id": identity, "url": url}
    streamed = server.num_streamed
    assert publish(sweep) == url and len(server.reports) == 1, "the same Report, saved anew"
    assert server.num_streamed == streamed > 0, "no run is sent twice"
    assert not server.unknown and not server.sweeps, "a W&B Sweep only where it is asked for"


def test_the_search_can_fill_a_sweep_s_page(
    sweep: Path, server: WandbServer, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert run_cli(main, [str(sweep), "--as-sweep"]) == 0, capsys.readouterr().err
    assert f"W&B Sweep: {server.url}/{ENTITY}/hrm-sweeps/sweeps/sweep0\n" in capsys.readouterr().out
    ((_, registered),) = server.sweeps.items()
    assert (registered["entityName"], registered["projectName"]) == (ENTITY, "hrm-sweeps")
    folder = SweepFolder.read(sweep)
    runs = [build_run_id(folder.metadata, row["number"]) for row in folder.select("search")]
    assert all(run in registered["priorRunsFilters"] for run in runs)
    config = yaml.safe_load(registered["config"])
    assert config["metric"] == {"name": "objective", "goal": "maximize"}
    tried = list(dict.fromkeys(row["p.H_layers"] for row in folder.select("search")))
    assert config["parameters"]["p"]["parameters"]["H_layers"]["values"] == tried
    assert read_published(sweep)["sweep"] == {"id": "sweep0", "runs": runs}
    assert not server.unknown


def test_what_is_missing_is_said(sweep: Path) -> None:
    with pytest.raises(PublishError) as refused:
        publish(sweep)
    assert str(refused.value).startswith(f"--publish: given '{sweep}'; needs a W&B login")


def test_a_sweep_without_runs_is_refused(tmp_path: Path, server: WandbServer) -> None:
    with pytest.raises(PublishError, match="holds no W&B runs"):
        publish(tmp_path)
    assert not server.runs and not server.reports


def test_a_sweep_that_still_runs_is_refused(sweep: Path, server: WandbServer) -> None:
    with lock_output_dir(sweep), pytest.raises(OutputError, match="another process is running"):
        publish(sweep)
    assert not server.runs


@pytest.mark.slow
def test_a_server_that_takes_nothing_ends_in_a_message(
    tmp_path: Path, server: WandbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeps.callbacks.wandb.publish.SYNC_SECONDS", 2.0)
    watched_sweep(tmp_path / "sweep", "offline", [], **TINY)
    server.dies_after = 0
    with pytest.raises(PublishError, match="could not be synced"):
        publish(tmp_path / "sweep")


def test_what_a_dead_server_left_unsent_is_sent_later(
    tmp_path: Path, server: WandbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeps.callbacks.wandb.session.FINISH_SECONDS", 1.0)
    out, warnings = tmp_path / "sweep", []
    watched_sweep(out, "online", warnings, ending(server, one_fails), **SMALL)
    assert len(warnings) == 1
    server.dies_after = None
    publish(out)
    check_runs(out, server.runs)


def test_an_entity_is_not_asked_for_twice(sweep: Path) -> None:
    built = build_wandb_report(SweepFolder.read(sweep), WandbConfig(entity="team", project="mine"))
    assert (built.entity, built.project) == ("team", "mine")


def test_the_report_s_door_publishes_or_says_what_is_missing(
    sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(main, [str(sweep), "--publish"]) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"error: --publish: given '{sweep}'; needs a W&B login, and there is none")
    assert (sweep / "wandb_report.json").exists() and "Report: " in said.out
