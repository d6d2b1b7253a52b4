"""IDX files, the format of MNIST, and the two sets that everybody has in it."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field

from cl_engine.data.official import Official, data_folder, missing
from cl_engine.data.samples import DataError, DataSet, Samples
from cl_engine.data.whole import WholeSource
from cl_engine.kinds.problems import one_line
from cl_engine.kinds.signature import ExistingFile, Located

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
INFLATION = 1032  # bytes that one compressed byte stands for, at most
PARTS = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def read_idx(path: Path) -> npt.NDArray[Any]:
    """Return the array in an IDX file, gzipped or plain: two zero bytes, a type, the number of axes, their lengths.

    Raises:
        DataError: it is no such file, or shorter or longer than it says.
    """
    try:
        with open(path, "rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path) if zipped else open(path, "rb") as file:
            magic = file.read(4)
            if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES or not magic[3]:
                raise ValueError("it does not begin as an IDX file")
            shape = tuple(np.frombuffer(file.read(4 * magic[3]), ">u4").tolist())
            size = math.prod(shape) * np.dtype(TYPES[magic[2]]).itemsize
            if len(shape) < magic[3] or size > path.stat().st_size * (INFLATION if zipped else 1):
                raise ValueError(f"it is shorter than its header says, {list(shape)}")
            content = file.read(size + 1)
            if len(content) != size:
                where = "shorter" if len(content) < size else "longer"
                raise ValueError(f"it is {where} than its header says, {list(shape)}")
        return np.frombuffer(content, TYPES[magic[2]]).reshape(shape)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(
            f"{path} cannot be read: {one_line(error)}; allowed: an IDX file, gzipped or plain"
        ) from None


def idx_samples(images: Path, labels: Path) -> Samples:
    """Return the samples in a file of uint8 images ``[N, H, W]`` or features ``[N, D]`` and one of labels ``[N]``.

    Raises:
        DataError: they hold anything else, or other numbers of samples.
    """
    x, y = read_idx(images), read_idx(labels)
    if not (x.ndim == 3 and x.dtype == np.uint8) and x.ndim != 2:
        raise DataError(
            f"{images} is {x.dtype} {list(x.shape)}; allowed: uint8 images [N, H, W] or features [N, D]"
        )
    if y.ndim != 1 or y.dtype.kind not in "iu" or len(y) != len(x):
        raise DataError(f"{labels} is {y.dtype} {list(y.shape)} beside {len(x)} samples; allowed: integers [N]")
    x = np.array(x[:, None] if x.ndim == 3 else x, np.uint8 if x.ndim == 3 else np.float32)
    return Samples(torch.from_numpy(x), torch.from_numpy(y.astype(np.int64)))


class Idx(WholeSource):
    """Four IDX files of one's own: uint8 grey images (1xHxW) or features, and labels; gzipped or plain.

    Raises:
        DataError: a file is damaged, or they do not fit together.
    """

    def __init__(
        self,
        *,
        train_images: Annotated[str, ExistingFile(), Field(description="training images")],
        train_labels: Annotated[str, ExistingFile(), Field(description="their labels")],
        test_images: Annotated[str, ExistingFile(), Field(description="test images")],
        test_labels: Annotated[str, ExistingFile(), Field(description="their labels")],
    ) -> None:
        self.train = Path(train_images), Path(train_labels)
        self.test = Path(test_images), Path(test_labels)

    def read(self) -> DataSet:
        """Read and check the four files."""
        return DataSet(idx_samples(*self.train), idx_samples(*self.test))


def _official(home: str, sizes: tuple[str, ...], digests: tuple[str, ...]) -> tuple[Official, ...]:
    names = [f"{part}.gz" for part in PARTS]
    return tuple(
        Official(name, home + name, size, md5) for name, size, md5 in zip(names, sizes, digests, strict=True)
    )


SIZES = ("9.9 MB", "29 kB", "1.6 MB", "5 kB"), ("26 MB", "29 kB", "4.4 MB", "5 kB")
MNIST = _official(
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    SIZES[0],
    (
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "d53e105ee54ea40749a09fcbcd1e9432",
        "9fb629c4189551a2d022fa330f9573f3",
        "ec29112dd5afa0611ce80d1b7f02629c",
    ),
)
FASHION_MNIST = _official(
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    SIZES[1],
    (
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "25c81989df183df01b3e8a0aad5dffbe",
        "bef4ecab320f06d8554ea6380940ec79",
        "bb300cfdad3c16e7a12a480ee83cd310",
    ),
)
CLOTHES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip

Root = Annotated[
    str | None,
    Located(),
    Field(description="folder with the four files, .gz or plain; default: in the data folder"),
]
Download = Annotated[bool, Field(description="fetch files that are missing")]


class _OfficialIdx(WholeSource):
    """Four files under their official names; the gzipped ones have their MD5 checked."""

    def __init__(
        self, files: tuple[Official, ...], folder: str, classes: tuple[str, ...], root: str | None, download: bool
    ) -> None:
        self.files, self.classes, self.download = files, classes, download
        self.root = data_folder() / folder if root is None else Path(root)

    def read(self) -> DataSet:
        """Read and check the four files."""
        absent = [file for file in self.files if not self._path(file).is_file()]
        if absent and not self.download:
            raise missing(absent, self.root)
        paths = []
        for file in self.files:
            path = self._path(file)
            paths.append(file.found(self.root, self.download) if path.name == file.name else path)
        return DataSet(idx_samples(*paths[:2]), idx_samples(*paths[2:]), self.classes)

    def _path(self, file: Official) -> Path:
        """Return where a file lies, or should: gzipped, unless only the plain one is there."""
        zipped, plain = self.root / file.name, self.root / file.name.removesuffix(".gz")
        return plain if plain.is_file() and not zipped.exists() else zipped


class Mnist(_OfficialIdx):
    """MNIST: 70,000 handwritten digits (1x28x28 uint8, LeCun et al. 1998), 60,000 of them for training.

    Raises:
        DataError: files are missing, which says what to download, or damaged.
    """

    def __init__(self, *, root: Root = None, download: Download = False) -> None:
        super().__init__(MNIST, "mnist", tuple(map(str, range(10))), root, download)


class FashionMnist(_OfficialIdx):
    """Fashion-MNIST: 70,000 pictures of clothes (1x28x28 uint8, Xiao et al. 2017), 60,000 of them for training.

    Raises:
        DataError: files are missing, which says what to download, or damaged.
    """

    def __init__(self, *, root: Root = None, download: Download = False) -> None:
        super().__init__(FASHION_MNIST, "fashion-mnist", CLOTHES, root, download)
