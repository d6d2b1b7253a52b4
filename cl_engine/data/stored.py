"""Samples whose rows stand outside memory and are read batch by batch."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cl_engine.data.samples import BLOCK, Samples, rows_at

Index = npt.NDArray[np.int64]
AHEAD = 2  # batches that are read while one is used


class Rows(ABC):
    """Rows of one shape and type that can be read, and never written.

    Attributes:
        shape: the number of rows, then the shape of one.
        dtype: uint8 images or float32 features.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.shape[0]

    @abstractmethod
    def read(self, index: Index) -> Tensor:
        """Return the rows at ``index``, none negative, as a new tensor in memory that nobody else refers to."""

    def take(self, index: Index) -> Rows:
        """Return the rows at ``index`` without reading them."""
        return Picked(self, index)

    def split(self, size: int) -> Iterator[Tensor]:
        """Yield the rows in order, ``size`` at a time, each read when it is asked for."""
        for start in range(0, len(self), size):
            yield self.read(np.arange(start, min(start + size, len(self))))

    def histogram(self) -> Tensor:
        """Return how often each value occurs in each channel of uint8 images, int64 ``[C, 256]``."""
        counts = torch.zeros(self.shape[1], 256, dtype=torch.int64)
        for part in self.split(BLOCK):
            counts += torch.stack([channel.flatten().bincount(minlength=256) for channel in part.unbind(1)])
        return counts


class Picked(Rows):
    """Some rows of others, in an order of their own."""

    def __init__(self, rows: Rows, index: Index) -> None:
        self.rows, self.index = rows, index
        self.shape, self.dtype = (len(index), *rows.shape[1:]), rows.dtype

    def read(self, index: Index) -> Tensor:
        """Return the rows at ``index``."""
        return self.rows.read(self.index[index])

    def take(self, index: Index) -> Rows:
        """Return the rows at ``index``, of the rows that these are picked from."""
        return Picked(self.rows, self.index[index])


