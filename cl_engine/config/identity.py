"""What must be the same for a run to be continued: its data, and the user's own code."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cl_engine.data.samples import DataSource


def data_identity(source: DataSource) -> str | None:
    """Return a digest of the data where its options alone do not determine it, else None."""
    identity = getattr(source, "identity", None)
    return str(identity()) if identity else None


def user_modules(parts: Iterable[object]) -> list[Path]:
    """Return the files of the modules that the user's own kinds come from, sorted; none of this package.

    Args:
        parts: what a scenario names, resolved: mappings with ``kind`` at any depth, in lists too.
    """
    found = {_source(kind.partition(":")[0]) for part in parts for kind in _kinds(part) if ":" in kind}
    return sorted(path for path in found if path is not None)


def code_identity(sources: Iterable[Path]) -> str | None:
    """Return one SHA-256 over the names and contents of the user's modules; None where there is none."""
    digest = hashlib.sha256()
    sources = list(sources)
    for path in sources:
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest() if sources else None


def _kinds(part: object) -> Iterable[str]:
    if isinstance(part, Mapping):
        if isinstance(part.get("kind"), str):
            yield part["kind"]
        for value in part.values():
            yield from _kinds(value)
    elif isinstance(part, list | tuple):
        for value in part:
            yield from _kinds(value)


def _source(module: str) -> Path | None:
    file: Any = getattr(sys.modules.get(module), "__file__", None)
    if not file or module.partition(".")[0] == "cl_engine" or not Path(file).is_file():
        return None  # a script from standard input has no file
    return Path(file).resolve()
