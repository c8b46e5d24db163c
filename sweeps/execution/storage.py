"""A folder that workers and driver reach, wherever they run: a path, or a URI of pyarrow's file systems."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from hrm.system.files import write_atomically
from sweeps.errors import ResourceError

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem


BLOCK_BYTES = 2**20


class Storage:
    """A folder, made when something is written. Picklable.

    Whatever fails between here and there raises OSError.
    """

    def __init__(self, filesystem: FileSystem, path: str) -> None:
        self._filesystem, self._path = filesystem, path

    @classmethod
    def at(cls, place: str | Path) -> Storage:
        """The folder at a path, or at a URI such as `s3://bucket/folder`, `gs://...` or `file:///...`.

        Raises:
            ResourceError: `ray.storage_path` names no file system, or one that does not answer.
        """
        from pyarrow import ArrowException
        from pyarrow.fs import FileSystem, FileType

        given = str(place)
        try:
            uri = given if "://" in given else str(Path(given).expanduser().absolute())
            storage = cls(*FileSystem.from_uri(uri))
            [found] = storage._filesystem.get_file_info([storage._path])
        except (ArrowException, OSError) as error:
            raise _unusable(given, error) from None
        if found.type is FileType.File:
            raise _unusable(given, NotADirectoryError("it is a file"))
        return storage

    def __truediv__(self, name: str) -> Storage:
        return Storage(self._filesystem, f"{self._path}/{name}")

    def __str__(self) -> str:
        return f"{self._filesystem.type_name}:{self._path}"

    def check(self, marker: str | None = None) -> None:
        """Writes something and takes it away again.

        Args:
            marker: a file that another machine has written and this one must see.

        Raises:
            ResourceError: that cannot be done, or the marker is not there.
        """
        probe = self / f".probe-{uuid.uuid4().hex}"
        try:
            if marker is not None:
                self.open(marker).close()
            probe.write("probe", lambda file: file.write(b"probe"))
            probe.remove()
        except OSError as error:
            raise _unusable(str(self), error) from None

    @contextmanager
    def marked(self) -> Iterator[str]:
        """A file for others to see, which is gone on exit; its name."""
        folder = f".seen-{uuid.uuid4().hex}"
        (self / folder).write("driver", lambda file: file.write(b"driver"))
        try:
            yield f"{folder}/driver"
        finally:
            (self / folder).remove()

    def write(self, name: str, write: Callable[[BinaryIO], object]) -> None:
        """Lets `write` fill a hidden file and moves it into place: a reader sees the old file or the new one,
        never half of one. A file's bytes cannot be changed on object stores, and a rename there copies it whole.

        Raises:
            OSError: it cannot be written; what there is of it is removed, or a full disk would stay full.
        """
        self._filesystem.create_dir(self._path, recursive=True)
        # A name of its own: the worker of a node that was given up may still be writing.
        temporary = f"{self._path}/.{name}-{uuid.uuid4().hex}"
        try:
            with closing(self._filesystem.open_output_stream(temporary)) as file:
                write(file)
            self._filesystem.move(temporary, f"{self._path}/{name}")
        except Exception as error:
            with suppress(OSError):
                self._filesystem.delete_file(temporary)
            # torch.save tells a full disk in an error of its own, raised while it met the true one.
            if isinstance(error.__context__, OSError) and not isinstance(error, OSError):
                raise error.__context__ from None
            raise

    def open(self, name: str) -> BinaryIO:
        """A file, to be read anywhere in it.

        Raises:
            FileNotFoundError: it is not there.
        """
        return self._filesystem.open_input_file(f"{self._path}/{name}")

    def fetch(self, name: str, path: Path) -> None:
        """Copies a file to a path of this machine, atomically; its folder is made when missing.

        Raises:
            FileNotFoundError: it is not there.
        """
        with closing(self.open(name)) as source:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, lambda temporary: _copy(source, temporary))

    def remove(self) -> None:
        """Removes the folder with all that is in it."""
        self._filesystem.delete_dir(self._path)

    def remove_if_empty(self) -> None:
        """Removes the folder if it is there and nothing is in it."""
        from pyarrow.fs import FileSelector

        if not self._filesystem.get_file_info(FileSelector(self._path)):
            self.remove()


def _copy(source: BinaryIO, path: Path) -> None:
    with path.open("wb") as target:
        shutil.copyfileobj(source, target, BLOCK_BYTES)


def _unusable(given: str, error: Exception) -> ResourceError:
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    return ResourceError(
        "ray.storage_path", given, f"must be a folder that every node can write ({reason})",
        "Give a path on storage that the nodes share, or a URI such as s3://bucket/folder",
    )  # fmt: skip
