"""Exact search for the nearest vectors, in blocks: nothing of the gallery's size is made beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from cl_engine.errors import InputError
from cl_engine.metrics.by_faiss import faiss_is_there, search_by_faiss

Distance = Literal["cosine", "euclidean"]
MANY = 1_000_000  # gallery vectors from which on faiss searches, where it is installed
ROWS, COLUMNS = 1024, 16384  # queries and gallery vectors that are compared at once: 64 MiB of float32


class Found(NamedTuple):
    """What a search found, best first.

    Attributes:
        scores: ``[Q, k]``: the cosine; under ``euclidean`` minus the squared distance.
        indices: int64 ``[Q, k]``, rows of the gallery; of equal scores the lower row comes first.
    """

    scores: Tensor
    indices: Tensor


def search(
    queries: Any, gallery: Any, k: int = 1, distance: Distance = "cosine", itself: Tensor | None = None
) -> Found:
    """Return the ``k`` nearest vectors of the gallery for each query, exactly.

    Beside its arguments it takes some 200 MiB, a number for each vector of the gallery, and what it returns: a
    gallery of 1,000,000 x 512 float32 is searched within 4 GiB.  One of float16, or one in a file that is mapped
    into memory, is brought to the queries' type block by block.  From a million vectors on faiss does it where it
    is installed (float32, on the CPU): the same rows but for scores that differ in their last digits.

    Args:
        queries: ``[Q, D]``, a tensor or NumPy array; half precision and integers are computed in float32.
        gallery: ``[N, D]``.
        k: 1 to N.
        distance: ``cosine``, or ``euclidean`` of the vectors as they are.
        itself: int64 ``[Q]``, the row of the gallery that is the query itself and is left out, or -1.

    Raises:
        InputError: shapes that do not fit, or fewer than k vectors.

    >>> search([[1.0, 0.1]], [[0.0, 1.0], [2.0, 0.0], [1.0, 0.0]], k=2).indices
    tensor([[1, 2]])
    """
    compared = Comparison(queries, gallery, distance, itself)
    columns = compared.shape[1]
    most = columns - (itself is not None)
    if not 1 <= k <= most:
        raise InputError(f"k is {k}; allowed: 1 to {most}, the vectors that there are to find")
    float32 = compared.q.dtype == torch.float32 and compared.q.device.type == "cpu"
    if columns >= MANY and itself is None and float32 and faiss_is_there():
        q = F.normalize(compared.q) if compared.cosine else compared.q
        scores, found, cut = search_by_faiss(q, compared.g, compared.sizes if compared.cosine else None, k)
        if bool(cut.any()):  # equals, of which the lower rows are wanted
            compared.q = compared.q[cut]
            scores[cut], found[cut] = _in_blocks(compared, k)
        return Found(scores, found)
    return _in_blocks(compared, k)


def _in_blocks(compared: Comparison, k: int) -> Found:
    """Return the k nearest vectors of each query, without faiss."""
    rows, columns = len(compared.q), len(compared.g)
    best = compared.q.new_empty(rows, 0)
    where = torch.empty(rows, 0, dtype=torch.int64, device=best.device)
    for across in blocks(columns, COLUMNS):
        size = across.stop - across.start
        found = [_top(compared.scores(down, across), min(k, size)) for down in blocks(rows, ROWS)]
        best = torch.cat([best, torch.cat([values for values, _ in found])], 1)
        where = torch.cat([where, torch.cat([at for _, at in found]) + across.start], 1)
        best, order = best.sort(dim=1, descending=True, stable=True)  # lower rows stand before
        best, where = best[:, :k], where.gather(1, order[:, :k])
    return Found(best, where)


class Comparison:
    """Scores of queries and a gallery, a block at a time; larger is nearer.

    Arguments and errors are those of :func:`search`.

    >>> compared = Comparison([[1.0, 0.0]], [[0.0, 1.0], [2.0, 0.0]])
    >>> compared.scores(slice(0, 1), slice(0, 2))
    tensor([[0., 1.]])
    """

    def __init__(
        self, queries: Any, gallery: Any, distance: Distance = "cosine", itself: Tensor | None = None
    ) -> None:
        q, self.g = vectors("queries", queries), vectors("gallery", gallery)
        self.q = q if q.dtype in (torch.float32, torch.float64) else q.float()
        self.shape = len(self.q), len(self.g)
        self.cosine, self.itself = distance == "cosine", itself
        if distance not in ("cosine", "euclidean"):
            raise InputError(f"distance is {distance!r}; allowed: 'cosine' or 'euclidean'")
        if self.q.shape[1] != self.g.shape[1]:
            widths = f"queries have {self.q.shape[1]} values and the gallery {self.g.shape[1]}"
            raise InputError(f"{widths}; allowed: the same width")
        norms = torch.cat([self.g[rows].to(self.q).norm(dim=1) for rows in blocks(len(self.g), COLUMNS)])
        self.sizes = norms.clamp(min=1e-12) if self.cosine else norms**2

    def scores(self, rows: slice, columns: slice) -> Tensor:
        """Return the scores of a block; minus infinity of a query and itself."""
        q, part, sizes = self.q[rows], self.g[columns].to(self.q), self.sizes[columns]
        if self.cosine:
            found = F.normalize(q) @ part.T / sizes
        else:
            found = 2 * q @ part.T - sizes - (q**2).sum(1)[:, None]
        if self.itself is not None:
            here = self.itself[rows] - columns.start
            inside = (here >= 0) & (here < len(part))
            found[inside.nonzero().flatten(), here[inside]] = -torch.inf
        return found


def vectors(name: str, given: Any) -> Tensor:
    """Return vectors ``[N, D]`` as a tensor of their own type.

    Raises:
        InputError: they are no such vectors.
    """
    found = torch.as_tensor(given)
    if found.ndim != 2 or not found.numel():
        raise InputError(f"{name}: {list(found.shape)}; allowed: [N, D], at least one vector of one value")
    return found


def labels(name: str, given: Any, rows: int) -> Tensor:
    """Return labels ``[N]`` as an int64 tensor.

    Raises:
        InputError: they are not one integer for each vector.
    """
    found = torch.as_tensor(given)
    if found.shape != (rows,) or found.is_floating_point() or found.is_complex():
        kind = str(found.dtype).removeprefix("torch.")
        raise InputError(f"{name}: {kind} {list(found.shape)}; allowed: integers [{rows}], one for each vector")
    return found.long()


def _top(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the k best of each row, of equal ones the first."""
    values, at = scores.topk(k, dim=1)
    least = values[:, -1:]
    cut = (scores == least).sum(1) > (values == least).sum(1)  # where topk chose among equals as it liked
    if bool(cut.any()):
        at[cut] = scores[cut].sort(dim=1, descending=True, stable=True).indices[:, :k]
    at = at.sort(dim=1).values
    values, order = scores.gather(1, at).sort(dim=1, descending=True, stable=True)
    return values, at.gather(1, order)


def blocks(rows: int, size: int) -> Iterator[slice]:
    """Yield the stretches of so many rows, ``size`` long.

    >>> list(blocks(5, 3))
    [slice(0, 3, None), slice(3, 5, None)]
    """
    for start in range(0, rows, size):
        yield slice(start, min(start + size, rows))


def fitted(vectors: Tensor, width: int) -> Tensor:
    """Return the first values of each vector, or zeros after them.

    >>> fitted(torch.ones(1, 2), 3), fitted(torch.ones(1, 2), 1)
    (tensor([[1., 1., 0.]]), tensor([[1.]]))
    """
    return F.pad(vectors[:, :width], (0, max(0, width - vectors.shape[1])))
