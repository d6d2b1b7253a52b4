"""Generated features: one Gaussian cloud per class, as many as wanted."""

from __future__ import annotations

import os
from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from cl_engine.data.samples import DataSet, Labels, Samples
from cl_engine.kinds.problems import OptionError
from cl_engine.randomness import torch_generator


class Gaussian:
    """Gaussian clouds: float32 features, unit variance, class means a chosen distance apart.

    The mean of a class is drawn from ``N(0, separation^2 / (2 * features))`` in each feature, so that the squared
    distance of two class means is ``separation^2`` on average, in units of the variance inside a class.

    Raises:
        OptionError: more samples than the machine's memory holds.
    """

    def __init__(
        self,
        *,
        classes: Annotated[int, Field(ge=1, le=10**6, description="number of classes")] = 10,
        features: Annotated[int, Field(ge=1, le=10**6, description="features of a sample")] = 32,
        samples_per_class: Annotated[int, Field(ge=1, le=10**9, description="training samples of a class")] = 100,
        test_per_class: Annotated[int, Field(ge=1, le=10**9, description="test samples of a class")] = 20,
        separation: Annotated[float, Field(ge=0, le=1e6, description="mean distance of two class means")] = 4.0,
        seed: Annotated[int, Field(ge=0, description="draws means and samples; not tied to the run's seed")] = 0,
    ) -> None:
        self.classes, self.features, self.separation, self.seed = classes, features, separation, seed
        self.samples_per_class, self.test_per_class = samples_per_class, test_per_class
        needed = 4 * classes * features * (samples_per_class + test_per_class)
        present = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        if needed > present:
            raise OptionError(
                "samples_per_class",
                f"{classes} classes of {samples_per_class} + {test_per_class} samples of {features} features need "
                f"{needed / 2**30:.1f} GiB; allowed: at most the {present / 2**30:.1f} GiB of this machine",
            )

    def labels(self) -> Labels:
        """Return the labels, sorted by class."""
        classes = np.arange(self.classes, dtype=np.int64)
        return Labels(
            np.repeat(classes, self.samples_per_class), np.repeat(classes, self.test_per_class), (self.features,)
        )

    def load(self) -> DataSet:
        """Draw the samples, in place and class by class, so that nothing is held twice."""
        labels = self.labels()
        scale = self.separation / np.sqrt(2 * self.features)
        means = torch.randn(self.classes, self.features, generator=torch_generator(self.seed, "means")) * scale
        return DataSet(
            self._draw("train", means, self.samples_per_class, torch.from_numpy(labels.train)),
            self._draw("test", means, self.test_per_class, torch.from_numpy(labels.test)),
        )

    def _draw(self, split: str, means: torch.Tensor, per_class: int, y: torch.Tensor) -> Samples:
        generator = torch_generator(self.seed, split)
        x = torch.empty(self.classes, per_class, self.features)
        for cloud, mean in zip(x, means, strict=True):
            cloud.normal_(generator=generator).add_(mean)
        return Samples(x.view(-1, self.features), y)
