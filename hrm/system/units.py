"""Large numbers as people read them."""

from __future__ import annotations

_DECIMAL = ("", "k", "M", "G", "T", "P", "E")


def format_scaled(number: float) -> str:
    """Three digits and a decimal prefix: 27275778 to `27.3M`, 1.2e12 to `1.2T`."""
    return _with_prefix(number, 1000, _DECIMAL)


def format_flops(number: float) -> str:
    """Three digits and a decimal prefix: 1.27e12 to `1.27 TFLOPs`."""
    return _with_prefix(number, 1000, tuple(f" {prefix}FLOPs" for prefix in _DECIMAL))


def format_bytes(number: float) -> str:
    """Three digits and a binary prefix: 1048576 to `1 MiB`."""
    return _with_prefix(number, 1024, (" bytes", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"))


def format_percent(fraction: float) -> str:
    """A signed percentage of one decimal, or one digit where that would be none: 0.0912 to `+9.1%`."""
    if fraction == 0:
        return "0%"
    return f"{fraction:+.1%}" if abs(fraction) >= 0.0005 else f"{100 * fraction:+.1g}%"


def _with_prefix(number: float, base: int, prefixes: tuple[str, ...]) -> str:
    power = 0
    # Rounded before it is compared: 999.9 is 1k.
    while abs(round(number)) >= base and power < len(prefixes) - 1:
        number, power = number / base, power + 1
    shown = f"{number:.3g}" if abs(number) < 999.5 else f"{number:.0f}"
    return f"{shown}{prefixes[power]}"
