"""Where the files of pictures stand: their names, and the bytes of each."""

from __future__ import annotations

import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

from cl_engine.data.pictures import LARGEST_FILE, PictureError
from cl_engine.data.samples import DataError
from cl_engine.kinds.problems import one_line

NO_REGULAR_FILE = "is no regular file"
OUTSIDE = "leads out of the folder"


class Member(NamedTuple):
    """A file or folder of a tree.

    Attributes:
        name: its path below the root, parts joined by ``/``; of a folder it ends with one.
        size: bytes of the file, unpacked.
        stamp: what changes with its content: when it was written, or a checksum.
        problem: why it cannot be used, or None.
    """

    name: bytes
    size: int = 0
    stamp: int = 0
    problem: str | None = None


class Members(ABC):
    """A tree of files, unpacked or packed."""

    @abstractmethod
    def __iter__(self) -> Iterator[Member]:
        """Yield its files and folders, in any order; hidden ones, whose names begin with a dot, are left out."""

    @abstractmethod
    def read(self, name: bytes) -> bytes:
        """Return a file's bytes; may be called by several threads.

        Raises:
            PictureError: they cannot be read.
        """

    def stream(self) -> Iterator[tuple[bytes, bytes]] | None:
        """Yield name and bytes of all files, where only one pass over them is quick; else return None."""
        return None


class Tree(Members):
    """A folder of the file system.

    Raises:
        DataError: it cannot be read.
    """

    def __init__(self, root: str) -> None:
        self.root = os.fsencode(os.path.realpath(root))

    def __iter__(self) -> Iterator[Member]:
        """Yield files and folders; links are followed to files inside the folder only."""
        todo = [b""]
        while todo:
            folder = todo.pop()
            try:
                with os.scandir(os.path.join(self.root, folder)) as entries:
                    for entry in entries:
                        if entry.name.startswith(b"."):
                            continue
                        name = folder + entry.name
                        if entry.is_dir(follow_symlinks=False):
                            yield Member(name + b"/")
                            todo.append(name + b"/")
                        else:
                            yield self._file(name, entry)
            except OSError as error:
                where = one_line(os.fsdecode(folder)) or "the folder"
                raise DataError(f"{where} cannot be read: {error.strerror}; allowed: folders that can be") from None

    def _file(self, name: bytes, entry: os.DirEntry[bytes]) -> Member:
        try:
            found = entry.stat()
        except OSError as error:
            return Member(name, problem=f"cannot be read: {error.strerror}")
        problem = None
        if entry.is_symlink() and not os.path.realpath(entry.path).startswith(self.root.rstrip(b"/") + b"/"):
            problem = OUTSIDE
        elif not stat.S_ISREG(found.st_mode):
            problem = "is a link to a folder" if stat.S_ISDIR(found.st_mode) else NO_REGULAR_FILE
        return Member(name, found.st_size, found.st_mtime_ns, problem or too_large(found.st_size))

    def read(self, name: bytes) -> bytes:
        """Return a file's bytes."""
        try:
            with open(os.path.join(self.root, name), "rb") as file:
                return file.read(LARGEST_FILE)
        except OSError as error:
            raise PictureError(f"cannot be read: {error.strerror}") from None


def too_large(size: int) -> str | None:
    """Say that a file is larger than a picture's may be, or return None."""
    if size <= LARGEST_FILE:
        return None
    return f"takes {size:,} bytes; allowed: at most {LARGEST_FILE:,}"


def shown(name: bytes) -> str:
    """Return a name on one line, with whatever a terminal would not print escaped.

    >>> shown(b"cats/a\\nb.png")
    'cats/a\\\\nb.png'
    """
    text = os.fsdecode(name)
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)
