"""Labelled samples held in encoded form: the tensors that the ledger charges and the checkpoint holds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cl_engine.data.samples import Samples, rows_at, set_rows
from cl_engine.memory.budget import INT32_BYTES
from cl_engine.memory.codecs.codec import Codec, Encoded
from cl_engine.memory.held import Held


class Column(NamedTuple):
    """A row-aligned column that is stored beside the samples.

    Attributes:
        kind: what the ledger calls it, such as ``logits``.
        shape: shape of one row; where it is ``[C]`` and later rows are wider, earlier ones are filled up with 0.
        dtype: type of its values.
    """

    kind: str
    shape: tuple[int, ...] = ()
    dtype: torch.dtype = torch.float32


class EncodedSamples(Held):
    """Encoded samples (kind ``exemplars``), their int32 ``labels``, and ``offsets`` where sizes vary.

    Further columns are held under their own kinds.

    Where all samples take the same room, ``x`` is ``[N, ...]`` in the codec's type and there are no offsets.
    Otherwise ``x`` is uint8, one sample after the other, and ``offsets`` tells where each ends: int32, or int64
    from 2 GiB on.
    """

    x: Tensor
    y: Tensor
    offsets: Tensor

    def __init__(self, shape: tuple[int, ...], codec: Codec, columns: Mapping[str, Column] | None = None) -> None:
        """Start empty.

        Args:
            shape: shape of one sample before it is encoded.
            codec: how samples are stored.
            columns: what else of each sample is stored, by name.

        Raises:
            OptionError: the codec cannot take such samples.
        """
        super().__init__()
        self.shape, self.codec = shape, codec
        layout = codec.layout(shape)
        self.sizes_vary = layout is None
        dtype, stored = layout or (torch.uint8, ())
        self.hold("x", torch.empty(0, *stored, dtype=dtype), kind="exemplars")
        self.hold("y", torch.empty(0, dtype=torch.int32), kind="labels")
        if self.sizes_vary:
            self.hold("offsets", torch.empty(0, dtype=torch.int32), kind="offsets")
        self._spare: dict[str, Tensor] = {}  # what a held tensor that grows is the beginning of
        self.column_kinds = {name: column.kind for name, column in (columns or {}).items()}
        for name, column in (columns or {}).items():
            self.hold(_held_name(name), torch.empty(0, *column.shape, dtype=column.dtype), kind=column.kind)

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.y)

    def samples(self, *, copy: bool = True) -> Samples:
        """Return the samples, decoded, with their columns; without ``copy`` perhaps the held tensors themselves."""
        x, columns = self.decoded(self.encoded()), self.columns()
        if copy:  # what is held changes in place with later updates
            x = x.clone() if x.data_ptr() == self.x.data_ptr() else x
            columns = {name: column.clone() for name, column in columns.items()}
        return Samples(x, self.y.long(), columns)

    def take(self, index: Tensor) -> Samples:
        """Return the samples at ``index``, int64, decoded; only these are."""
        columns = {name: rows_at(column, index) for name, column in self.columns().items()}
        encoded = self.encoded().take(index.cpu()) if self.sizes_vary else Encoded.of(rows_at(self.x, index))
        return Samples(self.decoded(encoded), rows_at(self.y, index).long(), columns)

    def __getitem__(self, index: Tensor) -> Samples:
        """Return the samples at ``index``; see :meth:`take`."""
        return self.take(index)

    def columns(self) -> dict[str, Tensor]:
        """Return the stored columns by name, each ``[N, ...]``."""
        return {name: self.get_buffer(_held_name(name)) for name in self.column_kinds}

    def column_bytes(self, new: Samples) -> dict[str, int]:
        """Return the bytes of one row of each column, by kind, once ``new`` samples have joined."""
        sizes: dict[str, int] = {}
        for name, held in self.columns().items():
            width = math.prod(_joined_shape(held, new.columns.get(name, held)))
            sizes[self.column_kinds[name]] = sizes.get(self.column_kinds[name], 0) + held.element_size() * width
        return sizes

    def widen(self, name: str, width: int) -> None:
        """Fill rows of a column ``[N, C]`` up with 0 to ``width`` values.

        In ``begin``, so that the width is announced: what samples alone tell is charged as structure, which no
        room for exemplars allows for.
        """
        held = self.get_buffer(_held_name(name))
        setattr(self, _held_name(name), nn.functional.pad(held, (0, width - held.shape[1])))

    def _joined_columns(self, new: Samples, index: Tensor) -> dict[str, Tensor]:
        """Return the rows at ``index`` of each held column followed by that of ``new``."""
        joined = {}
        for name, held in self.columns().items():
            if name not in new.columns:
                raise ValueError(f"the samples lack the column {name!r} that this memory stores")
            arriving = new.columns[name].to(held.device, held.dtype)
            if arriving.ndim == 2 == held.ndim:  # classes came since: their entries were 0 before
                (width,) = _joined_shape(held, arriving)
                held, arriving = (nn.functional.pad(c, (0, width - c.shape[1])) for c in (held, arriving))
            joined[name] = rows_at(torch.cat([held, arriving]), index.to(held.device))
        return joined

    def encoded(self) -> Encoded:
        """Return the samples as they are held."""
        if not self.sizes_vary:
            return Encoded.of(self.x)
        ends = self.offsets.cpu().long()
        return Encoded(self.x, ends.diff(prepend=ends.new_zeros(1)))

    def decoded(self, encoded: Encoded) -> Tensor:
        """Decode samples of this memory to ``[N, *shape]``."""
        return self.codec.decode(encoded.flat, encoded.offsets, self.shape)

    def can_put(self, new: Samples) -> bool:
        """Tell whether ``new`` samples fit into places as they are: all of one size, rows of columns as wide."""
        return not self.sizes_vary and all(
            name in new.columns and new.columns[name].shape[1:] == held.shape[1:]
            for name, held in self.columns().items()
        )

    def put(self, places: Tensor, new: Samples) -> None:
        """Hold ``new`` samples in ``places``, int64 ``[n]``, each named once; places past the end come in order.

        Where :meth:`can_put` says so.  While more and more samples are put, up to as much room again is taken for
        those to come, so that a sample costs the same however many are held.
        """
        places, count = places.to(self.y.device), max(int(places.max()) + 1, len(self))
        stored = self.codec.encode(new.x).flat.view(self.x.dtype).view(-1, *self.x.shape[1:])
        rows = {_held_name(name): new.columns[name] for name in self.column_kinds}
        for name, values in {"x": stored, "y": new.y, **rows}.items():
            held = self.get_buffer(name) if count == len(self) else self._extended(name, count)
            set_rows(held, places, values.detach().to(held.device, held.dtype))
        for name in ("x", "y", *rows) if count > len(self) else ():
            setattr(self, name, self._spare[name][:count])

    def _extended(self, name: str, count: int) -> Tensor:
        """Return a held tensor with room for ``count`` rows, without copying it each time."""
        held, spare = self.get_buffer(name), self._spare.get(name)
        if spare is None or len(spare) < count or spare.data_ptr() != held.data_ptr():
            spare = self._spare[name] = held.new_empty(max(count, 2 * len(held)), *held.shape[1:])
            spare[: len(held)] = held
        return spare[:count]

    def replace(self, encoded: Encoded, labels: Tensor, columns: Mapping[str, Tensor] | None = None) -> None:
        """Hold other samples instead; ``labels`` are int64 ``[N]``, ``columns`` all that are declared."""
        for name, column in (columns or {}).items():
            setattr(self, _held_name(name), column)
        device = self.y.device
        self.y = labels.int().to(device)
        if self.sizes_vary:
            dtype = torch.int32 if len(encoded.flat) < INT32_BYTES else torch.int64
            self.x, self.offsets = encoded.flat, encoded.offsets[1:].to(device, dtype)
        else:
            self.x = encoded.flat.view(self.x.dtype).view(-1, *self.x.shape[1:])


def per_sample_kinds(module: nn.Module) -> frozenset[str]:
    """Return the kinds of all columns that memories within ``module`` store beside their samples."""
    memories = (part for part in module.modules() if isinstance(part, EncodedSamples))
    return frozenset(kind for memory in memories for kind in memory.column_kinds.values())


def _joined_shape(held: Tensor, arriving: Tensor) -> tuple[int, ...]:
    """Return the shape of one row of a column once others have joined it."""
    if arriving.ndim == 2 == held.ndim:
        return (max(held.shape[1], arriving.shape[1]),)
    return tuple(held.shape[1:])


def _held_name(column: str) -> str:
    return f"column_{column}"
