"""What versions of a model made of one gallery and of one set of queries, a file for each version."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cl_engine.data.arrays import Array, Arrays, integers, opened
from cl_engine.data.samples import DataError

NEEDED = ("gallery", "queries", "gallery_labels", "query_labels")


class Versions(NamedTuple):
    """Features by every version, oldest first.

    Attributes:
        galleries: of each version ``[N, D]``.
        queries: of each version ``[Q, D]``.
        gallery_labels: int64 ``[N]``.
        query_labels: int64 ``[Q]``.
    """

    galleries: list[Array]
    queries: list[Array]
    gallery_labels: Array
    query_labels: Array


def read_versions(files: Sequence[Path], one_width: bool = True) -> Versions:
    """Read the files, oldest version first: .npz, .safetensors, or folders of .npy files.

    Each holds ``gallery`` ``[N, D]`` and ``queries`` ``[Q, D]``, floats; the first one ``gallery_labels`` and
    ``query_labels`` too, integers.  Where a later one has labels they must be the same: rows are samples, in the
    same order in every file.

    Args:
        files: one for each version.
        one_width: all vectors must be as wide as those of the first file; otherwise those of a file as its others.

    Raises:
        DataError: a file lacks an array, an array is something else, or rows, labels or widths differ.
    """
    galleries, queries, found = list[Array](), list[Array](), dict[str, Array]()
    for file in files:
        try:
            with opened(file) as arrays:
                _read(arrays, found, galleries, queries, one_width)
        except DataError as error:
            raise DataError(f"{file}: {error}") from None
    return Versions(galleries, queries, found["gallery_labels"], found["query_labels"])


def _read(
    arrays: Arrays, found: dict[str, Array], galleries: list[Array], queries: list[Array], one_width: bool
) -> None:
    held, needed = arrays.names(), NEEDED if not found else NEEDED[:2]
    if missing := [name for name in needed if name not in held]:
        raise DataError(f"lacks {', '.join(missing)}; allowed: {', '.join(needed)}")
    for name, of, there in (("gallery", "gallery_labels", galleries), ("queries", "query_labels", queries)):
        features = arrays.array(name)
        if features.ndim != 2 or features.dtype.kind != "f" or features.itemsize > 8 or 0 in features.shape:
            raise DataError(
                f"{name} is {features.dtype} {list(features.shape)}; allowed: floats [N, D], of 64 bits at most"
            )
        if not np.isfinite(features.sum(dtype=np.float64)):
            raise DataError(f"{name} holds NaN or infinite values; allowed: finite numbers")
        if of in held:
            y = integers(arrays, of, len(features))
            if not np.array_equal(found.setdefault(of, y), y):
                raise DataError(f"{of} are others than those of the first file; allowed: the same samples in order")
        if len(features) != len(found[of]):
            few = f"{name} has {len(features)} rows, and that of the first file {len(found[of])}"
            raise DataError(f"{few}; allowed: the same samples in order")
        other = galleries[0] if galleries and one_width else galleries[-1] if name == "queries" else features
        if features.shape[1] != other.shape[1]:
            of = "the first gallery" if one_width else "the gallery"
            wide = f"{name} has {features.shape[1]} columns, and {of} {other.shape[1]}"
            raise DataError(f"{wide}; allowed: the same width, as only then vectors can be compared")
        there.append(features)
