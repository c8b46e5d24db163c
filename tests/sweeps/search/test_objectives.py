from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from benchmarks.synthetic_curves import SyntheticCurves
from hrm.config.errors import ConfigError, UnknownNameError, UserError
from sweeps.config import BudgetConfig
from sweeps.events import Job, Validation
from sweeps.search.objectives import Objectives, expand_objective_name
from sweeps.space.candidates import Candidates
from tests.sweeps.search_cases import CONTINUOUS_SPACE, MODEL_FIELDS, SPACE, sweep_config

CURVES = SyntheticCurves(world=1)


def objectives(*names: str, **overrides: Any) -> Objectives:
    config = sweep_config(objective=names[0], objectives=list(names), **overrides)
    return Objectives.from_config(config, Candidates(config, MODEL_FIELDS))


def job() -> Job:
    config = sweep_config()
    candidate = Candidates(config, MODEL_FIELDS).preset("tiny_demo")
    return Job(number=0, kind="search", arm="trial 0", params={}, run=candidate.run,
               num_params=candidate.num_params, flops_per_step=candidate.flops_per_step)  # fmt: skip


def reports(num: int) -> list[Validation]:
    return [CURVES(job(), index) for index in range(1, num + 1)]


@pytest.mark.parametrize(
    ("name", "family", "whole"),
    [
        ("valid/loss", "puzzle", "valid/loss"),
        ("accuracy", "puzzle", "valid/blank_accuracy"),
        ("accuracy_auc", "puzzle", "valid/blank_accuracy_auc"),
        ("accuracy", "text", "valid/accuracy"),
        ("exact_accuracy", "puzzle", "valid/exact_accuracy"),
        ("bits_per_byte", "text", "valid/bits_per_byte"),
        ("params", "puzzle", "params"),
        ("flops", "puzzle", "inference_flops"),
        ("bytes", "text", "memory"),
        ("latency", "puzzle", "latency"),
    ],
)
def test_short_names_stand_for_what_there_is(name: str, family: str, whole: str) -> None:
    assert expand_objective_name(name, family) == whole


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"given 'parms'.*Did you mean 'params'\?"):
        expand_objective_name("parms", "puzzle")


def test_values_are_the_metric_and_the_exact_counts() -> None:
    found = objectives("valid/blank_accuracy", "params", "flops_per_step", "memory", "inference_flops")
    values = found.compute_values(job().run, reports(2))
    assert values is not None
    costs = Candidates(sweep_config(), MODEL_FIELDS).preset("tiny_demo").costs
    assert values[0] == reports(2)[-1].metrics["valid/blank_accuracy"]
    assert list(values[1:]) == [costs[name] for name in found.names[1:]]
    assert found.make_point(values) == [-values[0], *values[1:]]


def test_latency_is_what_the_last_report_measured() -> None:
    found = objectives("valid/blank_accuracy", "latency")
    assert found.reference == (0.0, 1.0) and found.costs == []
    slow, fast = (dataclasses.replace(one, metrics=one.metrics | {"valid/latency": seconds})
                  for one, seconds in zip(reports(2), (0.5, 0.25), strict=True))  # fmt: skip
    assert found.compute_values(job(), [slow, fast]) == (fast.metrics["valid/blank_accuracy"], 0.25)
    assert found.compute_values(job(), reports(1)) is None, "not measured"


@pytest.mark.parametrize("bad", [None, math.nan])
def test_without_the_metric_there_are_no_values(bad: float | None) -> None:
    last = dataclasses.replace(reports(1)[0], metrics={"valid/blank_accuracy": bad})
    assert objectives("valid/blank_accuracy", "params").compute_values(job().run, [last]) is None
    assert objectives("valid/blank_accuracy", "params").compute_values(job().run, []) is None


def test_the_reference_point_is_the_budget_the_space_or_what_is_given() -> None:
    names = ("valid/blank_accuracy", "params", "inference_flops", "valid/loss")
    found = objectives(*names)
    most = Candidates(sweep_config(objectives=list(names)), MODEL_FIELDS).shapes
    assert most is not None
    assert found.reference == (0.0, 527_490, max(most.costs["inference_flops"]), math.log(256))
    given = objectives(*names, reference_point=[0.25, "1M", "tiny_demo", None])
    flops = Candidates(sweep_config(), MODEL_FIELDS).preset("tiny_demo").costs["inference_flops"]
    assert given.reference == (0.25, 1_000_000, flops, math.log(256))
    assert given.scale_point([0.25, 1e6, flops, math.log(256)]) == [1, 1, 1, 1]
    assert given.scale_point([1, 0, 0, 0]) == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("names", "overrides", "message"),
    [
        (["valid/loss"], {}, "two or more"),
        (["valid/loss", "valid/loss"], {}, "each once"),
        (["params", "valid/loss"], {}, "must begin with a metric"),
        (["latency", "valid/loss"], {}, "must begin with a metric"),
        (["valid/loss", "parms"], {}, "Did you mean 'params'"),
        (["valid/loss", "params"], {"reference_point": [1]}, "for each of 2 objectives"),
        (["valid/loss", "params"], {"reference_point": [0, None]}, "above 0 for valid/loss"),
        (["valid/accuracy", "params"], {"reference_point": [1, None]}, "from 0 to below 1"),
        (["valid/loss", "params"], {"reference_point": [None, "1X"]}, "whole number of parameters"),
    ],
)
def test_what_makes_no_front_is_refused(names: list[str], overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        objectives(*names, **overrides)


def test_without_a_bound_or_an_enumeration_the_reference_must_be_given() -> None:
    wide = SPACE["parameters"] | {"expansion": {"float": [2, 4]}}
    space = CONTINUOUS_SPACE | {"parameters": wide}
    with pytest.raises(
        ConfigError, match=r"begins: nothing bounds it here.*Set budget.max_params, or reference_point="
    ):
        objectives("valid/loss", "params", space=space, budget=BudgetConfig())
    found = objectives(
        "valid/loss", "params", space=space, budget=BudgetConfig(), reference_point=[None, "2M"]
    )
    assert found.reference == (math.log(256), 2_000_000)