class Held(Rows):
    """Rows of a tensor in memory."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor, self.shape, self.dtype = tensor, tuple(tensor.shape), tensor.dtype

    def read(self, index: Index) -> Tensor:
        """Return the rows at ``index``."""
        return rows_at(self.tensor, torch.from_numpy(index).to(self.tensor.device)).cpu()


class Both(Rows):
    """Rows of one kind, then those of another."""

    def __init__(self, first: Rows, second: Rows) -> None:
        self.first, self.second = first, second
        self.shape, self.dtype = (len(first) + len(second), *first.shape[1:]), first.dtype

    def read(self, index: Index) -> Tensor:
        """Return the rows at ``index``."""
        late = index >= len(self.first)
        found = torch.empty(len(index), *self.shape[1:], dtype=self.dtype)
        found[torch.from_numpy(~late)] = self.first.read(index[~late])
        found[torch.from_numpy(late)] = self.second.read(index[late] - len(self.first))
        return found


class Changed(Rows):
    """Rows that a function changes when they are read; it keeps their shape and type."""

    def __init__(self, rows: Rows, change: Callable[[Tensor], Tensor]) -> None:
        self.rows, self.change, self.shape, self.dtype = rows, change, rows.shape, rows.dtype

    def read(self, index: Index) -> Tensor:
        """Return the rows at ``index``."""
        return self.change(self.rows.read(index))


class StoredSamples(Samples):
    """Samples whose ``x`` is read when it is needed.

    An index, a slice and ``with_columns`` give samples of the same kind without reading one row; ``batches`` gives
    samples in memory, the next ones read meanwhile.  ``x`` itself reads all rows: a copy of its own, as is
    everything that is read, so that nothing done to it changes what is stored.

    Args:
        stored: the rows.
        y: int64 class ids ``[N]``; samples are read to where they are.
        columns: as of :class:`Samples`.

    >>> rows = Held(torch.arange(8.0).view(4, 2))
    >>> samples = StoredSamples(rows, torch.tensor([0, 1, 0, 1]))[torch.tensor([3, 0])]
    >>> samples[:1].x
    tensor([[6., 7.]])
    """

    def __init__(self, stored: Rows, y: Tensor, columns: dict[str, Tensor] | None = None) -> None:
        for name, value in (("stored", stored), ("y", y), ("columns", columns or {})):
            object.__setattr__(self, name, value)

    stored: Rows

    @functools.cached_property
    def x(self) -> Tensor:
        """All rows, read now."""
        return self._read(np.arange(len(self)))

    @property
    def inputs(self) -> Rows:
        """The rows."""
        return self.stored

    def __getitem__(self, index: Tensor | slice) -> Samples:
        """Return the samples at ``index``, an int64 (not negative) or bool tensor, or a slice; reads nothing."""
        if self._is_read:
            return super().__getitem__(index)
        places = np.arange(len(self))[index] if isinstance(index, slice) else _places(index)
        chosen = torch.from_numpy(places).to(self.y.device)
        columns = {name: rows_at(column, chosen) for name, column in self.columns.items()}
        return StoredSamples(self.stored.take(places), rows_at(self.y, chosen), columns)

    def __add__(self, other: Samples) -> Samples:
        """Return both, one after the other; see :class:`Samples`."""
        if self._is_read:
            return super().__add__(other)
        beside = Samples(self._nothing, self.y, self.columns) + Samples(self._nothing, other.y, other.columns)
        rows = other.stored if isinstance(other, StoredSamples) else Held(other.x)
        return StoredSamples(Both(self.stored, rows), beside.y, dict(beside.columns))

    def rows(self, index: Tensor | slice) -> Tensor:
        """Return the rows of ``x`` at ``index``; only these are read."""
        found = self[index]
        return found._read(np.arange(len(found))) if isinstance(found, StoredSamples) else found.x

    def labelled(self, y: Tensor) -> Samples:
        """Return the samples with other labels, int64 ``[N]``, and without columns."""
        return StoredSamples(self.stored, y)

    def changed(self, change: Callable[[Tensor], Tensor]) -> Samples:
        """Return the samples with ``x`` changed by a function, whenever rows are read."""
        return StoredSamples(Changed(self.stored, change), self.y, dict(self.columns))

    def through(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        """Return a function of rows for all samples, of so many at a time."""
        if not len(self):
            return function(self.x)
        return torch.cat([function(part.to(self.y.device)) for part in self.stored.split(BLOCK)])

    def histogram(self) -> Tensor:
        """Return how often each value occurs in each channel of uint8 images, int64 ``[C, 256]``."""
        return self.stored.histogram()

    def with_columns(self, **columns: Tensor) -> Samples:
        """Return the samples with further columns, each ``[N, ...]``.

        Raises:
            ValueError: a column has another number of rows.
        """
        checked = Samples(self._nothing, self.y, self.columns).with_columns(**columns)
        return StoredSamples(self.stored, self.y, dict(checked.columns))

    def batches(self, size: int, generator: torch.Generator | None = None) -> Iterator[Samples]:
        """Yield the samples in batches of ``size`` that are in memory; see :class:`Samples`.

        The next ones are read while one is used.
        """
        if self._is_read:
            yield from super().batches(size, generator)
            return
        with ThreadPoolExecutor(AHEAD) as reader:
            waiting: list[Future[Samples]] = []
            for batch in super().batches(size, generator):
                waiting.append(reader.submit(batch.clone))
                if len(waiting) > AHEAD:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()

    def to(self, device: torch.device) -> Samples:
        """Return the samples, to be read to ``device``."""
        columns = {name: column.to(device) for name, column in self.columns.items()}
        return StoredSamples(self.stored, self.y.to(device), columns)

    def clone(self) -> Samples:
        """Return a copy in memory."""
        columns = {name: column.clone() for name, column in self.columns.items()}
        x = self.x.clone() if self._is_read else self._read(np.arange(len(self)))
        return Samples(x, self.y.clone(), columns)

    def __repr__(self) -> str:
        return f"<{len(self)} stored samples of {self.stored.dtype} {list(self.stored.shape[1:])}>"

    @property
    def _is_read(self) -> bool:
        return "x" in vars(self)

    @property
    def _nothing(self) -> Tensor:
        return self.y.new_empty(0)

    def _read(self, index: Index) -> Tensor:
        return self.stored.read(index).to(self.y.device)


def _places(index: Tensor) -> Index:
    if index.dtype == torch.bool:
        index = index.nonzero().flatten()
    places: Index = index.cpu().numpy()
    return places
