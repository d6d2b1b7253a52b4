"""Arrays of the user's own, in one NumPy archive."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field

from cl_engine.data.arrays import Arrays, class_names, integers, opened
from cl_engine.data.samples import DataError, DataSet, Samples
from cl_engine.data.whole import WholeSource
from cl_engine.kinds.signature import ExistingFile

NEEDED = ("x_train", "y_train", "x_test", "y_test")


class Npz(WholeSource):
    """A .npz file with x_train, y_train, x_test, y_test: uint8 images NHWC or float features NxD.

    Labels are integers from 0 on, with gaps if need be.  ``classes`` (K names, the i-th for the i-th smallest
    label) may stand beside them.  Pickled arrays are never loaded.

    Raises:
        DataError: the archive or one of its arrays is not as described.
    """

    def __init__(
        self,
        *,
        path: Annotated[str, ExistingFile(), Field(description="the .npz file, relative to the scenario file")],
    ) -> None:
        self.path = path

    def read(self) -> DataSet:
        """Read and check the archive."""
        with opened(self.path) as arrays:
            found = arrays.names()
            if missing := [name for name in NEEDED if name not in found]:
                held = ", ".join(sorted(found)) or "nothing"
                raise DataError(f"lacks {', '.join(missing)} (it holds {held[:200]}); allowed: {', '.join(NEEDED)}")
            train, test = _samples(arrays, "train"), _samples(arrays, "test")
            return DataSet(train, test, class_names(arrays, train.y.numpy()))


def _samples(arrays: Arrays, split: str) -> Samples:
    x = arrays.array(f"x_{split}")
    _check_form(f"x_{split}", x.shape, x.dtype)
    if x.ndim == 4:
        tensor = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
    else:
        tensor = torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))
    return Samples(tensor, torch.from_numpy(integers(arrays, f"y_{split}", len(x))))


def _check_form(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    images, features = len(shape) == 4 and dtype == np.uint8, len(shape) == 2 and dtype.kind == "f"
    if not (images or features):
        hint = " (grey images need a last axis of length 1)" if len(shape) == 3 and dtype == np.uint8 else ""
        raise DataError(f"{name} is {dtype} {list(shape)}{hint}; allowed: uint8 [N, H, W, C] or float [N, D]")
    if images and _channels_first(shape):
        raise DataError(
            f"{name} is {dtype} {list(shape)}, which looks like [N, C, H, W]; allowed: uint8 [N, H, W, C], as "
            f"{name}.transpose(0, 2, 3, 1) makes it"
        )
    if 0 in shape:
        raise DataError(f"{name} is {dtype} {list(shape)}, which is empty; allowed: at least one sample")


def _channels_first(shape: tuple[int, ...]) -> bool:
    """Tell whether the axes of images seem to be [N, C, H, W]: few channels first, and far too many last."""
    _, first, middle, last = shape
    return first in (1, 3) and middle > 4 and last > 4
