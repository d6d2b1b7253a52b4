"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009), from the official binary archives or from a tar of strips."""

from __future__ import annotations

import functools
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from pydantic import Field

from cl_engine.data.official import Official, data_folder
from cl_engine.data.samples import DataError, DataSet, Labels, Samples
from cl_engine.data.strips import Strips
from cl_engine.data.whole import WholeSource
from cl_engine.kinds.problems import OptionError, one_line
from cl_engine.kinds.signature import ExistingFile, Located

SIDE = 32
PIXELS = 3 * SIDE * SIDE
HOME = "https://www.cs.toronto.edu/~kriz/"


class Binary(NamedTuple):
    """The binary version of a set, as its page documents it: a record is label bytes, then red, green, blue planes.

    Attributes:
        archive: the .tar.gz.
        folder: what it unpacks to.
        train: its files of training records, in order.
        test: its file of test records.
        records: how many records each file holds.
        names: for each label byte of a record: the file with the names of the classes, a line each.
        classes: how many classes each label byte tells apart.
    """

    archive: Official
    folder: str
    train: tuple[str, ...]
    test: str
    records: dict[str, int]
    names: tuple[str, ...]
    classes: tuple[int, ...]


_BATCHES = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
CIFAR10 = Binary(
    Official(
        "cifar-10-binary.tar.gz", f"{HOME}cifar-10-binary.tar.gz", "170 MB", "c32a1d4ab5d03f1284b67883e8d87530"
    ),
    "cifar-10-batches-bin",
    _BATCHES,
    "test_batch.bin",
    dict.fromkeys([*_BATCHES, "test_batch.bin"], 10_000),
    ("batches.meta.txt",),
    (10,),
)
CIFAR100 = Binary(
    Official(
        "cifar-100-binary.tar.gz", f"{HOME}cifar-100-binary.tar.gz", "169 MB", "03b5dce01913d631647c71ecec9e9cb8"
    ),
    "cifar-100-binary",
    ("train.bin",),
    "test.bin",
    {"train.bin": 50_000, "test.bin": 10_000},
    ("coarse_label_names.txt", "fine_label_names.txt"),
    (20, 100),
)

Root = Annotated[
    str | None,
    Located(),
    Field(description="folder with the official archive, or with what it unpacks to; default: the data folder"),
]
StripsPath = Annotated[
    str | None, ExistingFile(), Field(description="instead of `root`: a tar of strips, train/CLASS.webp and so on")
]
Download = Annotated[bool, Field(description="fetch the official archive where it is missing")]


class Cifar(WholeSource):
    """What both sets have in common: where they are read from, uint8 images ``[N, 3, 32, 32]`` in file order."""

    def __init__(self, binary: Binary, byte: int, root: str | None, path: str | None, download: bool) -> None:
        if path is not None and (root is not None or download):
            raise OptionError("path", "allowed: path alone, or root and download")
        self.binary, self.byte, self.download = binary, byte, download
        self.root = data_folder() if root is None else Path(root)
        self.strips = None if path is None else Strips(path, SIDE, binary.classes[byte])

    def labels(self) -> Labels:
        """Return the labels; of strips, without decoding a picture."""
        return super().labels() if self.strips is None else self._labels

    @functools.cached_property
    def _labels(self) -> Labels:
        assert self.strips is not None
        labels, _ = self.strips.labels()
        return Labels(labels["train"], labels["test"], (3, SIDE, SIDE))

    def read(self) -> DataSet:
        """Return all images."""
        if self.strips is not None:
            return self.strips.read()
        names = self.binary.names[self.byte]
        parts: dict[str, Any] = {}
        for name, content in self._members():
            parts[name] = _names(name, content) if name == names else self._samples(name, content)
        if missing := [name for name in (*self.binary.records, names) if name not in parts]:
            raise DataError(f"{self.binary.folder} lacks {', '.join(missing)}; allowed: all of the archive's files")
        train = functools.reduce(Samples.__add__, (parts[name] for name in self.binary.train))
        return DataSet(train, parts[self.binary.test], parts[names])

    def _members(self) -> Iterator[tuple[str, bytes]]:
        """Yield the files that are needed, of the archive or else of the folder that it unpacks to."""
        wanted, folder = {*self.binary.records, self.binary.names[self.byte]}, self.root / self.binary.folder
        path = self.root / self.binary.archive.name
        try:
            if folder.is_dir() and not path.exists():
                for name in sorted(wanted):
                    yield name, (folder / name).read_bytes()
                return
            with tarfile.open(self.binary.archive.found(self.root, self.download)) as tar:
                for member in tar:
                    where, _, name = member.name.rpartition("/")
                    if where == self.binary.folder and name in wanted and (file := tar.extractfile(member)):
                        yield name, file.read()
        except (OSError, EOFError, tarfile.TarError) as error:
            what = f"{self.binary.folder} cannot be read: {one_line(error)}"
            raise DataError(f"{what}; allowed: what {self.binary.archive.url} holds") from None

    def _samples(self, name: str, content: bytes) -> Samples:
        before, expected = len(self.binary.classes), self.binary.records[name]
        if len(content) != expected * (before + PIXELS):
            what = f"{name} has {len(content)} bytes"
            raise DataError(f"{what}; allowed: {expected} records of {before} + {PIXELS} bytes")
        records = np.frombuffer(content, np.uint8).reshape(expected, before + PIXELS)
        images = np.ascontiguousarray(records[:, before:]).reshape(-1, 3, SIDE, SIDE)
        return Samples(torch.from_numpy(images), torch.from_numpy(records[:, self.byte].astype(np.int64)))


class Cifar10(Cifar):
    """CIFAR-10: 60,000 images of 10 classes (3x32x32 uint8), 5,000 + 1,000 of each.

    Reads ``cifar-10-binary.tar.gz`` as it is published, MD5 checked and never unpacked to the disk, or the folder
    that it unpacks to; or a tar of strips (:class:`cl_engine.data.strips.Strips`).

    Raises:
        OptionError: ``path`` beside ``root`` or ``download``.
        DataError: nothing is there, which says what to download, or it is damaged.
    """

    def __init__(self, *, root: Root = None, path: StripsPath = None, download: Download = False) -> None:
        super().__init__(CIFAR10, 0, root, path, download)


class Cifar100(Cifar):
    """CIFAR-100: 60,000 images of 100 classes, or 20 superclasses (3x32x32 uint8), 500 + 100 of each class.

    Reads ``cifar-100-binary.tar.gz`` as it is published, MD5 checked and never unpacked to the disk, or the folder
    that it unpacks to; or a tar of strips (:class:`cl_engine.data.strips.Strips`), which knows no superclasses.

    Raises:
        OptionError: ``path`` beside ``root`` or ``download``, or strips with coarse labels.
        DataError: nothing is there, which says what to download, or it is damaged.
    """

    def __init__(
        self,
        *,
        root: Root = None,
        path: StripsPath = None,
        labels: Annotated[
            Literal["fine", "coarse"], Field(description="100 classes, or the 20 superclasses")
        ] = "fine",
        download: Download = False,
    ) -> None:
        if path is not None and labels == "coarse":
            raise OptionError("labels", "strips know no superclasses; allowed: fine, or the official archive")
        super().__init__(CIFAR100, ["coarse", "fine"].index(labels), root, path, download)


def _names(name: str, content: bytes) -> tuple[str, ...]:
    """Return the lines of a file of names, without the empty ones at its end."""
    try:
        return tuple(content.decode("ascii").split())
    except UnicodeDecodeError:
        raise DataError(f"{name} is no text; allowed: the name of a class in each line") from None
