"""Features that were computed elsewhere: arrays in .npz, .safetensors or .npy files."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from cl_engine.data.arrays import Arrays, class_names, integers, opened
from cl_engine.data.samples import DataError, DataSet, Samples
from cl_engine.data.vectors import split, standardised
from cl_engine.data.whole import WholeSource
from cl_engine.kinds.problems import OptionError
from cl_engine.kinds.signature import Located

Name = Annotated[str, Field(min_length=1)]


class Features(WholeSource):
    """Feature vectors with labels, and domains if wanted, from .npz or .safetensors files or folders of .npy files.

    Either ``train`` and ``test`` hold arrays ``x`` ``[N, D]`` and ``y`` ``[N]`` each; or ``path`` holds
    ``x_train``, ``y_train``, ``x_test``, ``y_test``; or ``path`` holds ``x`` and ``y``, of which ``test_share`` is
    set aside.
    ``x`` is float16, bfloat16, float32 or float64.  Only float32 is used as it lies in the file, mapped into memory
    (from a folder or .safetensors, or uncompressed and large in .npz); anything else, and what is split or
    standardised, takes 4 bytes a value in memory.  Class names may stand in an array ``classes``, but for
    .safetensors, which holds no text.  Nothing is ever unpickled.

    Raises:
        OptionError: neither ``path`` nor ``train`` and ``test``, or both.
        DataError: a file or one of its arrays is not as described.
    """

    def __init__(
        self,
        *,
        path: Annotated[
            str | None, Located(), Field(description="all samples: a file, or a folder of .npy")
        ] = None,
        train: Annotated[str | None, Located(), Field(description="training samples, beside `test`")] = None,
        test: Annotated[str | None, Located(), Field(description="test samples, beside `train`")] = None,
        x: Annotated[Name, Field(description="name of the array of features")] = "x",
        y: Annotated[Name, Field(description="name of the array of integer labels")] = "y",
        domain: Annotated[
            str | None, Field(min_length=1, description="name of an array of integers that tells samples' domains")
        ] = None,
        test_share: Annotated[
            float, Field(gt=0, lt=1, description="share of each class to test on, where the file has no split")
        ] = 0.2,
        standardise: Annotated[
            bool, Field(description="scale every feature to mean 0 and deviation 1 over all training samples")
        ] = False,
        seed: Annotated[int, Field(ge=0, description="chooses the test samples; not tied to the run's seed")] = 0,
    ) -> None:
        if (path is None) == (train is None and test is None) or (train is None) != (test is None):
            raise OptionError(
                "path",
                "neither or more than one way to name samples is given; allowed: path, or train and test together",
            )
        self.path, self.train, self.test = path, train, test
        self.x, self.y, self.domain = x, y, domain
        self.test_share, self.standardise, self.seed = test_share, standardise, seed

    def read(self) -> DataSet:
        """Read and check the files."""
        train, test, classes = self._parts()
        if self.standardise:
            DataSet(train, test)  # says what is wrong before numbers are made of it
            train, test = standardised(train, test)
        return DataSet(train, test, classes)

    def _parts(self) -> tuple[Samples, Samples, tuple[str, ...] | None]:
        if self.train is not None and self.test is not None:
            with opened(self.train) as arrays:
                train = self._samples(arrays)
                classes = class_names(arrays, train.y.numpy())
            with opened(self.test) as arrays:
                return train, self._samples(arrays), classes
        assert self.path is not None
        with opened(self.path) as arrays:
            if f"{self.x}_train" in arrays.names():
                train, test = self._samples(arrays, "_train"), self._samples(arrays, "_test")
            else:
                train, test = split(self._samples(arrays), self.test_share, self.seed)
            return train, test, class_names(arrays, train.y.numpy())

    def _samples(self, arrays: Arrays, part: str = "") -> Samples:
        wanted = [f"{name}{part}" for name in (self.x, self.y, self.domain) if name]
        found = arrays.names()
        if missing := [name for name in wanted if name not in found]:
            held = f"names of arrays among {', '.join(sorted(found))[:200]}" if found else "a folder of .npy files"
            raise DataError(f"lacks {', '.join(missing)}; allowed: {held}")
        x = arrays.array(wanted[0])
        if x.ndim != 2 or x.dtype.kind != "f" or 0 in x.shape:
            what = f"{wanted[0]} is {x.dtype} {list(x.shape)}"
            raise DataError(f"{what}; allowed: float [N, D], one row of features or more")
        columns = {"domain": torch.from_numpy(integers(arrays, wanted[2], len(x)))} if self.domain else {}
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused as such
            features = torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))
        return Samples(features, torch.from_numpy(integers(arrays, wanted[1], len(x))), columns)
