"""How alike two representations of the same samples are: centred kernel alignment of linear kernels.

All of it is computed in float64.  A representation that is the same for every sample is like no other: its
alignment is None.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from cl_engine.errors import InputError

LEAST = 4  # samples that the unbiased estimator needs
CONSTANT = 1e-12  # largest deviation from the mean, of the largest value, that is rounding


def linear_cka(x: Tensor, y: Tensor) -> float | None:
    """Return ``|Y'X|^2 / (|X'X| |Y'Y|)`` of centred features, in 0..1 (Kornblith et al., ICML 2019, section 3).

    This estimator is biased: of few samples with many features any two representations are alike.  For those, and
    for parts of a data set, there is :func:`unbiased_cka`.

    Args:
        x: features ``[N, D]``; features of more than two dimensions are flattened.
        y: features ``[N, E]`` of the same samples.

    Raises:
        InputError: the numbers of samples differ.

    >>> x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 2.0]])
    >>> round(linear_cka(x, 3 * x[:, [1, 0]] + 5), 12)
    1.0
    """
    x, y = _pair(x, y)
    if len(x) <= min(x.shape[1], y.shape[1]):  # kernels are smaller than products of features
        return _ratio([_dot(x @ x.T, y @ y.T)], [_dot(x @ x.T, x @ x.T)], [_dot(y @ y.T, y @ y.T)])
    return _ratio([_dot(y.T @ x, y.T @ x)], [_dot(x.T @ x, x.T @ x)], [_dot(y.T @ y, y.T @ y)])


def unbiased_cka(x: Tensor, y: Tensor, batch_size: int = 256) -> float | None:
    """Return mini-batch CKA (Nguyen et al., ICLR 2021, equations 2 and 3): 1 for equal, about 0 for independent.

    ``sum HSIC_1(K, L) / sqrt(sum HSIC_1(K, K) sum HSIC_1(L, L))`` over mini-batches, K and L their linear kernels;
    it estimates the same whatever the size of a batch.  Below 0 means less alike than chance.  None too for fewer
    than four samples.

    Args:
        x: features ``[N, D]``, in an order that mixes classes; what has more than two dimensions is flattened.
        y: features ``[N, E]`` of the same samples.
        batch_size: samples of a mini-batch at most, at least 4; N are parted as evenly as can be.

    Raises:
        InputError: the numbers of samples differ, or the batches are too small.

    >>> x = torch.eye(6)[:, :5]
    >>> round(unbiased_cka(x, -2 * x), 12)
    1.0
    """
    x, y = _pair(x, y)
    if len(x) < LEAST:
        return None
    both, first, second = [], [], []
    parts = batches(len(x), batch_size)
    for a, b in zip(torch.split(x, parts), torch.split(y, parts), strict=True):
        k, m, weight = u_centred(a @ a.T), u_centred(b @ b.T), _weight(len(a))
        both.append(_dot(k, m) * weight)
        first.append(_dot(k, k) * weight)
        second.append(_dot(m, m) * weight)
    return _ratio(both, first, second)


def unbiased_hsic(k: Tensor, l: Tensor) -> float:  # noqa: E741 - the papers' letters
    """Return HSIC_1, the unbiased estimator of the Hilbert-Schmidt independence criterion (Song et al., JMLR 2012).

    ``(tr(KL) + 1'K1 1'L1 / ((n-1)(n-2)) - 2 1'KL1 / (n-2)) / (n (n-3))``, the diagonals of K and L set to 0
    (theorem 2); here as a product of U-centred kernels, which is the same number.

    Args:
        k: kernel ``[N, N]``.
        l: kernel ``[N, N]`` of the same samples.

    Raises:
        InputError: fewer than four samples, or other shapes.

    >>> round(unbiased_hsic(torch.eye(5), torch.eye(5)), 12) + 0.0  # only diagonals, which do not count
    0.0
    """
    if k.shape != l.shape or k.ndim != 2 or k.shape[0] != k.shape[1] or len(k) < LEAST:
        raise InputError(
            f"unbiased HSIC: kernels {list(k.shape)} and {list(l.shape)}; allowed: [N, N] with N >= {LEAST}"
        )
    return _dot(u_centred(k.double()), u_centred(l.double())) * _weight(len(k))


def u_centred(kernels: Tensor) -> Tensor:
    """Return kernels ``[..., N, N]`` U-centred: rows and columns sum to 0, the diagonal is 0 and stays out.

    ``<U(K), U(L)> / (N (N - 3))`` is HSIC_1 (Szekely and Rizzo, Annals of Statistics 2014, section 2).
    """
    n = kernels.shape[-1]
    off = kernels - torch.diag_embed(kernels.diagonal(dim1=-2, dim2=-1))
    rows, total = off.sum(-1), off.sum((-2, -1))
    centred = off - rows[..., :, None] / (n - 2) - rows[..., None, :] / (n - 2)
    centred = centred + total[..., None, None] / ((n - 1) * (n - 2))
    return centred - torch.diag_embed(centred.diagonal(dim1=-2, dim2=-1))


def batches(samples: int, batch_size: int) -> list[int]:
    """Return the sizes of mini-batches, which differ by one at most; larger ones where some would be too small.

    >>> batches(10, 5), batches(10, 4)
    ([5, 5], [5, 5])
    """
    if batch_size < LEAST:
        raise InputError(f"mini-batch CKA: batches of {batch_size}; allowed: {LEAST} samples or more")
    count = max(1, min(math.ceil(samples / batch_size), samples // LEAST))
    return [samples // count + (k < samples % count) for k in range(count)]


def _pair(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    if len(x) != len(y):
        raise InputError(f"CKA: features of {len(x)} and of {len(y)} samples; allowed: of the same samples")
    return _centred(x), _centred(y)


def _centred(x: Tensor) -> Tensor:
    """Return features ``[N, D]`` about their mean, float64; zeros where only rounding is left."""
    x = x.detach().flatten(1).double()
    about = x - x.mean(0, keepdim=True)
    if len(x) and about.numel() and about.abs().max() <= CONSTANT * x.abs().max():
        return torch.zeros_like(about)
    return about


def _weight(n: int) -> float:
    return 1 / (n * (n - 3))


def _dot(a: Tensor, b: Tensor) -> float:
    return float((a * b).sum())


def _ratio(both: Sequence[float], first: Sequence[float], second: Sequence[float]) -> float | None:
    scale = math.sqrt(max(math.fsum(first), 0.0)) * math.sqrt(max(math.fsum(second), 0.0))
    return math.fsum(both) / scale if scale > 0 else None
