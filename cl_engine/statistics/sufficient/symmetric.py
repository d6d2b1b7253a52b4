"""Symmetric matrices of which one triangle is kept, and the sums X'X that grow in place.

Two forms hold the triangle of a ``d x d`` matrix, told apart by their number of axes:

- full: a tensor ``[d, d]``.  Its upper triangle is the matrix; what stands below the diagonal has no meaning.
- packed: a tensor ``[d (d + 1) / 2]`` in the rectangular full packed format (Gustavson et al., ACM TOMS 37, 2010),
  which loses nothing, takes half the bytes, and which BLAS updates and factors at full speed.

On the CPU the work is BLAS's and LAPACK's, where torch has no symmetric update and so computes every entry twice.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from scipy.linalg import blas, lapack
from threadpoolctl import ThreadpoolController
from torch import Tensor

ROWS = 4096  # that are multiplied at a time off the CPU, in float32, before their float64 sum grows


def width_of(matrix: Tensor) -> int:
    """Return d of a matrix in either form.

    >>> width_of(torch.zeros(3, 3)), width_of(torch.zeros(6))
    (3, 3)
    """
    return len(matrix) if matrix.ndim == 2 else packed_width(len(matrix))


def packed_width(numbers: int) -> int:
    """Return d of a packed triangle of ``d (d + 1) / 2`` numbers."""
    return (math.isqrt(8 * numbers + 1) - 1) // 2


def packed_length(width: int) -> int:
    """Return how many numbers a packed triangle of width d has."""
    return width * (width + 1) // 2


def pack(full: Tensor) -> Tensor:
    """Return the packed form, a copy, of the upper triangle of ``[d, d]``.

    >>> unpack(pack(torch.tensor([[1.0, 2.0], [7.0, 3.0]])))
    tensor([[1., 2.],
            [0., 3.]])
    """
    if full.device.type == "cpu":
        convert = _of(full, lapack.dtrttf, lapack.strttf)
        return torch.from_numpy(convert(full.contiguous().numpy().T, uplo="L")[0])
    return _pack_elsewhere(full)


def _pack_elsewhere(full: Tensor) -> Tensor:
    size = len(full)
    packed = full.new_empty(packed_length(size))
    top, low = _blocks(packed, size)
    top.copy_(full[: len(top)])  # what stands below its diagonal comes next
    own = torch.ones_like(low, dtype=torch.bool).tril()
    low.copy_(torch.where(own, full[len(top) :, len(top) :].T, low))
    return packed


def unpack(packed: Tensor) -> Tensor:
    """Return the upper triangle ``[d, d]`` of a packed one, zero below the diagonal."""
    size = packed_width(len(packed))
    full = packed.new_zeros(size, size)
    top, low = _blocks(packed, size)
    full[: len(top)] = top.triu()
    full[len(top) :, len(top) :] = low.tril().T
    return full


def whole(matrix: Tensor) -> Tensor:
    """Return the whole symmetric matrix ``[d, d]``, a new tensor."""
    upper = unpack(matrix) if matrix.ndim == 1 else matrix.triu()
    return upper + upper.triu(1).T


def diagonal(matrix: Tensor) -> Tensor:
    """Return the diagonal ``[d]`` of either form, a copy."""
    if matrix.ndim == 2:
        return matrix.diagonal().clone()
    top, low = _blocks(matrix, width_of(matrix))
    return torch.cat([top.diagonal(), low.diagonal()])


def add_to_diagonal(matrix: Tensor, amount: float) -> None:
    """Add a number to every entry of the diagonal, in place, in either form."""
    if matrix.ndim == 2:
        matrix.diagonal().add_(amount)
        return
    for block in _blocks(matrix, width_of(matrix)):
        block.diagonal().add_(amount)


def add_gram(matrix: Tensor, x: Tensor, factor: float = 1.0) -> None:
    """Add ``factor * x'x`` to a matrix in place.

    Args:
        matrix: either form, float64 or float32.
        x: rows ``[N, d]``; on the CPU taken in the type of ``matrix``, elsewhere multiplied in float32.
        factor: 1 adds samples, -1 takes them away.
    """
    if not len(x):
        return
    if matrix.device.type != "cpu":
        _add_gram_elsewhere(matrix, x, factor)
        return
    rows = x.to(matrix.dtype).contiguous().numpy().T
    with limited():
        if matrix.ndim == 2:
            update = _of(matrix, blas.dsyrk, blas.ssyrk)
            update(factor, rows, beta=1.0, c=matrix.numpy().T, overwrite_c=1, lower=1)
        else:
            update = _of(matrix, lapack.dsfrk, lapack.ssfrk)
            update(width_of(matrix), len(x), factor, rows, 1.0, matrix.numpy(), uplo="L", overwrite_c=1)


def _add_gram_elsewhere(matrix: Tensor, x: Tensor, factor: float) -> None:
    full = unpack(matrix) if matrix.ndim == 1 else matrix
    for part in torch.split(x, ROWS):
        single = part.float()
        full.add_(single.T @ single, alpha=factor)
    if matrix.ndim == 1:
        matrix.copy_(pack(full))


def product(matrix: Tensor, other: Tensor) -> Tensor:
    """Return the symmetric matrix times ``other`` ``[d, K]``, ``[d, K]``."""
    if matrix.ndim == 2 and matrix.device.type == "cpu":
        symm = _of(matrix, blas.dsymm, blas.ssymm)
        with limited():
            found = symm(1.0, matrix.numpy().T, other.T.contiguous().numpy().T, lower=1)
        return torch.from_numpy(found.T).T
    if matrix.ndim == 2:
        return whole(matrix) @ other
    top, low = _blocks(matrix, width_of(matrix))
    corner, across, low = top[:, : len(top)].triu(), top[:, len(top) :], low.tril()
    first, second = other[: len(top)], other[len(top) :]
    upper = corner @ first + corner.triu(1).T @ first + across @ second
    lower = low @ second + low.tril(-1).T @ second + across.T @ first
    return torch.cat([upper, lower])


def factor_and_solve(matrix: Tensor, amount: float, target: Tensor) -> Tensor | None:
    """Solve ``(matrix + amount I) W = target`` by a Cholesky factor.

    Args:
        matrix: float64, either form; left as it is.
        amount: added to the diagonal.
        target: float64 ``[d, K]``.

    Returns:
        W ``[d, K]``, or None where the factorisation fails.
    """
    if matrix.device.type != "cpu":
        return _solve_elsewhere(matrix, amount, target)
    system = pack(matrix) if matrix.ndim == 2 else matrix.clone()
    add_to_diagonal(system, amount)
    with limited():
        factor, failed = lapack.dpftrf(len(target), system.numpy(), uplo="L", overwrite_a=1)
        if failed:
            return None
        found, failed = lapack.dpftrs(len(target), factor, target.T.contiguous().numpy().T, uplo="L")
    return None if failed else torch.from_numpy(found.T).T


def _solve_elsewhere(matrix: Tensor, amount: float, target: Tensor) -> Tensor | None:
    system = whole(matrix)
    add_to_diagonal(system, amount)
    factor, failed = torch.linalg.cholesky_ex(system)
    return None if failed else torch.cholesky_solve(target, factor)


def _blocks(packed: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return views of a packed triangle: the first half of its rows, and the rest transposed.

    The first has the entry (i, j) at [i, j] for j from i on; the second, c being the rows of the first, the entry
    (c + i, c + j) at [j, i] for j from i on.  What else they show belongs to the other one.
    """
    rows = (size + 1) // 2
    table = packed.view(rows, -1) if size else packed.view(0, 1)
    return table[:, table.shape[1] - size :], table[2 * rows - size :, : size - rows]


@contextmanager
def limited() -> Iterator[None]:
    """Let BLAS use as many threads as torch does; ``torch.set_num_threads`` does not reach BLAS's own."""
    with _controller().limit(limits=torch.get_num_threads(), user_api="blas"):
        yield


@functools.cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def _of(matrix: Tensor, double: Any, single: Any) -> Any:
    return double if matrix.dtype == torch.float64 else single
