from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_engine.scenarios.dealing import largest_remainder


@given(st.lists(st.floats(0, 1e6), min_size=1).filter(any), st.integers(0, 10**6))
def test_the_parts_add_up_and_stay_within_one_of_their_share(shares, total):
    parts = largest_remainder(shares, total)
    assert parts.dtype == np.int64
    assert parts.sum() == total
    exact = np.array(shares) / np.sum(shares) * total
    assert (np.abs(parts - exact) < 1 + 1e-6).all()
    assert (parts[np.array(shares) == 0] == 0).all()


def test_equal_remainders_go_to_the_earlier_part():
    assert largest_remainder([1, 1, 2], 3).tolist() == [1, 1, 1]
    assert largest_remainder([1, 1], 3).tolist() == [2, 1]


@pytest.mark.parametrize("shares", [[], [0, 0], [1, -1], [np.nan, 1], [np.inf]])
def test_shares_that_are_none(shares):
    with pytest.raises(ValueError, match="shares"):
        largest_remainder(shares, 3)
