"""Text files that are whole or absent."""

from __future__ import annotations

from pathlib import Path

from cl_engine.data import cache


def write_whole(path: Path, text: str) -> None:
    """Write a text file that no reader ever sees half of, also where two processes write it at once.

    Raises:
        OSError: it cannot be written; then nothing new is there.
    """
    cache.write_whole(path, text.encode())
