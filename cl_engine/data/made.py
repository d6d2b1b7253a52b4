"""Decode a data set's pictures once, in blocks, so that what was finished is never done again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from cl_engine.data.cache import ABOUT, CacheError, say, write_whole
from cl_engine.data.decoding import Pictures, Row
from cl_engine.data.pictures import PictureError, SizeError
from cl_engine.data.samples import BLOCK

PIXELS, DIGESTS, JOURNAL, INDEX = "pixels", "digests", "blocks.jsonl", "index.json"
SPARE = 1 << 24  # bytes that are left free on the disk


class Made(NamedTuple):
    """What is known of pictures once each was decoded.

    Attributes:
        bad: what is wrong with those that cannot be used, by row.
        histograms: how often each value occurs in each channel, int64 ``[2, C, 256]``, in training and testing.
    """

    bad: dict[int, str]
    histograms: npt.NDArray[np.int64]


class Block(NamedTuple):
    """Rows that are finished together; none holds both training and test samples."""

    number: int
    start: int
    stop: int


class Maker:
    """Puts rows where they belong, and remembers the blocks that are finished.

    Args:
        pictures: what is decoded.
    """

    def __init__(self, pictures: Pictures) -> None:
        self.pictures = pictures
        listing = pictures.listing
        edges = [*range(0, listing.training, BLOCK), *range(listing.training, len(listing.names), BLOCK)]
        stops = [*edges[1:], len(listing.names)]
        self.blocks = [Block(i, *ends) for i, ends in enumerate(zip(edges, stops, strict=True))]
        self.of = np.repeat(np.arange(len(edges)), np.subtract(stops, edges))
        self.done: dict[int, dict[str, Any]] = {}

    def put(self, row: Row) -> None:
        """Keep a decoded row."""
        raise NotImplementedError

    def finish(self, block: Block, digests: npt.NDArray[np.uint8], told: dict[str, Any]) -> None:
        """Keep what is known of a block whose rows are all there."""
        self.done[block.number] = told

    def make(self, skip: bool) -> Made:
        """Decode what is not finished yet.

        Args:
            skip: whether pictures that cannot be used are left out.

        Raises:
            DataError: a picture cannot be used; the first is named.
        """
        todo = [block for block in self.blocks if block.number not in self.done]
        if todo:
            self._decode(todo, skip)
        bad = {int(row): str(why) for told in self.done.values() for row, why in told["bad"]}
        histograms = np.zeros((2, self.pictures.shape[0], 256), dtype=np.int64)
        for block in self.blocks:
            testing = int(block.start >= self.pictures.listing.training)
            histograms[testing] += np.array(self.done[block.number]["histogram"], dtype=np.int64)
        return Made(dict(sorted(bad.items())), histograms)

    def _decode(self, todo: list[Block], skip: bool) -> None:
        unfinished = {block.number: _Unfinished(block, self.pictures.shape[0]) for block in todo}
        rows = self.pictures.rows(row for block in todo for row in range(block.start, block.stop))
        total = sum(block.stop - block.start for block in todo)
        quiet = not (sys.stderr and sys.stderr.isatty())
        with tqdm(rows, "decoding", total, file=sys.stderr, unit="pictures", disable=quiet, delay=1) as bar:
            for row in bar:
                if isinstance(row.problem, SizeError) or (row.problem and not skip):
                    raise self.pictures.error(row.number, row.problem)
                if row.decoded is not None:
                    self.put(row)
                block = unfinished[int(self.of[row.number])]
                if block.add(row):
                    self.finish(block.block, block.digests, block.told())
                    del unfinished[block.block.number]
        for block in unfinished.values():  # an archive that changed while it was read
            missing = int(np.flatnonzero(~block.seen)[0]) + block.block.start
            raise self.pictures.error(missing, PictureError("is not there any more"))


class InMemory(Maker):
    """Keeps rows in arrays.

    Attributes:
        pixels: uint8 ``[N, C, H, W]``; zeros where a picture cannot be used.
        digests: uint8 ``[N, 32]``.
    """

    def __init__(self, pictures: Pictures) -> None:
        super().__init__(pictures)
        count = len(pictures.listing.names)
        self.pixels = np.zeros((count, *pictures.shape), dtype=np.uint8)
        self.digests = np.zeros((count, 32), dtype=np.uint8)

    def put(self, row: Row) -> None:
        """Keep a decoded row."""
        assert row.decoded is not None
        self.pixels[row.number] = row.decoded.pixels

    def finish(self, block: Block, digests: npt.NDArray[np.uint8], told: dict[str, Any]) -> None:
        """Keep what is known of a block."""
        self.digests[block.start : block.stop] = digests
        super().finish(block, digests, told)


class OnDisk(Maker):
    """Keeps rows in files of a folder that nobody else writes, and goes on where it was interrupted.

    Args:
        pictures: what is decoded.
        folder: where.
        keep: whether pixels are kept, or digests only.
        what: what the cache says of itself.

    Raises:
        CacheError: the disk has too little room for what is to come.
        OSError: the files cannot be written.
    """

    def __init__(self, pictures: Pictures, folder: Path, keep: bool, what: str) -> None:
        super().__init__(pictures)
        self.folder, self.row_bytes = folder, int(np.prod(pictures.shape))
        self.about = {"what": what, "rows": len(pictures.listing.names), "shape": list(pictures.shape)}
        self.done = _finished(folder, {block.number for block in self.blocks})
        self._check_room(keep)
        write_whole(folder / ABOUT, json.dumps({**self.about, "complete": False}).encode())
        self.pixels = os.open(folder / PIXELS, os.O_RDWR | os.O_CREAT, 0o644) if keep else None
        self.digests = os.open(folder / DIGESTS, os.O_RDWR | os.O_CREAT, 0o644)
        self.journal = os.open(folder / JOURNAL, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        for number, told in self.done.items():
            self._note(number, told)

    def put(self, row: Row) -> None:
        """Keep a decoded row."""
        if self.pixels is not None:
            assert row.decoded is not None
            _write(self.pixels, row.decoded.pixels.data.cast("B"), row.number * self.row_bytes)

    def finish(self, block: Block, digests: npt.NDArray[np.uint8], told: dict[str, Any]) -> None:
        """Make a block durable: first what it holds, then that it is finished."""
        _write(self.digests, digests.data.cast("B"), 32 * block.start)
        for file in (self.pixels, self.digests):
            if file is not None:
                os.fsync(file)
        super().finish(block, digests, told)
        self._note(block.number, told)

    def make(self, skip: bool) -> Made:
        """Decode what is not finished yet, and say what is being done."""
        count, begun = len(self.pictures.listing.names), time.perf_counter()
        left = count - sum(b.stop - b.start for b in self.blocks if b.number in self.done)
        size = f"{(count * self.row_bytes if self.pixels is not None else 32 * count) / 2**20:,.1f} MiB"
        told = "" if left == count else f", {count - left:,} of them done already"
        say(f"decoding {count:,} pictures once{told}; cache: {self.folder} ({size})")
        try:
            made = super().make(skip)
            if self.pixels is not None:
                os.ftruncate(self.pixels, count * self.row_bytes)  # where the last pictures are no pictures
        finally:
            for file in (self.pixels, self.digests, self.journal):
                if file is not None:
                    os.close(file)
        index = {"bad": [[row, why] for row, why in made.bad.items()], "histograms": made.histograms.tolist()}
        write_whole(self.folder / INDEX, json.dumps(index).encode())
        write_whole(self.folder / ABOUT, json.dumps({**self.about, "complete": True}).encode())
        (self.folder / JOURNAL).unlink()
        say(f"decoded in {time.perf_counter() - begun:,.0f} s")
        return made

    def _note(self, number: int, told: dict[str, Any]) -> None:
        line = json.dumps({"block": number, **told}).encode()
        _write(self.journal, memoryview(hashlib.sha256(line).hexdigest().encode() + b" " + line + b"\n"), None)
        os.fsync(self.journal)

    def _check_room(self, keep: bool) -> None:
        left = sum(block.stop - block.start for block in self.blocks if block.number not in self.done)
        needed, free = left * ((self.row_bytes if keep else 0) + 32) + SPARE, shutil.disk_usage(self.folder).free
        if needed > free:
            raise CacheError(
                f"{self.folder}: decoded pictures need {needed / 2**30:,.2f} GiB, and {free / 2**30:,.2f} GiB are "
                "free; allowed: a place with room, named by CL_ENGINE_CACHE, a smaller `size`, or `cache: encoded`"
            )


def finished(folder: Path) -> Made | None:
    """Return what is known of pictures that were all decoded into a folder, or None where some are not.

    Raises:
        CacheError: the folder is damaged.
    """
    if not (folder / INDEX).exists():
        return None
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        bad = {int(row): str(why) for row, why in index["bad"]}
        return Made(bad, np.array(index["histograms"], dtype=np.int64))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise damaged(folder, INDEX) from None


def damaged(folder: Path, what: str) -> CacheError:
    """Return what is said of a cache that holds what was not written."""
    return CacheError(f"{folder}: {what} is damaged; clear it with: cl-engine cache clear {folder.name}")


class _Unfinished:
    """A block some of whose rows are there."""

    def __init__(self, block: Block, channels: int) -> None:
        self.block = block
        self.seen = np.zeros(block.stop - block.start, dtype=bool)
        self.digests = np.zeros((len(self.seen), 32), dtype=np.uint8)
        self.histogram = np.zeros((channels, 256), dtype=np.int64)
        self.bad: list[tuple[int, str]] = []

    def add(self, row: Row) -> bool:
        """Count a row in; return whether it was the last."""
        place = row.number - self.block.start
        self.seen[place] = True
        self.digests[place] = np.frombuffer(row.digest, dtype=np.uint8)
        if row.decoded is None:
            self.bad.append((row.number, str(row.problem)))
        else:
            self.histogram += row.decoded.histogram
        return bool(self.seen[-1] and self.seen.all())  # rows come nearly in order, so the last one is asked first

    def told(self) -> dict[str, Any]:
        """Return what is known of the block, as plain data."""
        return {"histogram": self.histogram.tolist(), "bad": sorted(self.bad)}


def _finished(folder: Path, numbers: set[int]) -> dict[int, dict[str, Any]]:
    """Return the blocks that an interrupted process has finished; a line that was cut off is no block."""
    found: dict[int, dict[str, Any]] = {}
    try:
        lines = (folder / JOURNAL).read_bytes().splitlines()
    except OSError:
        return found
    for line in lines:
        digest, _, text = line.partition(b" ")
        if hashlib.sha256(text).hexdigest().encode() != digest:
            break
        told = json.loads(text)
        if (number := told.pop("block")) in numbers:
            found[number] = told
    return found


def _write(file: int, content: memoryview, place: int | None) -> None:
    """Write all of ``content``, at ``place`` or at the end; what a full disk takes only a part of is an error."""
    while len(content):
        written = os.write(file, content) if place is None else os.pwrite(file, content, place)
        content = content[written:]
        place = None if place is None else place + written
