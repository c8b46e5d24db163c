"""Files are whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from hrm.system.files import write_atomically


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "table"
    write_atomically(path, lambda temporary: temporary.write_text("old"))

    def broken(temporary: Path) -> None:
        temporary.write_text("ne")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, broken)
    assert path.read_text() == "old"
    write_atomically(path, lambda temporary: temporary.write_text("new"))
    assert path.read_text() == "new" and [entry.name for entry in tmp_path.iterdir()] == ["table"]
