"""Run directories: what was finished is never lost, whatever happens next.

A directory holds ``config.yaml``, one line per finished experience in ``experiences.jsonl``, the held state in
``checkpoint.safetensors`` with its checksum in ``checkpoint.json``, and at the end ``result.json``.  Files appear
whole or not at all.  The order of writing makes a kill harmless at any instant:

1. the experience's line is appended and synced;
2. ``checkpoint.json`` is replaced; it names the new checkpoint *and* the one before, by SHA-256;
3. ``checkpoint.safetensors`` is replaced.  This commits the experience.

A reader takes the experience whose checksum the tensor file has, and drops lines after it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from cl_engine.config.document import dump
from cl_engine.errors import EngineError
from cl_engine.memory.ledger import Entry
from cl_engine.memory.state import HeldState

FORMAT = 1
CONFIG, LINES, STATE, INDEX, RESULT, LOCK = (
    "config.yaml",
    "experiences.jsonl",
    "checkpoint.safetensors",
    "checkpoint.json",
    "result.json",
    ".lock",
)


class StoreError(EngineError, RuntimeError):
    """The run directory cannot be written; what was finished before is kept."""


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
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(path / LOCK)

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
            ResumeError: it was another run's: its data or its strategy's code differs.
        """
        try:
            result = json.loads((self.path / RESULT).read_text(encoding="utf-8"))
            if result["status"] != "done" or not {"metrics", "memory", "accuracy", "stream"} <= set(result):
                return None
            self._check_identity(result["identity"], RESULT)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        found: dict[str, Any] = result
        return found

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

    def commit(self, experience: int, held: HeldState, line: dict[str, Any]) -> None:
        """Make an experience's record and state durable, in that order.

        Raises:
            StoreError: the disk is full or the directory cannot be written.
        """
        with writing(self.path):
            with open(self.path / LINES, "ab") as lines:
                lines.write(json.dumps(line).encode() + b"\n")
            _sync(self.path / LINES)
            new = self.path / (STATE + ".new")
            save_file(held.tensors, new)
            _sync(new)
            entry = {
                "experience": experience,
                "sha256": _file_digest(new),
                "lines_sha256": self._lines_digest(experience + 1),
            }
        checkpoints = [entry] if self._committed is None else [entry, self._committed]
        index = {"format": FORMAT, **self.identity, "checkpoints": checkpoints}
        self._replace(INDEX, json.dumps(index, indent=1).encode())
        with writing(self.path):
            os.replace(new, self.path / STATE)
            _sync(self.path)
        self._committed = entry

    def finish(self, result: dict[str, Any]) -> None:
        """Write ``result.json``, which marks the run as done."""
        self._replace(RESULT, json.dumps(result, indent=1, allow_nan=False).encode())

    def resume(self) -> tuple[HeldState, list[dict[str, Any]]] | None:
        """Return the last committed state and the records up to it; None if nothing was committed.

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
        count = int(entry["experience"]) + 1
        if self._lines_digest(count) != entry["lines_sha256"]:
            raise ResumeError(f"{self.path / LINES}: does not match its checksum; it is damaged")
        lines = (self.path / LINES).read_bytes().splitlines(keepends=True)[:count]
        self._replace(LINES, b"".join(lines))  # drops what was written after the last commit
        records = [json.loads(line) for line in lines]
        try:
            tensors = load_file(self.path / STATE)
        except (SafetensorError, OSError, ValueError) as error:
            raise ResumeError(f"{self.path / STATE}: cannot be read: {error}") from None
        self._committed = entry
        entries = [Entry.of(e) for e in records[-1]["entries"]]
        return HeldState(tensors, entries), records

    def _check_nothing_was_committed(self) -> None:
        """Refuse a directory whose checkpoint is gone; before the first commit there is none."""
        if (self.path / INDEX).exists() and len(self._index()) > 1:
            raise ResumeError(f"{self.path / STATE}: is missing, so the run cannot be continued")

    def _index(self) -> dict[str, dict[str, Any]]:
        """Return the checkpoints that the index names, by their digest."""
        try:
            index = json.loads((self.path / INDEX).read_text(encoding="utf-8"))
            entries = {e["sha256"]: e for e in index["checkpoints"]}
            assert all(isinstance(e["experience"], int) and e["lines_sha256"] for e in entries.values())
        except (OSError, ValueError, KeyError, TypeError, AssertionError):
            raise ResumeError(
                f"{self.path / INDEX}: is missing or damaged, so the checkpoint cannot be checked"
            ) from None
        if index.get("format") != FORMAT:
            raise ResumeError(f"{self.path / INDEX}: format {index.get('format')!r}; this version reads {FORMAT}")
        self._check_identity(index, INDEX)
        return entries

    def _matching_entry(self) -> dict[str, Any]:
        entries = self._index()
        digest = _file_digest(self.path / STATE)
        if digest not in entries:
            raise ResumeError(f"{self.path / STATE}: does not match its checksum; it is damaged or foreign")
        found: dict[str, Any] = entries[digest]
        return found

    def _check_identity(self, found: Mapping[str, Any], file: str) -> None:
        for key, value in self.identity.items():
            if found.get(key) != value:
                raise ResumeError(f"{self.path / file}: belongs to another run: its {key} differs")

    def _lines_digest(self, count: int) -> str:
        try:
            lines = (self.path / LINES).read_bytes().splitlines(keepends=True)[:count]
        except OSError:
            return "missing"
        return hashlib.sha256(b"".join(lines)).hexdigest()

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
        what = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise StoreError(f"{path}: cannot be written: {what}") from None


def _sync(path: Path) -> None:
    """Wait until a file or directory is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _file_digest(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _lock(path: Path) -> int:
    """Take the directory's lock; the system releases it when the process ends, however it ends."""
    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise StoreError(f"{path.parent}: another process is running this scenario here") from None
    return descriptor
