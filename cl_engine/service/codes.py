"""How a service stores a vector: its first values alone, in fewer bytes."""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn import functional as F

from cl_engine.errors import InputError
from cl_engine.service.product import ProductQuantiser
from cl_engine.service.product import codebook_bytes as of_parts

Code = Literal["float32", "float16", "int8", "pq"]
WIDTHS: dict[str, int] = {"float32": 4, "float16": 2, "int8": 1}
PARTS = 16  # of a vector under `pq`, a byte each


def vector_bytes(width: int, code: Code = "float32", prefix: int | None = None, parts: int = PARTS) -> int:
    """Return the bytes of one stored vector of so many values.

    >>> vector_bytes(64), vector_bytes(64, "int8"), vector_bytes(64, "float16", prefix=16), vector_bytes(64, "pq")
    (256, 64, 32, 16)
    """
    return parts if _known(code) == "pq" else WIDTHS[code] * _kept(width, prefix)


def codebook_bytes(width: int, code: Code = "float32", prefix: int | None = None, parts: int = PARTS) -> int:
    """Return the bytes of the codebook of one version of a model; 0 where a code needs none.

    >>> codebook_bytes(64, "pq"), codebook_bytes(64, "int8")
    (65536, 0)
    """
    return of_parts(_kept(width, prefix), parts) if _known(code) == "pq" else 0


def stored(
    vectors: Tensor,
    code: Code = "float32",
    prefix: int | None = None,
    parts: int = PARTS,
    trained_on: Tensor | None = None,
) -> Tensor:
    """Return vectors ``[N, D]`` as they are read back for a search by the cosine, float32.

    ``prefix`` keeps the first values, as of Matryoshka representations; nothing is put in their place.  ``int8``
    and ``float16`` divide each vector by its largest absolute value first; a cosine does not depend on that, so the
    divisor is not stored and there is no codebook that would belong to one version of a model.  ``pq`` has one: it
    stores unit vectors in ``parts`` bytes each (:class:`ProductQuantiser`).

    Args:
        vectors: by one model.
        code: how a value, or under ``pq`` a part, is stored.
        prefix: values that are kept; None: all.
        parts: bytes of a vector under ``pq``.
        trained_on: rows that the codebook of ``pq`` is trained on, or a mask; None: all.

    Raises:
        InputError: no such code, or a prefix below 1; as :class:`ProductQuantiser`.

    >>> import torch
    >>> stored(torch.tensor([[4.0, -1.0, 2.0]]), "int8", prefix=2)
    tensor([[127., -32.]])
    """
    if prefix is not None and prefix < 1:
        raise InputError(f"prefix is {prefix}; allowed: 1 or more values")
    kept = vectors[:, :prefix].float()
    if _known(code) == "float32":
        return kept
    if code == "pq":
        unit = F.normalize(kept)
        quantiser = ProductQuantiser(unit if trained_on is None else unit[trained_on], parts)
        return quantiser.decoded(quantiser.codes(unit))
    scaled = kept / kept.abs().amax(1, keepdim=True).clamp(min=1e-30)
    return scaled.half().float() if code == "float16" else (127 * scaled).round()


def _kept(width: int, prefix: int | None) -> int:
    return width if prefix is None else min(width, prefix)


def _known(code: str) -> str:
    if code not in (*WIDTHS, "pq"):
        raise InputError(f"code is {code!r}; allowed: {', '.join((*WIDTHS, 'pq'))}")
    return code
