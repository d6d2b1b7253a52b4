"""Rows of pictures that were decoded once: mapped from a file, or decoded again from what they were."""

from __future__ import annotations

import hashlib
import mmap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cl_engine.data.cache import Reading
from cl_engine.data.decoding import Pictures, threads
from cl_engine.data.made import DIGESTS, PIXELS, damaged
from cl_engine.data.pictures import PictureError
from cl_engine.data.stored import Index, Picked, Rows

TOGETHER = 8  # pictures that a thread takes at a time
MOST_MAPPED = 1 << 26  # bytes of the file that count as this process's own before the system may take them back

Digests = npt.NDArray[np.uint8]


class Mapped(Rows):
    """Decoded pictures of a cache, uint8; each one's checksum is compared when it is first read.

    The file is mapped, so the system keeps what fits into memory, and gives it to every process that reads it.

    Args:
        folder: where the file is.
        rows: how many.
        shape: of one.
        reading: keeps the folder from being cleared for as long as there is something to read.

    Raises:
        CacheError: the file is not as long as it was.
    """

    dtype = torch.uint8

    def __init__(self, folder: Path, rows: int, shape: tuple[int, int, int], reading: Reading) -> None:
        self.folder, self.shape, self._reading = folder, (rows, *shape), reading
        with open(folder / PIXELS, "rb") as file:
            try:
                self._map = mmap.mmap(file.fileno(), int(np.prod(self.shape)), access=mmap.ACCESS_READ)
            except ValueError:
                raise damaged(folder, PIXELS) from None
        self._pixels = np.frombuffer(self._map, dtype=np.uint8).reshape(self.shape)
        self._digests, self._checked = digests_of(folder, rows), np.zeros(rows, dtype=bool)
        self._touched = 0

    def read(self, index: Index) -> Tensor:
        """Return the rows at ``index``."""
        found = np.empty((len(index), *self.shape[1:]), dtype=np.uint8)
        np.take(self._pixels, index, axis=0, out=found, mode="clip")
        for place in np.flatnonzero(~self._checked[index]).tolist():
            row = int(index[place])
            if hashlib.sha256(found[place].data).digest() != self._digests[row].tobytes():
                raise damaged(self.folder, f"picture {row}")
            self._checked[row] = True
        self._touched += found.nbytes
        if self._touched > MOST_MAPPED and hasattr(mmap, "MADV_DONTNEED"):
            self._touched = 0
            self._map.madvise(mmap.MADV_DONTNEED)  # they stay in the system's memory, and are not counted as ours
        return torch.from_numpy(found)


class Streamed(Rows):
    """Pictures that are decoded by several threads whenever they are read, and must be what they were before.

    Args:
        pictures: what is decoded.
        digests: of all rows.
        reading: keeps the folder of the digests from being cleared for as long as there is something to read.

    Raises:
        DataError: a file is not there any more, or has changed.
    """

    dtype = torch.uint8

    def __init__(self, pictures: Pictures, digests: Digests, reading: Reading) -> None:
        self.pictures, self._digests, self._reading = pictures, digests, reading
        self.shape = (len(pictures.listing.names), *pictures.shape)
        self._pool = ThreadPoolExecutor(threads(), "cl-engine-decode")

    def read(self, index: Index) -> Tensor:
        """Return the rows at ``index``."""
        found = np.empty((len(index), *self.shape[1:]), dtype=np.uint8)
        parts = [np.arange(start, min(start + TOGETHER, len(index))) for start in range(0, len(index), TOGETHER)]
        for _ in self._pool.map(lambda places: self._decode(found, index, places), parts):
            pass
        return torch.from_numpy(found)

    def _decode(self, found: npt.NDArray[np.uint8], index: Index, places: Index) -> None:
        for place in places.tolist():
            row = self.pictures.row(int(index[place]))
            if row.decoded is None or row.digest != self._digests[row.number].tobytes():
                problem = row.problem or PictureError("has changed since it was first decoded")
                raise self.pictures.error(row.number, problem)
            found[place] = row.decoded.pixels


class Part(Picked):
    """The rows for training or for testing, whose values were counted when they were decoded."""

    def __init__(self, rows: Rows, index: Index, histogram: npt.NDArray[np.int64]) -> None:
        super().__init__(rows, index)
        self._histogram = histogram

    def histogram(self) -> Tensor:
        """Return how often each value occurs in each channel, int64 ``[C, 256]``."""
        return torch.from_numpy(self._histogram)


def digests_of(folder: Path, rows: int) -> Digests:
    """Return the SHA-256 of each row, uint8 ``[N, 32]``.

    Raises:
        CacheError: they are not there.
    """
    try:
        return np.fromfile(folder / DIGESTS, dtype=np.uint8, count=32 * rows).reshape(rows, 32)
    except (OSError, ValueError):
        raise damaged(folder, DIGESTS) from None
