"""scikit-learn's handwritten digits: small, real, and always there."""

from __future__ import annotations

import functools

import numpy as np
import torch

from cl_engine.data.samples import DataSet, Labels, Samples


class Digits:
    """1,797 handwritten digits (1x8x8 uint8 images, 10 classes); every fifth of each class is a test sample.

    The 17 grey levels of scikit-learn's copy are spread over 0..255.
    """

    def labels(self) -> Labels:
        """Return the labels of the fixed split."""
        return _digits().labels()

    def load(self) -> DataSet:
        """Return 1,442 training and 355 test samples."""
        return _digits()


@functools.cache
def _digits() -> DataSet:
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    images = torch.from_numpy(np.rint(pixels * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8))
    y = torch.from_numpy(labels.astype(np.int64))
    position = np.empty(len(labels), dtype=np.int64)  # the how-manieth sample of its class
    for label in np.unique(labels):
        position[labels == label] = np.arange((labels == label).sum())
    test = torch.from_numpy(position % 5 == 4)
    return DataSet(Samples(images[~test], y[~test]), Samples(images[test], y[test]), tuple(map(str, range(10))))
