"""What every benchmark of time says first: on what it was measured."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from sweeps.results import provenance


def describe() -> str:
    """Processor, cores, GPUs, torch and commit, in a line."""
    hardware = provenance.hardware()
    commit, dirty = provenance.git_state(Path(__file__))
    gpus = ", ".join(hardware["gpus"]) or "none"
    return (
        f"{hardware['cpu']}, {hardware['cores']} cores, GPUs: {gpus}; "
        f"torch {version('torch')}, commit {commit}{' with changes' if dirty else ''}"
    )
