"""The linear probe: what a linear classifier makes of a representation."""

from __future__ import annotations

import numpy as np
from torch import Tensor

ALPHA = 1.0  # ridge penalty, on features of unit variance


def linear_probe(x: Tensor, y: Tensor, test_x: Tensor, test_y: Tensor) -> float | None:
    """Return the accuracy, a fraction, of a ridge classifier that is trained on ``x`` and tested on ``test_x``.

    scikit-learn's ``RidgeClassifier(alpha=1)`` behind a ``StandardScaler``: solved in closed form, so that there is
    no stopping rule, and what it costs is that of the samples times the features squared.  None without samples.

    Args:
        x: features ``[N, D]``.
        y: int64 classes ``[N]``; of a single class every sample is right.
        test_x: features ``[M, D]``.
        test_y: int64 classes ``[M]``.
    """
    from sklearn.linear_model import RidgeClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if not len(y) or not len(test_y):
        return None
    if bool((y == y[0]).all()):
        return float((test_y == y[0]).double().mean())
    probe = make_pipeline(StandardScaler(), RidgeClassifier(alpha=ALPHA))
    probe.fit(x.double().numpy(), y.numpy())
    return float(np.mean(probe.predict(test_x.double().numpy()) == test_y.numpy()))
