"""A cache of prepared data: a folder for each key, written atomically and used only while its checksums are right."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from hrm.config.errors import DataError

CACHE_VARIABLE = "HRM_SWEEPS_CACHE"
MANIFEST = "checksums.json"
MAX_COPIES = 16


def get_cache_root() -> Path:
    """Return the folder of all prepared data: `$HRM_SWEEPS_CACHE`, or `~/.cache/hrm-sweeps`."""
    return Path(os.environ.get(CACHE_VARIABLE) or "~/.cache/hrm-sweeps").expanduser()


def get_or_build(kind: str, key: Mapping[str, Any], build: Callable[[Path], None]) -> Path:
    """Return the folder that holds what `build` writes for `key`, and build it if there is no intact copy.

    Several processes may call this at once: each builds in a folder of its own, and one renames it into place. A
    damaged copy is skipped for a new one and never deleted, because another process may have it open.

    Args:
        kind: readable start of the folder's name.
        key: everything that decides the content, as JSON values.
        build: writes files (no subfolders) into the empty folder that it is given.

    Raises:
        DataError: the cache cannot be written, or every copy in it is damaged.
    """
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    root = get_cache_root()
    for copy in range(MAX_COPIES):
        folder = root / (f"{kind}-{digest}" if copy == 0 else f"{kind}-{digest}-{copy}")
        try:
            if not folder.exists():
                _build_and_rename(build, folder)
        except OSError as error:
            hint = f"Set {CACHE_VARIABLE} to another folder, or free some space"
            rule = "must be a folder that can be written"
            raise DataError(f"data cache {root}", str(error), rule, hint) from None
        if _is_intact(folder):
            return folder
    given = f"{MAX_COPIES} damaged copies of {kind}-{digest}"
    hint = f"Delete {root} and check the disk"
    raise DataError(f"data cache {root}", given, "files must stay as they were written", hint)


def compute_fingerprint(folder: Path) -> str:
    """Return a hash of the content of a cached folder: equal content, equal hash, wherever it was made."""
    checksums = json.loads((folder / MANIFEST).read_text())
    return hashlib.sha256(json.dumps(checksums, sort_keys=True).encode()).hexdigest()[:16]


def describe_files(paths: Iterable[Path]) -> dict[str, tuple[int, int]]:
    """Return size and modification time of each file, which tell in a key whether it has changed."""
    stats = {str(path): path.stat() for path in paths}
    return {path: (stat.st_size, stat.st_mtime_ns) for path, stat in stats.items()}


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _build_and_rename(build: Callable[[Path], None], folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    workplace = Path(tempfile.mkdtemp(prefix=".making-", dir=folder.parent))
    try:
        build(workplace)
        checksums = {path.name: hash_file(path) for path in sorted(workplace.iterdir())}
        (workplace / MANIFEST).write_text(json.dumps(checksums))
        workplace.chmod(0o755)
        try:
            workplace.rename(folder)
        except OSError:  # another process has renamed its copy first
            if not folder.exists():
                raise
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


def _is_intact(folder: Path) -> bool:
    try:
        checksums = json.loads((folder / MANIFEST).read_text())
        return all(hash_file(folder / name) == checksum for name, checksum in checksums.items())
    except (OSError, ValueError, AttributeError):
        return False
