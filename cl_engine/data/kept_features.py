"""Features in the cache: written block by block, so that what was finished stays; mapped by everybody who asks."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm import tqdm

from cl_engine.data import cache

FILE = "features"
SPARE = 1 << 24  # bytes that are left free on the disk

Compute = Callable[[int], Iterator[Tensor]]  # from the first row that is wanted to blocks of rows, in order


class KeptFeatures:
    """Rows of float32 features under a key of the cache, computed where they are not there.

    Args:
        key: names all that they depend on, 64 hexadecimal digits.
        rows: how many.
        width: features of a row.
        what: what the cache says they are.
    """

    def __init__(self, key: str, rows: int, width: int, what: str) -> None:
        self.key, self.rows, self.width, self.what = key, rows, width, what
        self.folder, self.bytes = cache.folder(key), 4 * rows * width

    def get(self, compute: Compute) -> Tensor:
        """Return the features ``[N, D]``, mapped from their file, once for all processes; a write makes a copy.

        Raises:
            CacheError: the cache cannot be written, has too little room, or is damaged.
        """
        if (digest := self._digest()) is None:
            with cache.writing(self.key, self._waits):
                digest = self._digest() or self._make(compute)
        self._reading = cache.Reading(self.key)
        with cache.writable(self.folder):
            if _sha256(self.folder / FILE) != digest:
                what = f"{self.folder}: the features do not match their checksum"
                raise cache.CacheError(f"{what}; allowed: what was written; cl-engine cache clear {self.key[:12]}")
            stored: npt.NDArray[np.float32] = np.memmap(
                self.folder / FILE, np.float32, "c", 0, (self.rows, self.width)
            )
        return torch.from_numpy(stored)

    def _make(self, compute: Compute) -> str:
        done, begun = min(int(self._about().get("done", 0)), self.rows), time.perf_counter()
        if not (self.folder / FILE).exists():
            done = 0
        self._check_room(4 * self.width * (self.rows - done))
        told = f", {done:,} of them done already" if done else ""
        size = f"{self.bytes / 2**20:,.1f} MiB"
        cache.say(f"computing {self.rows:,} x {self.width} features once{told}; cache: {self.folder} ({size})")
        quiet = not (sys.stderr and sys.stderr.isatty())
        with (
            open(self.folder / FILE, "r+b" if done else "wb") as file,
            tqdm(total=self.rows, initial=done, desc="features", file=sys.stderr, disable=quiet, delay=1) as bar,
        ):
            file.seek(4 * self.width * done)
            for block in compute(done):
                file.write(np.ascontiguousarray(block.numpy(), dtype=np.float32).data)
                file.flush()
                os.fsync(file.fileno())
                done += len(block)
                self._note(done=done, complete=False)
                bar.update(len(block))
            file.truncate(self.bytes)
        digest = _sha256(self.folder / FILE)
        self._note(done=done, complete=True, width=self.width, sha256=digest)
        cache.say(f"computed in {time.perf_counter() - begun:,.0f} s")
        return digest

    def _digest(self) -> str | None:
        """Return the SHA-256 of features that are complete, or None."""
        about = self._about()
        right = (about.get("rows"), about.get("width"), about.get("complete")) == (self.rows, self.width, True)
        return str(about.get("sha256")) if right else None

    def _about(self) -> dict[str, Any]:
        try:
            about = json.loads((self.folder / cache.ABOUT).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return about if isinstance(about, dict) and type(about.get("done", 0)) is int else {}

    def _note(self, **facts: Any) -> None:
        about = {"what": self.what, "rows": self.rows, **facts}
        cache.write_whole(self.folder / cache.ABOUT, json.dumps(about).encode())

    def _check_room(self, needed: int) -> None:
        free = shutil.disk_usage(self.folder).free
        if needed + SPARE > free:
            what = f"the features need {needed / 2**20:,.1f} MiB, {free / 2**20:,.1f} MiB are free"
            raise cache.CacheError(f"{self.folder}: {what}; allowed: a place with room, named by {cache.PLACE}")

    def _waits(self) -> None:
        cache.say("another process computes the same features; waiting for it")


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
