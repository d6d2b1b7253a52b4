"""GDumb's sampler against a stream worked by hand, the published counts, and what balanced means."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cl_engine.memory.exemplars.greedy import greedily_balanced


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def stored(stream, slots, seed=0, size=None):
    """Return the places in the stream of what is held after it came in parts of ``size``."""
    draw, held = generator(seed), []
    for start in range(0, len(stream), size or len(stream)):
        part = range(start, min(start + (size or len(stream)), len(stream)))
        both = [*held, *part]
        kept = greedily_balanced([stream[i] for i in held], [stream[i] for i in part], slots, draw)
        held = [both[place] for place in kept]
    return held


@pytest.mark.parametrize("size", [None, 1, 2, 4])
@pytest.mark.parametrize("seed", range(5))
def test_a_stream_worked_by_hand(seed, size):
    """Four slots.  Four 0s fill them; 1 is new, 0 < 4/2, and a 0 goes; again; the third 1 is refused, 2 = 4/2; 2 is
    new, 0 < 4/3, and of the equals 0 and 1 a 0 goes; the next 2, 1 < 4/3, takes a 1's place.
    """
    kept = stored([0, 0, 0, 0, 1, 1, 1, 2, 2], slots=4, seed=seed, size=size)
    assert len(kept) == 4
    assert sum(place < 4 for place in kept) == 1
    assert sum(place in (4, 5) for place in kept) == 1
    assert kept[2:] == [7, 8]


@pytest.mark.parametrize("size", [None, 1, 7])
def test_the_published_counts(size):
    stream = np.random.default_rng(5).integers(0, 4, 40).tolist()
    assert np.bincount(stream).tolist() == [12, 10, 9, 9]
    kept = stored(stream, slots=10, size=size)
    assert np.bincount([stream[place] for place in kept]).tolist() == [3, 2, 2, 3]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=60), st.integers(1, 12), st.integers(1, 9), st.integers(0, 9)
)
def test_no_class_holds_much_more_than_another_that_could_and_slots_are_used_and_never_exceeded(
    stream, slots, size, seed
):
    kept = stored(stream, slots, seed, size)
    assert kept == sorted(set(kept))
    came = np.bincount(stream, minlength=6)
    counts = np.bincount([stream[place] for place in kept], minlength=6)
    classes = len(set(stream))
    share = min(-(-slots // classes), slots)  # the last that is taken is below slots / Y
    assert counts.sum() <= slots
    assert counts.sum() == slots or (counts >= np.minimum(came, share)).any()
    if slots >= classes:
        assert (counts[came > 0] > 0).all()


@pytest.mark.parametrize("order", ["sorted", "shuffled", "returning"])
def test_a_long_stream_ends_balanced_in_whatever_order_classes_come_and_return(order):
    labels = torch.arange(5).repeat_interleave(40)
    stream = {
        "sorted": labels,
        "shuffled": labels[torch.randperm(200, generator=generator())],
        "returning": torch.cat([labels[:80], labels[80:].flip(0), labels[:80]]),
    }[order].tolist()
    counts = np.bincount([stream[place] for place in stored(stream, slots=20, size=16)])
    assert counts.tolist() == [4] * 5


def test_who_is_evicted_is_drawn_evenly_from_the_largest_class():
    stayed = torch.zeros(4)
    for seed in range(400):
        kept = greedily_balanced([0, 0, 0, 0], [1], 4, generator(seed))
        assert kept[-1] == 4
        stayed[kept[:-1]] += 1
    assert stayed.tolist() == pytest.approx([300] * 4, abs=45)


def test_fewer_slots_evict_from_the_largest_and_none_hold_nothing():
    kept = greedily_balanced([0, 0, 0, 0, 1, 2], [], 3, generator())
    assert len(kept) == 3
    assert kept[1:] == [4, 5]
    assert greedily_balanced([0, 1], [2, 0], 0, generator()) == []
