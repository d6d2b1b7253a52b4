"""Pictures in a zip or tar archive, read member by member; nothing is unpacked to the disk."""

from __future__ import annotations

import contextlib
import gzip
import os
import tarfile
import zipfile
from collections.abc import Iterator
from typing import IO, cast

from cl_engine.data.members import NO_REGULAR_FILE, OUTSIDE, Member, Members, too_large
from cl_engine.data.pictures import LARGEST_FILE, PictureError
from cl_engine.data.samples import DataError
from cl_engine.kinds.problems import one_line

MOST_TIMES = 200  # bytes that come of one byte of an archive; pictures are compressed already
ALWAYS_FINE = 1 << 30  # bytes that an archive may unpack to, whatever its size
ALLOWED = "allowed: a folder, or a .zip, .tar or .tar.gz of one"
DAMAGED = (OSError, EOFError, ValueError, zipfile.BadZipFile, tarfile.TarError, NotImplementedError, RuntimeError)


def archive(path: str) -> Members:
    """Return what an archive holds.

    Raises:
        DataError: it is none, it is damaged, or it unpacks to far more than pictures would.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(2)
        if zipfile.is_zipfile(path):
            return Zip(path)
        if start == b"\x1f\x8b":
            return PackedTar(path)
        if tarfile.is_tarfile(path):
            return Tar(path)
    except DAMAGED as error:
        raise DataError(f"cannot be read: {one_line(error)}; {ALLOWED}") from None
    raise DataError(f"is neither a zip nor a tar archive; {ALLOWED}")


class Zip(Members):
    """A zip archive."""

    def __init__(self, path: str) -> None:
        self.zip = zipfile.ZipFile(path)
        _check_total(sum(info.file_size for info in self.zip.infolist()), os.path.getsize(path))
        self.infos: dict[bytes, zipfile.ZipInfo] = {}

    def __iter__(self) -> Iterator[Member]:
        """Yield files and folders."""
        for info in self.zip.infolist():
            name = info.filename.encode("utf-8", "surrogateescape").removeprefix(b"./")
            if _is_hidden(name):
                continue
            kind = info.external_attr >> 16 & 0o170000
            problem = _leads_outside(name) or too_large(info.file_size)
            if kind == 0o120000:
                problem = "is a link"
            elif info.flag_bits & 1:
                problem = "is encrypted"
            elif not info.is_dir():
                self.infos[name] = info
            yield Member(name, info.file_size, info.CRC, problem)

    def read(self, name: bytes) -> bytes:
        """Return a file's bytes, whose checksum is right."""
        try:
            return self.zip.read(self.infos[name])
        except Exception as error:  # zipfile and its decompressors raise many kinds for a damaged file
            raise PictureError(f"cannot be unpacked: {one_line(error)}") from None


class Tar(Members):
    """A tar archive that is not compressed."""

    def __init__(self, path: str) -> None:
        self.file = open(path, "rb")  # noqa: SIM115 - for as long as pictures are read
        self.places: dict[bytes, tuple[int, int]] = {}

    def __iter__(self) -> Iterator[Member]:
        """Yield files and folders."""
        self.file.seek(0)
        for info in _infos(self._open()):
            name = _name(info)
            if not _is_hidden(name):
                if info.isfile():
                    self.places[name] = info.offset_data, info.size
                yield _member(name, info, os.fstat(self.file.fileno()).st_mtime_ns)

    def _open(self) -> tarfile.TarFile:
        with _told():
            return tarfile.TarFile(fileobj=self.file)

    def read(self, name: bytes) -> bytes:
        """Return a file's bytes."""
        start, size = self.places[name]
        found = os.pread(self.file.fileno(), size, start)
        if len(found) < size:
            raise PictureError("is cut off: the archive ends within it")
        return found


class PackedTar(Members):
    """A compressed tar archive, through which there is only one way: from its beginning."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __iter__(self) -> Iterator[Member]:
        """Yield files and folders; unpacks all of it, in memory and piece by piece."""
        with self._open() as tar:
            for info in _infos(tar):
                name = _name(info)
                if not _is_hidden(name):
                    yield _member(name, info, os.stat(self.path).st_mtime_ns)

    def read(self, name: bytes) -> bytes:
        """Return a file's bytes, after all that stand before it."""
        for found, data in self.stream():
            if found == name:
                return data
        raise PictureError("is not in the archive any more")

    def stream(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield name and bytes of all files."""
        with self._open() as tar:
            for info in _infos(tar):
                name = _name(info)
                if not _is_hidden(name) and _member(name, info).problem is None and info.isfile():
                    with _told():
                        member = tar.extractfile(info)
                        assert member is not None
                        data = member.read()
                    yield name, data

    def _open(self) -> tarfile.TarFile:
        with _told():
            return tarfile.open(fileobj=cast("IO[bytes]", _Limited(self.path)), mode="r|")


class _Limited:
    """The unpacked bytes of a gzip file, up to what pictures would be.

    Raises:
        DataError: there are more.
    """

    def __init__(self, path: str) -> None:
        self.file = gzip.open(path, "rb")  # noqa: SIM115 - until close()
        self.packed, self.read_so_far = os.path.getsize(path), 0

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes."""
        found = self.file.read(min(size, LARGEST_FILE))
        self.read_so_far += len(found)
        _check_total(self.read_so_far, self.packed)
        return found

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def _infos(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    while True:
        with _told():
            info = tar.next()
            tar.members.clear()  # type: ignore[attr-defined]  # the archive's own list of all that was passed
        if info is None:
            return
        yield info


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Turn what tarfile and gzip raise for a damaged archive, of many kinds, into one line."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"the archive is damaged: {one_line(error)}; {ALLOWED}") from None


def _name(info: tarfile.TarInfo) -> bytes:
    name = info.name.encode("utf-8", "surrogateescape").removeprefix(b"./")
    return name + b"/" if info.isdir() else name


def _member(name: bytes, info: tarfile.TarInfo, stamp: int = 0) -> Member:
    """Return a member; ``stamp`` is the archive's own, as a tar says nothing of content that could be trusted."""
    problem = _leads_outside(name) or too_large(info.size)
    if info.issym() or info.islnk():
        problem = "is a link"
    elif info.issparse() or not (info.isfile() or info.isdir()):
        problem = NO_REGULAR_FILE
    return Member(name, info.size, stamp, problem)


def _is_hidden(name: bytes) -> bool:
    parts = name.split(b"/")
    hidden = any(part.startswith(b".") and part not in (b".", b"..") for part in parts)
    return hidden or name in (b"", b"./") or parts[0] == b"__MACOSX"


def _leads_outside(name: bytes) -> str | None:
    parts = name.replace(b"\\", b"/").rstrip(b"/").split(b"/")
    return OUTSIDE if any(part in (b"", b".", b"..") for part in parts) or b":" in parts[0] else None


def _check_total(unpacked: int, packed: int) -> None:
    if unpacked > max(ALWAYS_FINE, MOST_TIMES * packed):
        raise DataError(
            f"the archive of {packed:,} bytes would unpack to {unpacked:,} or more; allowed: up to {MOST_TIMES} "
            "times its size, as pictures are compressed already"
        )
