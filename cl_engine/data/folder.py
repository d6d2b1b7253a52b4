"""Pictures of the user's own: a folder for each class, or an archive of such folders."""

from __future__ import annotations

import functools
import hashlib
import os
from typing import Annotated, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import PIL
import torch
from pydantic import Field

from cl_engine.data import cache as caches
from cl_engine.data.archives import archive
from cl_engine.data.classes import Listing, listing
from cl_engine.data.decoding import Pictures, refused, shape_of_first
from cl_engine.data.kept import Digests, Mapped, Part, Streamed, digests_of
from cl_engine.data.made import InMemory, Made, OnDisk, finished
from cl_engine.data.members import Members, Tree, shown
from cl_engine.data.pictures import DECODER, Form, PictureError, Resize
from cl_engine.data.samples import DataSet, Labels, Samples
from cl_engine.data.stored import Rows, StoredSamples
from cl_engine.kinds.problems import OptionError
from cl_engine.kinds.signature import ExistingFile

NAMED = 5  # files that a note names


class Folder:
    """Pictures in one folder for each class, with or without train/ and test/ (or val/); or a zip or tar of them.

    Classes are numbered in the order of their folders' names, pictures follow in that of theirs, both sorted as
    bytes.  Where there is no test/ or val/, ``test_share`` of each class is drawn for testing.  Every picture is
    decoded once and kept in a cache, from which batches are read, so a data set may be larger than memory.

    Raises:
        OptionError: options that exclude each other.
        DataError: the folder holds no classes, a class has no picture, or a file is no picture.
        CacheError: the cache cannot be written.
    """

    def __init__(
        self,
        *,
        path: Annotated[
            str,
            ExistingFile(or_folder=True),
            Field(description="a folder, .zip, .tar or .tar.gz, relative to the scenario file"),
        ],
        size: Annotated[
            int | None,
            Field(
                ge=1,
                le=4096,
                description="pixels of either side; null: as they are, which must be the same for all",
            ),
        ] = None,
        resize: Annotated[
            Resize,
            Field(
                description="how pictures come to `size`: the shorter side, then the middle (crop), both sides "
                "(stretch), or the longer side on black (pad)"
            ),
        ] = "crop",
        channels: Annotated[Literal[1, 3], Field(description="3: RGB, 1: grey")] = 3,
        on_error: Annotated[
            Literal["stop", "skip"], Field(description="what happens where a file is no picture or damaged")
        ] = "stop",
        cache: Annotated[
            Literal["decoded", "encoded", "none"],
            Field(
                description="pixels are kept on the disk (decoded), pictures are decoded whenever they are used "
                "(encoded), or all are decoded into memory at the start (none)"
            ),
        ] = "decoded",
        test_share: Annotated[
            float, Field(gt=0, lt=1, description="share of each class for testing; unused beside test/ or val/")
        ] = 0.2,
        split_seed: Annotated[int, Field(ge=0, description="draws the test share; not tied to the run's seed")] = 0,
    ) -> None:
        self.path, self.form = path, Form(channels, size, resize)
        self.skip, self.cache, self.test_share, self.split_seed = on_error == "skip", cache, test_share, split_seed
        if size is None and resize != "crop":
            raise OptionError("resize", f"{resize} needs a size; allowed: `size` beside it")
        if cache == "encoded" and path.lower().endswith((".gz", ".tgz")):
            what = "encoded reads pictures in any order, and a .tar.gz has only one"
            raise OptionError("cache", f"{what}; allowed: decoded or none, or the archive as .tar or .zip")

    def labels(self) -> Labels:
        """Return the labels, from names alone; with ``on_error: skip`` of what could be decoded."""
        if self.skip:
            y = self._listing.labels
            return Labels(y[self._used.train], y[self._used.test], self._pictures.shape)
        found = self._listing
        if found.problems:
            name, problem = found.problems[0]
            raise refused(shown(name), problem)
        train, test = np.split(found.labels, [found.training])
        return Labels(train, test, self._pictures.shape)

    def load(self) -> DataSet:
        """Return the samples, none of which is read before it is needed, unless ``cache`` is none."""
        return self._data

    def identity(self) -> str:
        """Return the SHA-256 of all pixels and labels; names and places of files do not matter."""
        made = self._decoded
        digest = hashlib.sha256(repr(self._pictures.shape).encode())
        for used in self._used:
            digest.update(len(used).to_bytes(8, "little"))
            digest.update(self._listing.labels[used].astype("<i8").data)
            digest.update(np.ascontiguousarray(made.digests[used]).data)
        return digest.hexdigest()

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out: how many files, and the first names."""
        if not self.skip:
            return ()
        names = [name for name, _ in self._listing.problems]
        names += [self._listing.names[row] for row in self._decoded.made.bad]
        if not names:
            return ()
        first = ", ".join(map(shown, names[:NAMED])) + (", ..." if len(names) > NAMED else "")
        return (f"files that are no pictures, left out: {len(names):,} ({first})",)

    @functools.cached_property
    def _members(self) -> Members:
        return Tree(self.path) if os.path.isdir(self.path) else archive(self.path)

    @functools.cached_property
    def _listing(self) -> Listing:
        return listing(self._members, self.test_share, self.split_seed)

    @functools.cached_property
    def _pictures(self) -> Pictures:
        shape = shape_of_first(self._members, self._listing, self.form, self.skip)
        return Pictures(self._members, self._listing, self.form, shape)

    @functools.cached_property
    def _decoded(self) -> _Decoded:
        found = self._in_memory() if self.cache == "none" else self._on_disk()
        for row, problem in found.made.bad.items() if not self.skip else ():
            raise self._pictures.error(row, PictureError(problem))
        return found

    @functools.cached_property
    def _used(self) -> _Used:
        rows = np.arange(len(self._listing.names))
        fine = ~np.isin(rows, list(self._decoded.made.bad))
        training = rows < self._listing.training
        return _Used(rows[fine & training], rows[fine & ~training])

    @functools.cached_property
    def _data(self) -> DataSet:
        (train, test), (training, testing) = self._used, self._decoded.made.histograms
        there = np.unique(self._listing.labels[np.concatenate([train, test])])  # a class may be left out wholly
        classes = tuple(self._listing.classes[number] for number in there)
        return DataSet(self._samples(train, training), self._samples(test, testing), classes)

    def _samples(self, used: npt.NDArray[np.int64], histogram: npt.NDArray[np.int64]) -> Samples:
        y, rows = torch.from_numpy(self._listing.labels[used]), self._decoded.rows
        if isinstance(rows, Rows):
            return StoredSamples(Part(rows, used, histogram), y)
        return Samples(torch.from_numpy(rows[used]), y)

    def _in_memory(self) -> _Decoded:
        maker = InMemory(self._pictures)
        return _Decoded(maker.make(self.skip), maker.digests, maker.pixels)

    def _on_disk(self) -> _Decoded:
        key, rows = self._key(), len(self._listing.names)
        folder = caches.folder(key)
        while True:
            if finished(folder) is None:
                with caches.writing(key, _waits) as folder:
                    if finished(folder) is None:
                        OnDisk(self._pictures, folder, self.cache == "decoded", self.path).make(self.skip)
            reading = caches.Reading(key)
            if (made := finished(folder)) is not None:
                break
            reading.close()  # it was cleared in between
        digests = digests_of(folder, rows)
        if self.cache == "encoded":
            return _Decoded(made, digests, Streamed(self._pictures, digests, reading))
        return _Decoded(made, digests, Mapped(folder, rows, self._pictures.shape, reading))

    def _key(self) -> str:
        parts = (DECODER, PIL.__version__, self.cache, *self.form, self._pictures.shape, self._listing.digest)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]


class _Decoded(NamedTuple):
    """All pictures of a folder: what is known of them, their checksums, and their rows, stored or in memory."""

    made: Made
    digests: Digests
    rows: Rows | npt.NDArray[np.uint8]


class _Used(NamedTuple):
    """Rows of the pictures that can be used."""

    train: npt.NDArray[np.int64]
    test: npt.NDArray[np.int64]


def _waits() -> None:
    caches.say("another process decodes the same pictures; waiting for it")
