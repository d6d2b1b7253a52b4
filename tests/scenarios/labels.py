"""Random label arrays, as data sets may hold them."""

import numpy as np
from hypothesis import strategies as st


@st.composite
def label_arrays(draw, min_classes=1, max_classes=12, max_per_class=30):
    """Sparse label values, unbalanced classes (some of one sample), class after class or mixed."""
    labels = draw(
        st.lists(st.integers(0, 10**6), min_size=min_classes, max_size=max_classes, unique=True), label="labels"
    )
    counts = draw(
        st.lists(st.integers(1, max_per_class), min_size=len(labels), max_size=len(labels)), label="counts"
    )
    targets = np.repeat(np.array(labels, dtype=np.int64), counts)
    if draw(st.booleans(), label="mixed"):
        return np.random.RandomState(draw(st.integers(0, 99))).permutation(targets)
    return np.sort(targets)


def balanced(classes, per_class):
    """Label values 10, 13, 16, ... with the classes interleaved, int64 ``[classes * per_class]``."""
    return np.arange(classes * per_class) % classes * 3 + 10
