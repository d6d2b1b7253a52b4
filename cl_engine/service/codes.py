"""How a service stores a vector: its first values alone, in fewer bytes."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from cl_engine.errors import InputError

Code = Literal["float32", "float16", "int8"]
WIDTHS: dict[str, int] = {"float32": 4, "float16": 2, "int8": 1}


def vector_bytes(width: int, code: Code = "float32", prefix: int | None = None) -> int:
    """Return the bytes of one stored vector of so many values.

    >>> vector_bytes(64), vector_bytes(64, "int8"), vector_bytes(64, "float16", prefix=16)
    (256, 64, 32)
    """
    return WIDTHS[_known(code)] * (width if prefix is None else min(width, prefix))


def stored(vectors: Tensor, code: Code = "float32", prefix: int | None = None) -> Tensor:
    """Return vectors ``[N, D]`` as they are read back for a search by the cosine, float32.

    ``prefix`` keeps the first values, as of Matryoshka representations; nothing is put in their place.  ``int8``
    and ``float16`` divide each vector by its largest absolute value first; a cosine does not depend on that, so the
    divisor is not stored and there is no codebook that would belong to one version of a model.

    Raises:
        InputError: no such code, or a prefix below 1.

    >>> import torch
    >>> stored(torch.tensor([[4.0, -1.0, 2.0]]), "int8", prefix=2)
    tensor([[127., -32.]])
    """
    if prefix is not None and prefix < 1:
        raise InputError(f"prefix is {prefix}; allowed: 1 or more values")
    kept = vectors[:, :prefix].float()
    if _known(code) == "float32":
        return kept
    scaled = kept / kept.abs().amax(1, keepdim=True).clamp(min=1e-30)
    return scaled.half().float() if code == "float16" else (127 * scaled).round()


def _known(code: str) -> str:
    if code not in WIDTHS:
        raise InputError(f"code is {code!r}; allowed: {', '.join(WIDTHS)}")
    return code
