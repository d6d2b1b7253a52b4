"""Images in a tar of strips: each member stacks images of one class."""

from __future__ import annotations

import contextlib
import tarfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from cl_engine.data.samples import DataError, DataSet, Samples
from cl_engine.kinds.problems import one_line, shown

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("WEBP", "JPEG", "PNG")
SPLITS = ("train", "test")


class Strip(NamedTuple):
    """A member of the tar: which split and class it belongs to, and how many images it stacks."""

    split: str
    label: str
    images: int
    image: Image


class Strips:
    """A tar of ``SPLIT/CLASS.webp`` or ``SPLIT/CLASS/NN.webp``, ``SPLIT`` being ``train`` or ``test``.

    Every member is a WebP, JPEG or PNG picture, ``side`` pixels wide, of images of one class stacked from top to
    bottom, each ``side`` pixels high.  Classes are numbered in the alphabetical order of their names, images in the
    order of the tar.  Nothing is unpacked to the disk.
    """

    def __init__(self, path: str, side: int, classes: int) -> None:
        self.path, self.side, self.classes = path, side, classes

    def labels(self) -> tuple[dict[str, npt.NDArray[np.int64]], tuple[str, ...]]:
        """Return the labels of each split, int64 ``[N]``, and the names of the classes; no picture is decoded.

        Raises:
            DataError: a member is no such strip, or there are other than the expected classes.
        """
        names: dict[str, list[str]] = {split: [] for split in SPLITS}
        counts: dict[str, list[int]] = {split: [] for split in SPLITS}
        for strip in self._strips():
            names[strip.split].append(strip.label)
            counts[strip.split].append(strip.images)
        classes = sorted({*names["train"], *names["test"]})
        if len(classes) != self.classes:
            raise DataError(f"holds {len(classes)} classes; allowed: {self.classes}")
        found = {
            split: np.repeat(np.searchsorted(classes, names[split]).astype(np.int64), counts[split])
            for split in SPLITS
        }
        return found, tuple(classes)

    def read(self) -> DataSet:
        """Return all images, uint8 RGB, decoded into place one strip at a time.

        Raises:
            DataError: as :meth:`labels`, or a picture is damaged.
        """
        labels, classes = self.labels()
        shape = (3, self.side, self.side)
        images = {split: torch.empty(len(labels[split]), *shape, dtype=torch.uint8) for split in SPLITS}
        start = dict.fromkeys(SPLITS, 0)
        for split, label, count, image in self._strips():
            with _damage(f"{split}/{label}"):
                pixels = torch.from_numpy(np.array(image.convert("RGB"))).view(count, self.side, self.side, 3)
            images[split][start[split] : start[split] + count] = pixels.permute(0, 3, 1, 2)
            start[split] += count
        train, test = (Samples(images[split], torch.from_numpy(labels[split])) for split in SPLITS)
        return DataSet(train, test, classes)

    def _strips(self) -> Iterator[Strip]:
        """Yield the strips in order, each with its header read."""
        from PIL import Image

        with _damage(self.path), tarfile.open(self.path) as tar:
            for member in tar:
                if not member.isfile():
                    continue
                split, *rest = PurePosixPath(member.name).parts
                if split not in SPLITS or len(rest) not in (1, 2):
                    what = f"holds {shown(member.name)}"
                    raise DataError(f"{what}; allowed: train/CLASS.webp, train/CLASS/NN.webp, test/...")
                with Image.open(tar.extractfile(member), formats=FORMATS) as image:  # type: ignore[arg-type]
                    width, height = image.size
                    if width != self.side or height % self.side:
                        what = f"{member.name} is a picture of {width} x {height} pixels"
                        raise DataError(f"{what}; allowed: {self.side} wide, a multiple of it high")
                    label = PurePosixPath(rest[0]).stem if len(rest) == 1 else rest[0]
                    yield Strip(split, label, height // self.side, image)


@contextlib.contextmanager
def _damage(name: str) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # tarfile, its decompressors and Pillow raise many kinds
        raise DataError(f"{name} cannot be read: {one_line(error)}; allowed: a tar of strips") from None
