"""Named arrays in a file: .npz, .safetensors, or a folder of .npy files.  Nothing is ever unpickled."""

from __future__ import annotations

import contextlib
import mmap
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from cl_engine.data.samples import DataError
from cl_engine.kinds.problems import one_line

MAPPED = 1 << 28  # bytes from which on an array of an archive is mapped into memory, not read
Array = npt.NDArray[Any]


class Arrays(Protocol):
    """Arrays by name."""

    def names(self) -> set[str]:
        """Return the names."""

    def array(self, name: str) -> Array:
        """Return an array, mapped into memory where it is large and the file allows it; ours to write into.

        Raises:
            DataError: it is damaged, or holds pickled objects.
        """


@contextlib.contextmanager
def opened(path: str | Path) -> Iterator[Arrays]:
    """Open what ``path`` names, by its ending: a folder, a .safetensors file, or else an .npz file.

    Raises:
        DataError: it is not there, or is no such file.
    """
    path = Path(path)
    if path.is_dir():
        yield NpyFolder(path)
    elif not path.is_file():
        raise DataError(f"there is no {str(path)!r}; allowed: .npz, .safetensors, or a folder of .npy files")
    elif path.suffix == ".safetensors":
        yield Safetensors(path)
    else:
        try:
            archive = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            what = f"cannot be read as .npz: {one_line(error)}"
            raise DataError(f"{what}; allowed: what numpy.savez writes") from None
        with archive:
            yield NpzArchive(archive)


class NpzArchive:
    """The arrays of an .npz file; large ones that are stored as they are get mapped."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive

    def names(self) -> set[str]:
        """Return the names, without ``.npy``."""
        return {name.removesuffix(".npy") for name in self.archive.namelist()}

    def array(self, name: str) -> Array:
        """Return an array; see :class:`Arrays`."""
        with _damage(name, "numpy.savez"):
            member = self.archive.getinfo(f"{name}.npy")
            with self.archive.open(member) as stream:
                objects = _read_header(stream)[2].hasobject
            if not objects and member.compress_type == zipfile.ZIP_STORED and member.file_size >= MAPPED:
                return _mapped(self.archive, member)
            if not objects:
                with self.archive.open(member) as stream:
                    array: Array = np.lib.format.read_array(stream, allow_pickle=False)
                    return array
        raise _pickled(name)


class NpyFolder:
    """The .npy files of a folder, mapped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> set[str]:
        """Return the names of the files, without ``.npy``."""
        return {file.stem for file in self.folder.glob("*.npy")}

    def array(self, name: str) -> Array:
        """Return an array; see :class:`Arrays`."""
        file = self.folder / f"{name}.npy"
        with _damage(name, "numpy.save"):
            with open(file, "rb") as stream:
                objects = _read_header(stream)[2].hasobject
            if not objects:
                array: Array = np.load(file, mmap_mode="c", allow_pickle=False)
                return array
        raise _pickled(name)


class Safetensors:
    """The tensors of a .safetensors file, mapped; bfloat16 ones come as float32."""

    def __init__(self, path: Path) -> None:
        from safetensors import safe_open

        with _damage(path.name, "safetensors' save_file"):
            self.file: Any = safe_open(path, framework="pt")

    def names(self) -> set[str]:
        """Return the names."""
        return {*self.file.keys()}

    def array(self, name: str) -> Array:
        """Return an array; see :class:`Arrays`."""
        import torch

        with _damage(name, "safetensors' save_file"):
            tensor = self.file.get_tensor(name)
            array: Array = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
            return array


def integers(arrays: Arrays, name: str, count: int) -> npt.NDArray[np.int64]:
    """Return the array ``name`` as integers from 0 on, one for each of ``count`` samples, int64 ``[N]``.

    Raises:
        DataError: it is anything else.
    """
    y = arrays.array(name)
    if y.ndim != 1 or y.dtype.kind not in "iu" or len(y) != count:
        what = f"{name} is {y.dtype} {list(y.shape)} beside {count} samples"
        raise DataError(f"{what}; allowed: one integer label per sample")
    if len(y) and y.dtype == np.uint64 and y.max() > np.iinfo(np.int64).max:
        raise DataError(f"{name} holds a label over 2^63 - 1; allowed: labels that fit int64")
    if len(y) and y.min() < 0:
        raise DataError(f"{name} holds the label {y.min()}; allowed: labels from 0 on, one integer per sample")
    return y.astype(np.int64)


def class_names(arrays: Arrays, y: npt.NDArray[np.int64]) -> tuple[str, ...] | None:
    """Return the array ``classes``, K texts for the K labels in ``y``, ascending; None where there is none.

    Raises:
        DataError: it is anything else.
    """
    if "classes" not in arrays.names():
        return None
    names, expected = arrays.array("classes"), len(np.unique(y))
    if names.shape != (expected,) or names.dtype.kind not in "US":
        what = f"classes is {names.dtype} {list(names.shape)}"
        raise DataError(f"{what}; allowed: {expected} texts, one per label")
    return tuple(map(str, names))


@contextlib.contextmanager
def _damage(name: str, writer: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # zipfile, zlib, the header parser and safetensors raise many kinds
        raise DataError(f"{name} is damaged: {one_line(error)}; allowed: what {writer} writes") from None


def _pickled(name: str) -> DataError:
    return DataError(f"{name} holds pickled Python objects, which are never loaded; allowed: numbers")


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read the header of an array, up to its first value: shape, whether columns come first, type."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(stream)


def _mapped(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array:
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
