"""How many of each class: slots and bytes against the rule dealt out by hand."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cl_engine.data.samples import Samples
from cl_engine.memory.budget import Room
from cl_engine.memory.codecs.jpeg import Jpeg
from cl_engine.memory.exemplars import Exemplars
from cl_engine.memory.exemplars.quota import Limits, shares


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=12), st.integers(0, 200))
def test_shares_are_dealt_in_turns(available, total):
    dealt, left = [0] * len(available), total
    while left and dealt != available:
        for c, most in enumerate(available):
            if left and dealt[c] < most:
                dealt[c] += 1
                left -= 1
    assert shares(torch.tensor(available), total).tolist() == dealt


COSTS = st.lists(st.lists(st.integers(1, 50), max_size=8), min_size=1, max_size=5)


@settings(max_examples=500, deadline=None)
@given(COSTS, st.integers(0, 400))
def test_bytes_are_dealt_in_turns_and_no_candidate_is_passed_over(costs, free):
    left, held, open_ = free, [0] * len(costs), set(range(len(costs)))
    while open_:
        for c in sorted(open_):
            if held[c] == len(costs[c]) or costs[c][held[c]] > left:
                open_.remove(c)
            else:
                left -= costs[c][held[c]]
                held[c] += 1
    assert fitted(costs, Limits(room=Room(free, "full"))) == held


@settings(max_examples=500, deadline=None)
@given(COSTS, st.integers(0, 400))
def test_the_papers_quota_splits_bytes_as_it_splits_slots(costs, free):
    share = free // len(costs)
    expected = [sum(sum(c[: k + 1]) <= share for k in range(len(c))) for c in costs]
    assert fitted(costs, Limits(room=Room(free, "full"), quota="papers", classes=len(costs))) == expected


def fitted(costs, limits):
    """Return how many of each class fit, after checking that they are the first ones."""
    group = torch.tensor([g for g, c in enumerate(costs) for _ in c], dtype=torch.int64)
    kept = limits.fitting(torch.tensor([x for c in costs for x in c], dtype=torch.int64), group)
    counts = [int(kept[group == g].sum()) for g in range(len(costs))]
    assert all(kept[group == g][:n].all() for g, n in enumerate(counts))
    return counts


def test_room_is_used_even_where_the_first_samples_are_larger_than_the_others():
    generator = torch.Generator().manual_seed(0)
    x = torch.full((400, 3, 48, 48), 90, dtype=torch.uint8)
    x[:40] = torch.randint(0, 256, (40, 3, 48, 48), generator=generator)
    sizes = Jpeg().encode(x).sizes
    assert sizes[0] > 3 * sizes[-1]
    memory = Exemplars("ring", (3, 48, 48), Jpeg())
    room = Room(300 * int(sizes[-1] + 8), "full")
    memory.update(Samples(x, torch.zeros(400).long()), Limits(room=room), generator, lambda x: x)
    assert len(memory) == 300
