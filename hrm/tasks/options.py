"""What the option classes of several tasks share."""

from __future__ import annotations

from pathlib import Path


def make_absolute(config: object, field: str) -> None:
    """Makes the path in a field of a frozen config absolute, so that it holds in every process."""
    object.__setattr__(config, field, str(Path(getattr(config, field)).expanduser().absolute()))
