"""Exact search through faiss, where it is installed: of a large gallery, block by block."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

QUERIES = 20  # from which on products are faster than one query after the other
BLOCK = 65536  # gallery vectors that are copied, and compared at once


def faiss_is_there() -> bool:
    """Tell whether faiss is installed; the extra `faiss`."""
    return importlib.util.find_spec("faiss") is not None


def search_by_faiss(
    queries: Tensor, gallery: Tensor, sizes: Tensor | None, k: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return scores ``[Q, k]`` and rows ``[Q, k]``, best first, and which queries have equals at the cut ``[Q]``.

    Of equal scores the lower row stands first.  Where the last one that is returned and the first one that is not
    score alike, faiss has chosen between them as it liked, and the last value says so.  Scores are float32, and
    not to the last digit those of another way to compute them.

    Args:
        queries: float32 ``[Q, D]``; for the cosine of length 1.
        gallery: ``[N, D]``; brought to float32 block by block.
        sizes: lengths of its vectors for the cosine, ``[N]``; None: minus the squared distance.
        k: 1 to N.
    """
    import faiss

    q, best = np.ascontiguousarray(queries.numpy()), torch.empty(len(queries), 0)
    where = torch.empty(len(queries), 0, dtype=torch.int64)
    metric = faiss.METRIC_L2 if sizes is None else faiss.METRIC_INNER_PRODUCT
    for start in range(0, len(gallery), BLOCK):
        part = gallery[start : start + BLOCK].float()
        if sizes is not None:
            part = part / sizes[start : start + BLOCK, None]
        with _by_products(faiss):
            found, at = faiss.knn(q, np.ascontiguousarray(part.numpy()), min(k + 1, len(part)), metric)
        scores = torch.from_numpy(found)
        best = torch.cat([best, -scores if sizes is None else scores], 1)
        where = torch.cat([where, torch.from_numpy(at) + start], 1)
        by_row = where.argsort(dim=1)
        best, where = best.gather(1, by_row), where.gather(1, by_row)
        best, order = best.sort(dim=1, descending=True, stable=True)
        best, where = best[:, : k + 1], where.gather(1, order[:, : k + 1])
    cut = best[:, k - 1] == best[:, k] if best.shape[1] > k else torch.zeros(len(queries), dtype=torch.bool)
    return best[:, :k], where[:, :k], cut


@contextlib.contextmanager
def _by_products(faiss: Any) -> Iterator[None]:
    """Let faiss compare by matrix products; from 1.15 on it does so for very many queries alone, and is slow."""
    before = faiss.cvar.distance_compute_blas_threshold
    faiss.cvar.distance_compute_blas_threshold = QUERIES
    try:
        yield
    finally:
        faiss.cvar.distance_compute_blas_threshold = before
