"""What data looks like inside the engine: tensors that are indexed by batch, never sample by sample."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cl_engine.errors import InputError

BLOCK = 4096  # rows that are looked at together where all of them might be more than memory holds


class DataError(InputError):
    """The data cannot be used; the message says what is wrong and what is allowed."""


class Inputs(Protocol):
    """Rows that may stand outside memory; a tensor ``[N, ...]`` is one too."""

    @property
    def shape(self) -> Sequence[int]:
        """All sizes, the number of rows first."""

    @property
    def dtype(self) -> torch.dtype:
        """Type of the values."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def split(self, size: int) -> Iterable[Tensor]:
        """Return the rows in order, ``size`` at a time."""


@dataclass(frozen=True)
class Samples:
    """Labelled samples held as tensors, row by row.

    Attributes:
        x: uint8 images ``[N, C, H, W]`` or float32 features ``[N, D]``.
        y: int64 class ids ``[N]``.
        columns: whatever else belongs to each sample, by name: tensors ``[N, ...]``, such as stored logits.

    >>> old = Samples(torch.zeros(2, 3), torch.tensor([0, 1])).with_columns(logits=torch.ones(2, 5))
    >>> both = old + Samples(torch.zeros(1, 3), torch.tensor([2]))
    >>> both.columns["logits"].sum(1).tolist()
    [5.0, 5.0, 0.0]
    """

    x: Tensor
    y: Tensor
    columns: Mapping[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.y)

    def __getitem__(self, index: Tensor | slice) -> Samples:
        """Return the samples at ``index``, an int64 (not negative) or bool tensor, or a slice."""
        if isinstance(index, Tensor) and index.dtype == torch.bool:
            index = index.nonzero().flatten()
        return self._each(lambda rows: rows_at(rows, index))

    def __add__(self, other: Samples) -> Samples:
        """Return both, one after the other; where only one has a column, the other's rows are 0 in it."""
        return Samples(
            torch.cat([self.x, other.x]),
            torch.cat([self.y, other.y]),
            {
                name: torch.cat([_column(self, name, other), _column(other, name, self)])
                for name in dict.fromkeys([*self.columns, *other.columns])
            },
        )

    @property
    def rehearsed(self) -> Tensor:
        """Which samples come from a memory, bool ``[N]``; the training loop says so in the column of this name."""
        mark = self.columns.get("rehearsed")
        return torch.zeros(len(self), dtype=torch.bool, device=self.y.device) if mark is None else mark

    @property
    def inputs(self) -> Inputs:
        """What stands for ``x`` where it need not be in memory: has ``shape``, ``dtype``, a length and parts."""
        return self.x

    def rows(self, index: Tensor | slice) -> Tensor:
        """Return the rows of ``x`` at ``index``, a slice or an int64 tensor without negative numbers."""
        return rows_at(self.x, index)

    def labelled(self, y: Tensor) -> Samples:
        """Return the samples with other labels, int64 ``[N]``, and without columns."""
        return Samples(self.x, y)

    def changed(self, change: Callable[[Tensor], Tensor]) -> Samples:
        """Return the samples with ``x`` changed by a function of rows ``[B, ...]`` that keeps shape and type."""
        return replace(self, x=change(self.x))

    def through(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        """Return a function of rows ``[B, ...]``, such as their features, for all samples."""
        return function(self.x)

    def histogram(self) -> Tensor:
        """Return how often each value occurs in each channel of uint8 images, int64 ``[C, 256]``."""
        return torch.stack([channel.flatten().bincount(minlength=256) for channel in self.x.unbind(1)])

    def with_columns(self, **columns: Tensor) -> Samples:
        """Return the samples with further columns, each ``[N, ...]``.

        Raises:
            ValueError: a column has another number of rows.
        """
        for name, column in columns.items():
            if len(column) != len(self):
                raise ValueError(f"column {name!r} has {len(column)} rows beside {len(self)} samples")
        return replace(self, columns={**self.columns, **columns})

    def repeated(self, times: int) -> Samples:
        """Return all samples, then all of them again, ``times`` times in all."""
        return self._each(lambda rows: rows.repeat(times, *[1] * (rows.ndim - 1)))

    def batches(self, size: int, generator: torch.Generator | None = None) -> Iterator[Samples]:
        """Yield the samples in batches of ``size``, the last one possibly smaller.

        In order without a ``generator``; with one (a CPU generator) in a fresh uniform permutation.
        """
        if generator is None:
            for start in range(0, len(self), size):
                yield self[start : start + size]
            return
        order = torch.randperm(len(self), generator=generator).to(self.y.device)
        for start in range(0, len(self), size):
            yield self[order[start : start + size]]

    def to(self, device: torch.device) -> Samples:
        """Return the samples on ``device``."""
        return self._each(lambda rows: rows.to(device))

    def clone(self) -> Samples:
        """Return a copy that shares no storage with these samples."""
        return self._each(Tensor.clone)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Samples:
        columns = {name: change(column) for name, column in self.columns.items()}
        return Samples(change(self.x), change(self.y), columns)


def rows_at(rows: Tensor, index: Tensor | slice) -> Tensor:
    """Return the rows at ``index``, a slice or an int64 tensor without negative numbers.

    ``index_select`` is several times faster than ``rows[index]`` on rows of bytes.
    """
    return rows.index_select(0, index) if isinstance(index, Tensor) else rows[index]


def set_rows(rows: Tensor, index: Tensor, values: Tensor) -> None:
    """Replace the rows at ``index``, int64; ``values`` have the type and device of ``rows``.

    NumPy does so several times faster on the CPU.
    """
    if rows.device.type == "cpu" and rows.dtype != torch.bfloat16:
        rows.numpy()[index.numpy()] = values.numpy()
    else:
        rows[index] = values


def _column(samples: Samples, name: str, other: Samples) -> Tensor:
    """Return a column; zeros of the other's kind where there is none."""
    found = samples.columns.get(name)
    if found is not None:
        return found
    like = other.columns[name]
    return like.new_zeros(len(samples), *like.shape[1:])


@dataclass(frozen=True, eq=False)
class Labels:
    """What is known about a data set without its samples; enough to plan a stream and to budget its memory.

    Attributes:
        train: int64 labels of the training samples ``[N]``; any values, not only ``0..C-1``.
        test: int64 labels of the test samples.
        shape: shape of one sample, ``(C, H, W)`` or ``(D,)``.
        train_domains: int64 domain of each training sample ``[N]``, or None.
        test_domains: int64 domain of each test sample, or None.

    Raises:
        DataError: a label or a domain that only the training or only the test samples have.
    """

    train: npt.NDArray[np.int64]
    test: npt.NDArray[np.int64]
    shape: tuple[int, ...]
    train_domains: npt.NDArray[np.int64] | None = None
    test_domains: npt.NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        unknown = np.setdiff1d(self.test, self.train)
        if len(unknown):
            raise DataError(
                f"test label {unknown[0]} never occurs in training; allowed: labels of training samples"
            )
        missing = np.setdiff1d(self.train, self.test)
        if len(missing):
            raise DataError(
                f"label {missing[0]} has no test sample, so its accuracy is undefined; allowed: one or more"
            )
        if self.train_domains is not None and self.test_domains is not None:
            apart = np.setxor1d(self.train_domains, self.test_domains)
            if len(apart):
                where = "training" if apart[0] in self.train_domains else "test"
                raise DataError(f"domain {apart[0]} has {where} samples only; allowed: some of both in each domain")

    @property
    def sample_bytes(self) -> int:
        """Bytes of one raw sample."""
        return sample_bytes(self.shape)


@dataclass(frozen=True, eq=False)
class DataSet:
    """Training and test samples, with the data's own label values.

    Where the data has domains (sessions, sites, batches of a sensor), the column ``domain`` of both parts, int64
    ``[N]``, says which one a sample comes from.

    Raises:
        DataError: shapes, types or labels that do not fit together.
    """

    train: Samples
    test: Samples
    classes: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for name, part in (("train", self.train), ("test", self.test)):
            check_samples(name, part)
        train, test = self.train.inputs, self.test.inputs
        if train.shape[1:] != test.shape[1:] or train.dtype != test.dtype:
            raise DataError(
                f"training samples are {_describe(train)}, test samples {_describe(test)}; "
                "allowed: the same shape and type"
            )
        if ("domain" in self.train.columns) != ("domain" in self.test.columns):
            raise DataError("only training or only test samples have domains; allowed: both or none")
        self.labels()

    def labels(self) -> Labels:
        """Return what a stream is planned from."""
        domains = [part.columns["domain"].numpy() if "domain" in part.columns else None for part in self._parts]
        return Labels(self.train.y.numpy(), self.test.y.numpy(), tuple(self.train.inputs.shape[1:]), *domains)

    @property
    def names(self) -> dict[int, str]:
        """Names of the classes by label, ascending; the labels as text where the data has no names.

        >>> x, y = torch.zeros(3, 2), torch.tensor([4, 1, 4])
        >>> DataSet(Samples(x, y), Samples(x, y), ("ant", "bee")).names
        {1: 'ant', 4: 'bee'}
        """
        known = np.unique(self.train.y.numpy()).tolist()
        return dict(zip(known, self.classes or map(str, known), strict=True))

    def load(self) -> DataSet:
        """Return the data set itself: a :class:`DataSet` is its own source."""
        return self

    def identity(self) -> str:
        """Return the SHA-256 over all samples, labels and domains."""
        digest = hashlib.sha256()
        domains = [part.columns["domain"] for part in self._parts if "domain" in part.columns]
        for rows in (self.train.inputs, self.train.y, self.test.inputs, self.test.y, *domains):
            digest.update(f"{tuple(rows.shape)} {rows.dtype}".encode())
            for part in rows.split(BLOCK):
                digest.update(np.ascontiguousarray(part.numpy()).data)
        return digest.hexdigest()

    @property
    def _parts(self) -> tuple[Samples, Samples]:
        return self.train, self.test


def sample_dtype(shape: tuple[int, ...]) -> torch.dtype:
    """Return the type of samples of a shape: uint8 images ``(C, H, W)``, float32 features ``(D,)``."""
    return torch.uint8 if len(shape) == 3 else torch.float32


def sample_bytes(shape: tuple[int, ...]) -> int:
    """Return the bytes of one raw sample: 1 per pixel value of an image ``(C, H, W)``, 4 per feature ``(D,)``.

    >>> sample_bytes((3, 32, 32)), sample_bytes((512,))
    (3072, 2048)
    """
    return math.prod(shape) * sample_dtype(shape).itemsize


class DataSource(Protocol):
    """What a ``data`` kind offers.

    It may have ``identity()`` too, a digest of data that its options do not determine, and ``notes``, what the
    result says of the data, such as what was left out.
    """

    def labels(self) -> Labels:
        """Return labels and shape, without loading the samples."""

    def load(self) -> DataSet:
        """Return the samples."""


def check_samples(name: str, samples: Samples) -> None:
    """Check that samples have one of the two forms that the engine knows.

    Raises:
        DataError: they do not.
    """
    x, y = samples.inputs, samples.y
    images, features = x.dtype == torch.uint8 and len(x.shape) == 4, x.dtype == torch.float32 and len(x.shape) == 2
    if not (images or features):
        raise DataError(f"{name}: x is {_describe(x)}; allowed: uint8 [N, C, H, W] or float32 [N, D]")
    if y.dtype != torch.int64 or y.ndim != 1 or len(y) != len(x):
        raise DataError(f"{name}: y is {_describe(y)} beside {len(x)} samples; allowed: int64 [N]")
    if math.prod(x.shape) == 0:
        raise DataError(f"{name}: x is {_describe(x)}; allowed: at least one sample of at least one value")
    domain = samples.columns.get("domain")
    if domain is not None and (domain.dtype != torch.int64 or domain.shape != y.shape):
        raise DataError(f"{name}: domain is {_describe(domain)} beside {len(x)} samples; allowed: int64 [N]")
    if features and not all(_is_finite(part) for part in ([x] if isinstance(x, Tensor) else x.split(BLOCK))):
        raise DataError(f"{name}: x holds NaN or infinite features; allowed: finite numbers")


def _is_finite(x: Tensor) -> bool:
    return all(map(math.isfinite, x.aminmax()))  # NaN where any is; nothing of the size of x is made


def _describe(rows: Inputs) -> str:
    return f"{str(rows.dtype).removeprefix('torch.')} {list(rows.shape)}"
