"""Product quantisation: a vector as one byte for each of its parts, the number of the nearest of 256 centres."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cl_engine.errors import InputError
from cl_engine.metrics.by_faiss import faiss_is_there

CENTRES = 256  # of each part, so that a number of one is a byte
MISSING = "product quantisation needs faiss, which is missing: pip install 'cl-engine[faiss]'"


def check_faiss() -> None:
    """Check that faiss is there.

    Raises:
        InputError: it is not.
    """
    if not faiss_is_there():
        raise InputError(MISSING)


def codebook_bytes(width: int, parts: int) -> int:
    """Return the bytes of the centres, float32, of vectors of so many values.

    Where parts do not divide the width, vectors are filled up with zeros.

    >>> codebook_bytes(64, 16), codebook_bytes(15, 16)
    (65536, 16384)
    """
    return 4 * CENTRES * parts * -(-width // parts)


class ProductQuantiser:
    """A codebook of faiss (Jégou, Douze and Schmid, TPAMI 2011), 8 bits a part.

    Args:
        vectors: ``[N, D]`` to train on, 256 or more; below 9,984 centres are noisy.
        parts: bytes of a code.

    Raises:
        InputError: too few vectors, no part, or no faiss.
    """

    def __init__(self, vectors: Tensor, parts: int) -> None:
        check_faiss()
        import faiss

        if len(vectors) < CENTRES or parts < 1:
            what = f"{len(vectors)} vectors and {parts} parts"
            raise InputError(f"{what}; allowed: {CENTRES} vectors or more to train on, 1 part or more")
        self.width, self.parts = vectors.shape[1], parts
        filled = parts * -(-self.width // parts)
        self._own = faiss.ProductQuantizer(filled, parts, 8)
        self._own.cp.min_points_per_centroid = 1  # fewer are allowed; no warning on standard error
        self._own.train(self._filled(vectors))

    def codes(self, vectors: Tensor) -> Tensor:
        """Return the codes of ``[N, D]``, uint8 ``[N, parts]``."""
        found: Tensor = torch.from_numpy(self._own.compute_codes(self._filled(vectors)))
        return found

    def decoded(self, codes: Tensor) -> Tensor:
        """Return what codes stand for, float32 ``[N, D]``; a search compares queries with these."""
        found: Tensor = torch.from_numpy(self._own.decode(codes.numpy()))
        return found[:, : self.width]

    def _filled(self, vectors: Tensor) -> np.ndarray:
        return np.ascontiguousarray(F.pad(vectors.float(), (0, self._own.d - self.width)).numpy())
