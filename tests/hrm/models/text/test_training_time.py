"""Claims of time and memory against counted FLOPs and bytes."""

from __future__ import annotations

import pytest

from hrm.config.presets import Documented
from hrm.models.text.count_table import C4_TOKENS, memory_verdict, training_time
from hrm.models.text.counting import count
from tests.hrm.models.text.conftest import small_config

NAMES = {"output_dir": "{dataset}", "hub_repo": "{dataset}"}


def test_time_is_flops_of_the_tokens_over_the_rate() -> None:
    config = small_config()
    time = training_time(config, Documented(epochs=2, subset_percent=10, training_hours="1-2", **NAMES))
    assert time is not None
    assert time.tokens == pytest.approx(0.2 * C4_TOKENS)
    flops = count(config).flops_per_step * time.tokens / config.seq_len
    assert time.most_hours == pytest.approx(flops / (312e12 * 0.4) / 3600)
    assert time.least_hours < time.most_hours
    assert training_time(config, Documented(**NAMES)) is None


@pytest.mark.parametrize(
    ("claimed", "verdict"),
    [("0.00001", "no: at least"), ("1000000-2000000", "yes: at most"), ("0.00001-1000000", "plausible")],
)
def test_verdicts(claimed: str, verdict: str) -> None:
    time = training_time(small_config(), Documented(training_hours=claimed, **NAMES))
    assert time is not None and time.verdict.startswith(verdict)


def test_memory() -> None:
    assert memory_verdict(4 * 10**9, "2-4") == "yes"
    assert memory_verdict(int(10.9e9), "8") == "no: it takes 11 GB"
    assert memory_verdict(97 * 10**9, "16+") == "a floor: it takes 97 GB"
