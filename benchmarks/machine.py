"""The machine on which a benchmark ran, for its output."""

from __future__ import annotations

from sweeps.results.metadata import Provenance


def describe() -> str:
    """Return processor, cores, GPUs, torch and commit in one line."""
    found = Provenance.collect()
    hardware = found.hardware
    gpus = ", ".join(hardware["gpus"]) or "none"
    return (
        f"{hardware['cpu']}, {hardware['cores']} cores, GPUs: {gpus}; "
        f"torch {found.versions['torch']}, commit {found.commit}{' with changes' if found.dirty else ''}"
    )
