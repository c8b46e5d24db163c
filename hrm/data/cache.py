"""A cache of prepared data: a folder per key, written atomically, believed only while its checksums hold."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hrm.config.errors import DataError

CACHE_VARIABLE = "HRM_SWEEPS_CACHE"
MANIFEST = "checksums.json"
MOST_COPIES = 16


def get_cache_root() -> Path:
    """The folder of all prepared data: `$HRM_SWEEPS_CACHE`, or `~/.cache/hrm-sweeps`."""
    return Path(os.environ.get(CACHE_VARIABLE) or "~/.cache/hrm-sweeps").expanduser()


def get_or_build(kind: str, key: Mapping[str, Any], build: Callable[[Path], None]) -> Path:
    """The folder that holds what `build` writes for `key`; builds it where no sound copy exists.

    Safe to call from several processes at once: each builds apart, and one renames its folder into place. A
    damaged copy is passed over for a new one, never deleted: another process may have it open.

    Args:
        kind: readable start of the folder's name.
        key: all that decides the content, as JSON values.
        build: writes files (no subfolders) into the empty folder that it is given.

    Raises:
        DataError: the cache cannot be written, or every copy in it is damaged.
    """
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    root = get_cache_root()
    for copy in range(MOST_COPIES):
        folder = root / (f"{kind}-{digest}" if copy == 0 else f"{kind}-{digest}-{copy}")
        try:
            if not folder.exists():
                _publish(build, folder)
        except OSError as error:
            raise DataError(
                f"data cache {root}", str(error), "must be a folder that can be written",
                f"Set {CACHE_VARIABLE} to another folder, or free some space",
            ) from None  # fmt: skip
        if _is_sound(folder):
            return folder
    raise DataError(f"data cache {root}", f"{MOST_COPIES} damaged copies of {kind}-{digest}",
                    "files must stay as they were written", f"Delete {root} and check the disk")  # fmt: skip


def compute_fingerprint(folder: Path) -> str:
    """Hash of the content of a cached folder: equal content, equal hash, wherever it was made."""
    checksums = json.loads((folder / MANIFEST).read_text())
    return hashlib.sha256(json.dumps(checksums, sort_keys=True).encode()).hexdigest()[:16]


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _publish(build: Callable[[Path], None], folder: Path) -> None:
    """Builds beside `folder` and renames; loses politely to whoever renamed first."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    workplace = Path(tempfile.mkdtemp(prefix=".making-", dir=folder.parent))
    try:
        build(workplace)
        checksums = {path.name: hash_file(path) for path in sorted(workplace.iterdir())}
        (workplace / MANIFEST).write_text(json.dumps(checksums))
        workplace.chmod(0o755)
        try:
            workplace.rename(folder)
        except OSError:
            if not folder.exists():
                raise
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


def _is_sound(folder: Path) -> bool:
    try:
        checksums = json.loads((folder / MANIFEST).read_text())
        return all(hash_file(folder / name) == checksum for name, checksum in checksums.items())
    except (OSError, ValueError, AttributeError):
        return False
