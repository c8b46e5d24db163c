"""Where a result comes from: code, versions, hardware."""

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
    """What every row of a sweep shares."""

    commit: str | None
    """Git commit of the code, null outside a repository."""
    dirty: bool | None
    """Whether tracked files differ from that commit, null outside a repository."""
    versions: dict[str, str | None]
    """Of python and the packages that decide results; null for one that is not installed as a package."""
    hardware: dict[str, Any]
    """`cpu` model, `cores` and `memory_bytes` usable, `gpus` names."""

    @classmethod
    def collect(cls) -> Provenance:
        """Of this process and the code it runs."""
        commit, dirty = git_state(Path(__file__))
        return cls(commit=commit, dirty=dirty, versions=versions(), hardware=hardware())

    def columns(self) -> dict[str, Any]:
        """As the trials table has it."""
        return {
            "commit": self.commit,
            "dirty": self.dirty,
            "versions": json.dumps(self.versions),
            "hardware": json.dumps(self.hardware),
        }


def git_state(file: Path) -> tuple[str | None, bool | None]:
    """Commit and dirtiness of the repository that tracks `file`; (None, None) where none does.

    A copy installed inside somebody else's repository is not tracked there: its commit would say nothing.
    """
    if _git(file.parent, "ls-files", "--error-unmatch", file.name) is None:
        return None, None
    changes = _git(file.parent, "status", "--porcelain", "--untracked-files=no")
    return _git(file.parent, "rev-parse", "HEAD"), None if changes is None else bool(changes)


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    return found


def hardware() -> dict[str, Any]:
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        gpus.append("Apple MPS")
    return {"cpu": _cpu_model(), "cores": count_cpus(), "memory_bytes": get_memory_bytes(), "gpus": gpus}


def _cpu_model() -> str:
    """The processor's own name where the system tells it, else its kind."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    except OSError:
        pass
    if platform.system() == "Darwin":
        try:
            asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(
                asked, capture_output=True, text=True, timeout=10, check=True
            ).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            pass
    return platform.processor() or platform.machine()
