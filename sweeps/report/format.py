"""Numbers and values as the report writes them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sweeps.analysis.scaling import Interval
from sweeps.analysis.statistics import Estimate
from sweeps.results.tables import format_short

NONE = "–"


def format_score(value: float | None) -> str:
    """Return three decimals."""
    return NONE if value is None else f"{value:.3f}"


def format_interval(found: Estimate | None) -> str:
    """Return `0.873 ± 0.021`; of a single run the mean alone."""
    if found is None:
        return NONE
    return f"{found.mean:.3f}" + ("" if found.half_width is None else f" ± {found.half_width:.3f}")


def format_estimate(found: Estimate | None) -> str:
    """Return `0.873 ± 0.021, n = 5`."""
    return NONE if found is None else f"{format_interval(found)}, n = {found.n}"


def format_p_value(value: float | None) -> str:
    """Return three decimals, and `< 0.001` below them."""
    return "< 0.001" if value is not None and value < 0.001 else format_score(value)


def format_count(value: float | None) -> str:
    """Return a whole number with thousands separated."""
    return NONE if value is None else f"{value:,.0f}"


def format_percent(fraction: float | None) -> str:
    """Return a percentage, rounded down so that no budget looks fuller than it is."""
    return NONE if fraction is None else f"{int(fraction * 1000) / 10:.1f}%"


def format_seconds(value: float) -> str:
    """Return seconds, or minutes from two minutes on."""
    return f"{value:.1f} s" if value < 120 else f"{value / 60:.1f} min"


def format_values(values: Mapping[str, Any]) -> str:
    """Return `H_layers=2 lr=0.002`, without missing values."""
    return " ".join(f"{name}={format_short(value)}" for name, value in values.items() if value is not None)


def format_prediction(found: Interval) -> str:
    """Return `0.546 (0.05 to 1)`."""
    texts = (
        f"{value:.3g}" if math.isfinite(value) and abs(value) < 1e6 else f"{value:.0e}"
        for value in (found.middle, found.low, found.high)
    )
    return "{} ({} to {})".format(*texts)
