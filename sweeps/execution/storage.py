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


class Storage:
    """A folder, made when something is written. Picklable.

    Everything that fails between this machine and the folder raises OSError.
    """

    def __init__(self, filesystem: FileSystem, path: str) -> None:
        self._filesystem, self._path = filesystem, path

    @classmethod
    def at(cls, place: str | Path) -> Storage:
        """Return the folder at a path, or at a URI such as `s3://bucket/folder`, `gs://...` or `file:///...`.

        Raises:
            ResourceError: `ray.storage_path` names no file system, or one that does not answer.
        """
        from pyarrow import ArrowException
        from pyarrow.fs import FileSystem, FileType

        given = str(place)
        try:
            uri = given if "://" in given else str(Path(given).expanduser().absolute())
            filesystem, path = FileSystem.from_uri(uri)
            if filesystem.get_file_info(path).type is FileType.File:
                raise NotADirectoryError("it is a file")
        except (ArrowException, OSError) as error:
            raise _build_error(given, error) from None
        return cls(filesystem, path)

    def __truediv__(self, name: str) -> Storage:
        return Storage(self._filesystem, f"{self._path}/{name}")

    def __str__(self) -> str:
        return f"{self._filesystem.type_name}:{self._path}"

    def check(self, marker: str | None = None) -> None:
        """Check that the folder can be written, leaving nothing in it.

        Args:
            marker: a file that another machine has written and this one must see.

        Raises:
            ResourceError: it cannot be written, or the marker is not there.
        """
        try:
            if marker is not None:
                self.open(marker).close()
            with self.place_marker():
                pass
        except OSError as error:
            raise _build_error(str(self), error) from None

    @contextmanager
    def place_marker(self) -> Iterator[str]:
        """Write a file for others to see, and remove it on exit; return its name."""
        folder = self / (name := f".probe-{uuid.uuid4().hex}")
        folder.write("marker", lambda file: file.write(b"marker"))
        try:
            yield f"{name}/marker"
        finally:
            folder.remove()

    def write(self, name: str, write: Callable[[BinaryIO], object]) -> None:
        """Let `write` fill a hidden file and move it into place: readers see the old file or the new one.

        Object stores cannot change a file's bytes, and a rename there copies the file whole.

        Raises:
            OSError: it cannot be written. What was written is removed, or a full disk would stay full.
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
            # torch.save raises an error of its own on a full disk, while it handles the true one.
            if isinstance(error.__context__, OSError) and not isinstance(error, OSError):
                raise error.__context__ from None
            raise

    def open(self, name: str) -> BinaryIO:
        """Open a file for random access.

        Raises:
            FileNotFoundError: it is not there.
        """
        return self._filesystem.open_input_file(f"{self._path}/{name}")

    def fetch(self, name: str, path: Path) -> None:
        """Copy a file to a path of this machine, atomically; its folder is made when missing.

        Raises:
            FileNotFoundError: it is not there.
        """
        with closing(self.open(name)) as source:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, lambda temporary: _copy(source, temporary))

    def remove(self) -> None:
        """Remove the folder and everything in it."""
        self._filesystem.delete_dir(self._path)

    def remove_if_empty(self) -> None:
        """Remove the folder if it exists and is empty."""
        from pyarrow.fs import FileSelector

        if not self._filesystem.get_file_info(FileSelector(self._path)):
            self.remove()


def _copy(source: BinaryIO, path: Path) -> None:
    with path.open("wb") as target:
        shutil.copyfileobj(source, target)


def _build_error(given: str, error: Exception) -> ResourceError:
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    rule = f"must be a folder that every node can write ({reason})"
    hint = "Give a path on storage that the nodes share, or a URI such as s3://bucket/folder"
    return ResourceError("ray.storage_path", given, rule, hint)
