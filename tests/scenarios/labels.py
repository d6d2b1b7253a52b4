"""Label arrays as real data has them: sparse values, unequal classes, a class of one sample, sorted or mixed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st


@st.composite
def labels(draw: st.DrawFn, min_classes: int = 1, max_classes: int = 8) -> npt.NDArray[np.int64]:
    values = draw(st.lists(st.integers(0, 2000), min_size=min_classes, max_size=max_classes, unique=True))
    counts = draw(st.lists(st.integers(1, 30), min_size=len(values), max_size=len(values)))
    targets = np.repeat(np.array(values, dtype=np.int64), counts)
    if draw(st.booleans()):
        targets = np.random.RandomState(draw(st.integers(0, 99))).permutation(targets)
    return targets
