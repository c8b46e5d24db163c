"""Provenance of results: code, versions and hardware."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hrm.system.machine import count_cpus, get_memory_bytes

PACKAGES = ("hrm-sweeps", "torch", "ray", "optuna", "numpy")


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What all rows of a sweep share."""

    commit: str | None
    """Git commit of the code, null outside a repository."""
    dirty: bool | None
    """Whether tracked files differ from that commit, null outside a repository."""
    versions: dict[str, str | None]
    """Versions of Python and of the packages that influence results; null for one that is not installed."""
    hardware: dict[str, Any]
    """`cpu` model, usable `cores` and `memory_bytes`, names of `gpus`."""

    @classmethod
    def collect(cls) -> Provenance:
        """Collect the provenance of what this process runs."""
        commit, dirty = read_git_state(Path(__file__))
        return cls(commit=commit, dirty=dirty, versions=_find_versions(), hardware=_describe_hardware())

    def columns(self) -> dict[str, Any]:
        """Return the values as columns of the trials table."""
        return {
            "commit": self.commit,
            "dirty": self.dirty,
            "versions": json.dumps(self.versions),
            "hardware": json.dumps(self.hardware),
        }


def read_git_state(file: Path) -> tuple[str | None, bool | None]:
    """Return commit and dirtiness of the repository that tracks `file`; (None, None) if none does.

    A copy installed inside somebody else's repository is not tracked there: its commit would mean nothing.
    """
    git = ("git", "-C", str(file.parent))
    if _run(*git, "ls-files", "--error-unmatch", file.name) is None:
        return None, None
    changes = _run(*git, "status", "--porcelain", "--untracked-files=no")
    return _run(*git, "rev-parse", "HEAD"), None if changes is None else bool(changes)


def _run(*command: str) -> str | None:
    """Return what a command prints, None if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _find_versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    return found


def _describe_hardware() -> dict[str, Any]:
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        gpus.append("Apple MPS")
    return {"cpu": _find_cpu_model(), "cores": count_cpus(), "memory_bytes": get_memory_bytes(), "gpus": gpus}


def _find_cpu_model() -> str:
    """Return the processor's own name if the system knows it, else its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    if platform.system() == "Darwin":
        names = [_run("sysctl", "-n", "machdep.cpu.brand_string") or ""]
    return next(filter(None, names), "") or platform.processor() or platform.machine()
