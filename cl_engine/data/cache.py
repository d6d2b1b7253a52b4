"""The folder where decoded pictures and features are kept between runs, and who may touch what in it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cl_engine.errors import EngineError
from cl_engine.kinds.problems import one_line

PLACE = "CL_ENGINE_CACHE"  # environment variable that names another folder
ABOUT, LOCKS = "about.json", ".locks"
READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


class CacheError(EngineError, RuntimeError):
    """The cache cannot be written, or holds what cannot be right; what was finished before is kept."""


class Entry(NamedTuple):
    """What stands under a key.

    Attributes:
        key: its name.
        path: its folder.
        about: what it says of itself: ``what`` it was made of, ``rows``, ``complete``.
        bytes: what it takes on the disk.
        age: seconds since it was last used.
    """

    key: str
    path: Path
    about: dict[str, Any]
    bytes: int
    age: float


def place() -> Path:
    """Return the folder: ``$CL_ENGINE_CACHE``, else ``cl-engine`` in ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    if given := os.environ.get(PLACE):
        return Path(given).expanduser().absolute()
    home = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(home) if os.path.isabs(home) else Path("~/.cache").expanduser()) / "cl-engine"


def folder(key: str) -> Path:
    """Return the folder of a key, which may not be there."""
    return place() / key


@contextlib.contextmanager
def writing(key: str, waits: Callable[[], None] | None = None) -> Iterator[Path]:
    """Make the folder of a key and keep everybody else out of it while the ``with`` block runs.

    Args:
        key: letters and digits.
        waits: called once where another process has it and must be waited for.

    Raises:
        CacheError: it cannot be written, in the block too.
    """
    with writable(folder(key)), _locked(key, fcntl.LOCK_EX, waits):
        folder(key).mkdir(parents=True, exist_ok=True)
        yield folder(key)


class Reading:
    """Keeps a key from being cleared, from now on until it is closed or the process ends.

    In a cache that may only be read, as on a mount, it does that as far as there is a lock to hold.

    Raises:
        CacheError: the folder of locks cannot be written, though the cache may be.
    """

    def __init__(self, key: str) -> None:
        self._held = contextlib.ExitStack()
        with writable(folder(key)):
            self._held.enter_context(_locked(key, fcntl.LOCK_SH, None))
            with contextlib.suppress(OSError):  # only says when it was last used
                os.utime(folder(key) / ABOUT)

    def close(self) -> None:
        """Let it be cleared."""
        self._held.close()


def entries() -> list[Entry]:
    """Return what the cache holds, most recently used first."""
    found = []
    for path in place().glob("*") if place().is_dir() else ():
        if path.name != LOCKS and path.is_dir() and not path.is_symlink():
            files = [file.stat() for file in path.rglob("*") if file.is_file()]
            used = max((stat.st_mtime for stat in files), default=path.stat().st_mtime)
            taken = sum(stat.st_blocks * 512 for stat in files)
            found.append(Entry(path.name, path, _about(path), taken, max(0.0, time.time() - used)))
    return sorted(found, key=lambda entry: entry.age)


def clear(key: str) -> bool:
    """Remove what stands under a key; return False, and remove nothing, where a process uses it.

    Raises:
        CacheError: it cannot be removed.
    """
    with writable(folder(key)), contextlib.ExitStack() as held:
        try:
            held.enter_context(_locked(key, fcntl.LOCK_EX | fcntl.LOCK_NB, None))
        except BlockingIOError:
            return False
        shutil.rmtree(folder(key))
    return True


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all, whatever happens meanwhile.

    Raises:
        OSError: it cannot be written.
    """
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with open(new, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)


@contextlib.contextmanager
def writable(path: Path) -> Iterator[None]:
    """Turn an error of the system into a :class:`CacheError` of one line; ``path`` is what is written."""
    try:
        yield
    except OSError as error:
        if isinstance(error, EngineError):
            raise
        where = one_line(error.filename or path)
        raise CacheError(
            f"{where}: the cache cannot be written: {error.strerror or one_line(error)}; what was finished is "
            f"kept; allowed: a place with room, named by {PLACE}"
        ) from None


def say(text: str) -> None:
    """Tell the user, on standard error, what a long step is."""
    if sys.stderr:
        print(f"cl-engine: {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _locked(key: str, how: int, waits: Callable[[], None] | None) -> Iterator[None]:
    """Hold the lock of a key; the system releases it when the process ends, however it ends."""
    locks = place() / LOCKS
    try:
        locks.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(locks / key, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        if how != fcntl.LOCK_SH or error.errno not in READ_ONLY or not folder(key).is_dir():
            raise
        if not (locks / key).exists():
            yield
            return
        descriptor = os.open(locks / key, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if waits is None:
            fcntl.flock(descriptor, how)
        else:
            try:
                fcntl.flock(descriptor, how | fcntl.LOCK_NB)
            except BlockingIOError:
                waits()
                fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def _about(path: Path) -> dict[str, Any]:
    try:
        about = json.loads((path / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return about if isinstance(about, dict) else {}
