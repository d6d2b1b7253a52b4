"""Arrays of the user's own, in one NumPy archive."""

from __future__ import annotations

import functools
import mmap
import struct
import zipfile
import zlib
from typing import IO, Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field

from cl_engine.data.samples import DataError, DataSet, Labels, Samples
from cl_engine.kinds.problems import one_line
from cl_engine.kinds.signature import ExistingFile

MAPPED = 1 << 28  # bytes from which on an array is mapped into memory, not read
NEEDED = ("x_train", "y_train", "x_test", "y_test")


class Npz:
    """A .npz file with x_train, y_train, x_test, y_test: uint8 images NHWC or float features NxD.

    Labels are integers from 0 on, with gaps if need be.  ``classes`` (K names, the i-th for the i-th smallest
    label) may stand beside them.  Pickled arrays are never loaded.

    Raises:
        DataError: the archive or one of its arrays is not as described.
    """

    def __init__(
        self,
        *,
        path: Annotated[str, ExistingFile(), Field(description="the .npz file, relative to the scenario file")],
    ) -> None:
        self.path = path

    def labels(self) -> Labels:
        """Return the labels, of a file that was checked as a whole."""
        return self._data.labels()

    def load(self) -> DataSet:
        """Return the samples; the file is read once."""
        return self._data

    def identity(self) -> str:
        """Return the SHA-256 of all samples and labels, so that a changed file is another data set."""
        return self._identity

    @functools.cached_property
    def _identity(self) -> str:
        return self._data.identity()

    @functools.cached_property
    def _data(self) -> DataSet:
        with _open(self.path) as archive:
            train = self._samples(archive, "train")
            test = self._samples(archive, "test")
            names = _array(archive, "classes") if "classes" in _names(archive) else None
        return DataSet(train, test, None if names is None else self._classes(names, train))

    def _samples(self, archive: zipfile.ZipFile, split: str) -> Samples:
        x = _array(archive, f"x_{split}")
        _check_form(f"x_{split}", x.shape, x.dtype)
        if x.ndim == 4:
            tensor = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
        else:
            tensor = torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))
        return Samples(tensor, torch.from_numpy(_labels(archive, f"y_{split}", len(x))))

    def _classes(self, names: npt.NDArray[Any], train: Samples) -> tuple[str, ...]:
        expected = len(np.unique(train.y.numpy()))
        if names.shape != (expected,) or names.dtype.kind not in "US":
            raise DataError(
                f"classes is {names.dtype} {list(names.shape)}; allowed: {expected} texts, one per label"
            )
        return tuple(map(str, names))


def _open(path: str) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"cannot be read as .npz: {one_line(error)}; allowed: what numpy.savez writes") from None
    missing = [name for name in NEEDED if name not in _names(archive)]
    if missing:
        found = ", ".join(sorted(_names(archive))) or "nothing"
        archive.close()
        raise DataError(f"lacks {', '.join(missing)} (it holds {found[:200]}); allowed: {', '.join(NEEDED)}")
    return archive


def _names(archive: zipfile.ZipFile) -> set[str]:
    return {name.removesuffix(".npy") for name in archive.namelist()}


def _header(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    try:
        with archive.open(f"{name}.npy") as stream:
            shape, _, dtype = _read_header(stream)
            return shape, dtype
    except Exception as error:  # zipfile, zlib and the header parser raise many kinds for a damaged file
        raise DataError(f"{name} is damaged: {one_line(error)}; allowed: what numpy.savez writes") from None


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read the header of an array, up to its first value: shape, whether columns come first, type."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(stream)


def _array(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    if _header(archive, name)[1].hasobject:
        raise DataError(f"{name} holds pickled Python objects, which are never loaded; allowed: numbers")
    try:
        member = archive.getinfo(f"{name}.npy")
        if member.compress_type == zipfile.ZIP_STORED and member.file_size >= MAPPED:
            return _mapped(archive, member)
        with archive.open(member) as stream:
            array: npt.NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
            return array
    except Exception as error:
        raise DataError(f"{name} is damaged: {one_line(error)}; allowed: what numpy.savez writes") from None


def _mapped(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> npt.NDArray[Any]:
    """Map a large array into memory instead of reading it, so that it is there once, and only where it is used."""
    assert archive.filename is not None
    with open(archive.filename, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        names_and_extra = struct.unpack_from("<HH", whole, member.header_offset + 26)
        start = member.header_offset + 30 + sum(names_and_extra)
        with memoryview(whole) as view, view[start : start + member.file_size] as stored:
            if zlib.crc32(stored) != member.CRC:
                raise ValueError("its checksum is wrong")
        file.seek(start)
        shape, fortran, dtype = _read_header(file)
        order: Literal["F", "C"] = "F" if fortran else "C"
        return np.memmap(archive.filename, dtype, "c", file.tell(), shape, order)


def _labels(archive: zipfile.ZipFile, name: str, count: int | None) -> npt.NDArray[np.int64]:
    y = _array(archive, name)
    if y.ndim != 1 or y.dtype.kind not in "iu" or (count is not None and len(y) != count):
        beside = "" if count is None else f" beside {count} samples"
        raise DataError(f"{name} is {y.dtype} {list(y.shape)}{beside}; allowed: one integer label per sample")
    if len(y) and y.dtype == np.uint64 and y.max() > np.iinfo(np.int64).max:
        raise DataError(f"{name} holds a label over 2^63 - 1; allowed: labels that fit int64")
    if len(y) and y.min() < 0:
        raise DataError(f"{name} holds the label {y.min()}; allowed: labels from 0 on, one integer per sample")
    return y.astype(np.int64)


def _check_form(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    images, features = len(shape) == 4 and dtype == np.uint8, len(shape) == 2 and dtype.kind == "f"
    if not (images or features):
        hint = " (grey images need a last axis of length 1)" if len(shape) == 3 and dtype == np.uint8 else ""
        raise DataError(f"{name} is {dtype} {list(shape)}{hint}; allowed: uint8 [N, H, W, C] or float [N, D]")
    if images and _channels_first(shape):
        raise DataError(
            f"{name} is {dtype} {list(shape)}, which looks like [N, C, H, W]; allowed: uint8 [N, H, W, C], as "
            f"{name}.transpose(0, 2, 3, 1) makes it"
        )
    if 0 in shape:
        raise DataError(f"{name} is {dtype} {list(shape)}, which is empty; allowed: at least one sample")


def _channels_first(shape: tuple[int, ...]) -> bool:
    """Tell whether the axes of images seem to be [N, C, H, W]: few channels first, and far too many last."""
    _, first, middle, last = shape
    return first in (1, 3) and middle > 4 and last > 4
