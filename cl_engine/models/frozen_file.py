"""Features as a file that the data kind `features` reads, here or elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

from cl_engine.data.samples import DataError, DataSet


def write_features(data: DataSet, path: Path, dtype: Literal["float32", "float16"] = "float32") -> None:
    """Write ``x_train``, ``y_train``, ``x_test``, ``y_test``, domains and, in .npz, class names.

    Raises:
        DataError: the name ends in neither ``.safetensors`` nor ``.npz``, or a feature is too large for float16.
        OSError: the file cannot be written.
    """
    if path.suffix not in (".safetensors", ".npz"):
        raise DataError(f"got the file {path.name}; allowed: a name that ends in .safetensors or .npz")
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, part in (("train", data.train), ("test", data.test)):
        with np.errstate(over="ignore"):
            x = part.x.numpy().astype(dtype)
        if not np.isfinite(x).all():
            raise DataError(f"a feature is larger than {dtype} can hold; allowed: float32")
        arrays |= {f"x_{name}": x, f"y_{name}": part.y.numpy()}
        arrays |= {f"{column}_{name}": values.numpy() for column, values in part.columns.items()}
    if path.suffix == ".npz":
        if data.classes is not None:
            arrays["classes"] = np.array(data.classes)
        np.savez(path, allow_pickle=False, **arrays)
    else:
        save_file(arrays, path)
