"""Run directories: what was finished is never lost, whatever happens next.

A directory holds ``config.yaml``, one line per finished experience in ``experiences.jsonl``, the held state in
``checkpoint.safetensors`` with its checksum in ``checkpoint.json``, and at the end ``result.json``, which holds its
own.  Files appear whole or not at all.  The order of writing makes a kill harmless at any instant:

1. the experience's line is appended and synced;
2. ``checkpoint.json`` is replaced; it names the new checkpoint *and* the one before, by SHA-256;
3. ``checkpoint.safetensors`` is replaced.  This commits the experience.

A reader takes the newest experience whose checksums the tensor file and the lines have (two experiences may hold
the same bytes), and drops lines after it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from cl_engine.config.document import dump
from cl_engine.errors import EngineError
from cl_engine.kinds.problems import one_line
from cl_engine.reports.result import CONFIG, LINES, ResultError, read_result, sealed
from cl_engine.reports.result import FILE as RESULT

FORMAT = 1
STATE, INDEX, LOCK, WORK = "checkpoint.safetensors", "checkpoint.json", ".lock", ".work"
DIFFERS = {  # what a part of a run's identity stands for
    "run": "its configuration has changed",
    "fingerprint": "the data's labels or the stream have changed",
    "data": "the data have changed",
    "code": "the user's code has changed",
}
# What reading JSON raises that is not what was written; RecursionError: nested without end.
DAMAGED = (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError)


class StoreError(EngineError, RuntimeError):
    """The run directory cannot be written; what was finished before is kept.

    Attributes:
        errno: the system's number of what went wrong, or None.
    """

    errno: int | None = None


class LockedError(StoreError):
    """Another process is writing the run directory."""


class ResumeError(StoreError):
    """The run directory cannot be resumed from; the message says why."""

    status = 2


class RunDirectory:
    """One run's directory, locked while it is open.

    Raises:
        StoreError: it cannot be created, or another process is writing it.
    """

    def __init__(self, path: Path, identity: Mapping[str, str | None]) -> None:
        self.path, self.identity = path, identity
        self._committed: dict[str, Any] | None = None
        self._lines_so_far = hashlib.sha256()
        self.work = path / WORK  # where children exchange files; what a killed run left there is removed
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(path / LOCK)
        shutil.rmtree(self.work, ignore_errors=True)

    def close(self) -> None:
        """Release the lock."""
        os.close(self._lock)

    @property
    def holds_a_run(self) -> bool:
        """Whether a run was begun here."""
        return (self.path / CONFIG).exists()

    def finished(self) -> dict[str, Any] | None:
        """Return the result of a finished run, or None.

        Raises:
            ResumeError: it is damaged or edited, or another run's: its data or its strategy's code differs.
        """
        if not os.path.lexists(self.path / RESULT):
            return None
        try:
            result = read_result(self.path)
        except ResultError as error:
            raise ResumeError(f"{error}; delete it, and the run is finished from its checkpoint") from None
        self._check_identity(result.get("identity"), RESULT)
        return result

    def set_aside(self) -> Path:
        """Move an earlier run's files to ``<directory>.1``, ``.2``, ... and return where they went."""
        number = 1
        while (aside := self.path.with_name(f"{self.path.name}.{number}")).exists():
            number += 1
        with writing(self.path):
            aside.mkdir()
            for file in sorted(self.path.iterdir()):
                if file.name != LOCK:
                    file.rename(aside / file.name)
        return aside

    def start(self, config: dict[str, Any]) -> None:
        """Write the resolved configuration."""
        self._replace(CONFIG, dump(config).encode())

    def keep(self, name: str, content: bytes) -> None:
        """Write a file of the user's beside the configuration."""
        self._replace(name, content)

    def commit(self, experience: int, state: bytes | memoryview, line: dict[str, Any]) -> None:
        """Make an experience's record and the file of its held state durable, in that order.

        Raises:
            StoreError: the disk is full or the directory cannot be written.
        """
        with writing(self.path):
            written = json.dumps(line).encode() + b"\n"
            self._lines_so_far.update(written)
            with open(self.path / LINES, "ab") as lines:
                lines.write(written)
            _sync(self.path / LINES)
            new = self.path / (STATE + ".new")
            new.write_bytes(state)
            _sync(new)
            entry = {
                "experience": experience,
                "sha256": hashlib.sha256(state).hexdigest(),
                "lines_sha256": self._lines_so_far.hexdigest(),
            }
        checkpoints = [entry] if self._committed is None else [entry, self._committed]
        index = {"format": FORMAT, **self.identity, "checkpoints": checkpoints}
        self._replace(INDEX, json.dumps(index, indent=1).encode())
        with writing(self.path):
            os.replace(new, self.path / STATE)
            _sync(self.path)
        self._committed = entry

    def finish(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """Write ``result.json``, which marks the run as done, and return what it holds."""
        written = sealed(result)
        self._replace(RESULT, json.dumps(written, indent=1).encode())
        return written

    def resume(self) -> tuple[bytes, list[dict[str, Any]]] | None:
        """Return the file of the last committed state and the records up to it; None if nothing was committed.

        Raises:
            ResumeError: the checkpoint is damaged or belongs to another run.
        """
        with writing(self.path):
            for stale in self.path.glob("*.new"):
                stale.unlink()
            if not (self.path / STATE).exists():
                self._check_nothing_was_committed()
                (self.path / LINES).unlink(missing_ok=True)
                return None
        entry = self._matching_entry()
        lines = self._lines(entry["experience"] + 1)
        try:
            records = [json.loads(line) for line in lines]
            fine = [record["experience"] for record in records] == [*range(entry["experience"] + 1)]
        except DAMAGED:
            fine = False
        if not fine:
            raise ResumeError(f"{self.path / LINES}: holds lines that are no records; it is damaged")
        state = self._state()
        self._lines_so_far.update(b"".join(lines))
        self._replace(LINES, b"".join(lines))  # drops what was written after the last commit
        self._committed = entry
        return state, records

    def _check_nothing_was_committed(self) -> None:
        """Refuse a directory whose checkpoint is gone; before the first commit there is none."""
        if (self.path / INDEX).exists() and len(self._index()) > 1:
            raise ResumeError(f"{self.path / STATE}: is missing, so the run cannot be continued")

    def _index(self) -> list[dict[str, Any]]:
        """Return the checkpoints that the index names, newest first."""
        try:
            index = json.loads((self.path / INDEX).read_text(encoding="utf-8"))
            fine = all(
                isinstance(e["experience"], int) and isinstance(e["lines_sha256"], str) and e["sha256"]
                for e in index["checkpoints"]
            )
        except (OSError, *DAMAGED):
            fine = False
        if not fine:
            raise ResumeError(f"{self.path / INDEX}: is missing or damaged, so the checkpoint cannot be checked")
        if index.get("format") != FORMAT:
            raise ResumeError(f"{self.path / INDEX}: format {index.get('format')!r}; this version reads {FORMAT}")
        self._check_identity(index, INDEX)
        return sorted(index["checkpoints"], key=lambda entry: -entry["experience"])

    def _matching_entry(self) -> dict[str, Any]:
        """Return the newest checkpoint that the state and the lines on the disk are those of."""
        index, digest = self._index(), hashlib.sha256(self._state()).hexdigest()
        entries = [entry for entry in index if entry["sha256"] == digest]
        if not entries:
            raise ResumeError(f"{self.path / STATE}: does not match its checksum; it is damaged or foreign")
        for entry in entries:
            if self._lines_digest(entry["experience"] + 1) == entry["lines_sha256"]:
                return entry
        raise ResumeError(f"{self.path / LINES}: does not match its checksum; it is damaged")

    def _check_identity(self, found: object, file: str) -> None:
        for key, value in self.identity.items():
            if not isinstance(found, Mapping) or found.get(key) != value:
                what = f"{self.path / file}: belongs to another run: its {key} differs, so {DIFFERS[key]} since"
                raise ResumeError(f"{what}; allowed: what it was begun with, or a run anew")

    def _lines(self, count: int) -> list[bytes]:
        """Return the first lines as they are on the disk; none where they cannot be read."""
        try:
            return (self.path / LINES).read_bytes().splitlines(keepends=True)[:count]
        except OSError:
            return []

    def _lines_digest(self, count: int) -> str:
        return hashlib.sha256(b"".join(self._lines(count))).hexdigest()

    def _state(self) -> bytes:
        try:
            return (self.path / STATE).read_bytes()
        except OSError as error:
            raise ResumeError(f"{self.path / STATE}: cannot be read: {error.strerror}") from None

    def _replace(self, name: str, content: bytes) -> None:
        new = self.path / (name + ".new")
        with writing(self.path):
            new.write_bytes(content)
            _sync(new)
            os.replace(new, self.path / name)
            _sync(self.path)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn whatever writing at ``path`` raises into a :class:`StoreError` of one line."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        place = getattr(error, "filename2", None) or getattr(error, "filename", None) or path
        what = getattr(error, "strerror", None) or one_line(error)
        unwritable = StoreError(f"{place}: cannot be written: {what}")
        unwritable.errno = getattr(error, "errno", None)
        raise unwritable from None


def _sync(path: Path) -> None:
    """Wait until a file or directory is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lock(path: Path) -> int:
    """Take the directory's lock; the system releases it when the process ends, however it ends."""
    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise LockedError(f"{path.parent}: another process is running this scenario here") from None
    return descriptor
