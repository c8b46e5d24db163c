"""Numbers as a reader wants them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hrm.units import in_flops
from sweeps.results.values import short

NONE = "–"


def score(value: float | None) -> str:
    return NONE if value is None else f"{value:.3f}"


def signed(value: float) -> str:
    return f"{value:+.3f}"


def plus_minus(mean: float | None, half_width: float | None) -> str:
    """`0.873 ± 0.021`; without an interval the mean alone."""
    return score(mean) if half_width is None else f"{score(mean)} ± {half_width:.3f}"


def p_value(value: float | None) -> str:
    if value is None:
        return NONE
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def count(value: float | None) -> str:
    return NONE if value is None else f"{value:,.0f}"


def percent(fraction: float | None) -> str:
    """Rounded down, so that nothing looks fuller than it is."""
    return NONE if fraction is None else f"{int(fraction * 1000) / 10:.1f}%"


def ratio(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}"


def flops(value: float | None) -> str:
    return NONE if value is None else in_flops(value)


def seconds(value: float | None) -> str:
    if value is None:
        return NONE
    return f"{value:.1f} s" if value < 120 else f"{value / 60:.1f} min"


def assignments(values: Mapping[str, Any]) -> str:
    """`H_layers=2 lr=0.002`."""
    return " ".join(f"{name}={short(value)}" for name, value in values.items() if value is not None)
