"""Folders by path and by URI: files are whole, removed files leave nothing, and missing storage is refused."""

from __future__ import annotations

import errno
import os
import pickle
from pathlib import Path
from typing import BinaryIO

import pytest
import torch
from pyarrow.fs import FileSystem

from sweeps.errors import ResourceError
from sweeps.execution.storage import Storage


@pytest.fixture(params=["path", "file", "mock"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """Return a folder that does not exist yet: by path, by URI, and in pyarrow's in-memory file system."""
    if request.param == "mock":
        filesystem, path = FileSystem.from_uri("mock:///here")
        return Storage(filesystem, path)
    place = tmp_path / "there"
    return Storage.at(place if request.param == "path" else f"file://{place}")


def read(storage: Storage, name: str) -> bytes:
    with storage.open(name) as file:
        return file.read()


def test_a_file_is_replaced_whole_and_goes_with_its_folder(storage: Storage, tmp_path: Path) -> None:
    job = storage / "7"
    with pytest.raises(FileNotFoundError):
        job.open("state")
    job.write("state", lambda file: file.write(b"old"))
    (storage / "8").write("state", lambda file: file.write(b"another"))

    def fails_half_way(file: BinaryIO) -> None:
        file.write(b"ne")
        raise OSError("the worker's disk")

    with pytest.raises(OSError, match="the worker's disk"):
        job.write("state", fails_half_way)
    assert read(job, "state") == b"old"
    job.write("state", lambda file: file.write(b"new"))
    assert read(job, "state") == b"new"

    job.fetch("state", tmp_path / "kept" / "state")
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["state"]
    assert (tmp_path / "kept" / "state").read_bytes() == b"new"

    job.remove()
    with pytest.raises(FileNotFoundError):
        job.fetch("state", tmp_path / "nothing" / "state")
    assert not (tmp_path / "nothing").exists()
    assert read(storage / "8", "state") == b"another"


def test_a_full_disk_is_an_error_of_the_disk_whoever_writes_and_leaves_nothing(tmp_path: Path) -> None:
    storage = Storage.at(tmp_path / "job")

    class Full:
        """A file on a disk with little room left."""

        def __init__(self, file: BinaryIO) -> None:
            self._file = file

        def write(self, data: bytes) -> int:
            if self._file.tell() + len(data) > 20_000:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return self._file.write(data)

        def flush(self) -> None:
            self._file.flush()

    with pytest.raises(OSError, match="No space left on device"):
        storage.write("state", lambda file: torch.save(torch.zeros(100_000), Full(file)))
    with pytest.raises(ValueError, match="not the disk"):
        storage.write("state", lambda file: fails())
    assert list((tmp_path / "job").iterdir()) == []


def fails() -> None:
    raise ValueError("not the disk")


def test_a_worker_gets_it_by_pickle(tmp_path: Path) -> None:
    sent = pickle.loads(pickle.dumps(Storage.at(f"file://{tmp_path}") / "7"))
    sent.write("state", lambda file: file.write(b"told"))
    assert (tmp_path / "7" / "state").read_bytes() == b"told"


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ("ftp://somewhere/else", "Unrecognized filesystem type"),
        ("s3:///folder", "Missing bucket name"),
        ("file://host/folder", "hostname"),
        ("{file}", "it is a file"),
    ],
)
def test_storage_that_is_not_there(given: str, part: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match=f"ray.storage_path.*{part}"):
        Storage.at(given.format(file=tmp_path / "file"))


def test_storage_is_tried_before_it_is_relied_on(tmp_path: Path) -> None:
    place = tmp_path / "there"
    Storage.at(place).check()
    assert place.is_dir() and not list(place.iterdir()), "nothing is left of the trial"
    (tmp_path / "file").write_text("")
    with pytest.raises(
        ResourceError, match=r"ray.storage_path: given 'local:.*/file/below'; must be a folder"
    ):
        Storage.at(tmp_path / "file" / "below").check()
