"""Selection rules against their definitions."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cl_engine.data.samples import Samples
from cl_engine.memory.codecs.raw import Raw
from cl_engine.memory.exemplars import Exemplars
from cl_engine.memory.exemplars.quota import Limits
from cl_engine.memory.exemplars.selection import herding, nearest_to_mean


def flat(x):
    return x.flatten(1).float()


def numbered(y):
    """One sample of one float feature for each label: its number in the stream."""
    y = torch.tensor(y)
    return Samples(torch.arange(len(y), dtype=torch.float32)[:, None], y)


def deliver(selection, y, limits, batch, seed=0, classes=None):
    """Return the memory after the labels ``y`` came in batches, classes known beforehand."""
    memory = Exemplars(selection, (1,), Raw())
    memory.grow(classes or max(y) + 1)
    generator = torch.Generator().manual_seed(seed)
    everything = numbered(y)
    for part in everything.batches(batch):
        memory.update(part, limits, generator, flat)
    return memory


def is_greedy(features, picks):
    """Whether each pick is a minimum of iCaRL's algorithm 4 as it is written, exact ties left open."""
    v = features.double()
    v = v / (v.norm(dim=1, keepdim=True) + 1e-8)
    for k in range(1, len(picks) + 1):
        total = v[picks[: k - 1]].sum(0)
        distance = (v.mean(0) - (total + v) / k).norm(dim=1)
        distance[picks[: k - 1]] = torch.inf
        if distance[picks[k - 1]] > distance.min() + 1e-7:
            return False
    return True


FEATURES = st.tuples(st.integers(1, 40), st.integers(1, 8), st.integers(0, 10**6)).map(
    lambda t: torch.randn(t[0], t[1], generator=torch.Generator().manual_seed(t[2]))
)


@settings(max_examples=200, deadline=None)
@given(FEATURES, st.data())
def test_herding_is_the_greedy_rule_without_duplicates_and_its_prefixes_agree(features, data):
    count = data.draw(st.integers(0, len(features)))
    picks = herding(features, count).tolist()
    assert picks == herding(features, len(features)).tolist()[:count]
    assert len(set(picks)) == count
    assert is_greedy(features, picks)


def test_herding_of_a_large_class_is_greedy():
    features = torch.randn(5000, 512, generator=torch.Generator().manual_seed(0)).relu()
    picks = herding(features, 500)
    assert is_greedy(features, picks[:40].tolist())


@settings(max_examples=100, deadline=None)
@given(FEATURES, st.data())
def test_nearest_mean_sorts_by_distance(features, data):
    count = data.draw(st.integers(0, len(features)))
    v = torch.nn.functional.normalize(features.double(), dim=1, eps=1e-8)
    distance = (v - v.mean(0)).norm(dim=1)
    picks = nearest_to_mean(features, count)
    assert len(set(picks.tolist())) == count
    assert torch.allclose(distance[picks], distance.sort().values[:count], atol=1e-6)


def test_greedy_herding_matches_the_mean_better_than_the_nearest_samples():
    features = torch.randn(500, 64, generator=torch.Generator().manual_seed(1))
    v = torch.nn.functional.normalize(features.double(), dim=1)
    gap = {rule: (v[rule(features, 33)].mean(0) - v.mean(0)).norm() for rule in (herding, nearest_to_mean)}
    assert gap[nearest_to_mean] > 5 * gap[herding]


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_ring_holds_the_newest_of_each_class(batch):
    y = [random.Random(0).randrange(3) for _ in range(200)]
    memory = deliver("ring", y, Limits(per_class=5), batch)
    for c in range(3):
        newest = [i for i, label in enumerate(y) if label == c][-5:]
        assert memory.samples().x[memory.y == c].flatten().tolist() == newest[::-1]


@pytest.mark.parametrize("batch", [1, 9, 1000])
@pytest.mark.parametrize("selection", ["herding", "nearest-mean"])
def test_feature_rules_choose_among_exemplars_and_new_samples(selection, batch):
    """The micro-batch result against the rule applied by hand, step by step."""
    rule = {"herding": herding, "nearest-mean": nearest_to_mean}[selection]
    generator = torch.Generator().manual_seed(0)
    samples = Samples(torch.randn(60, 4, generator=generator), torch.randint(0, 3, (60,), generator=generator))
    memory = Exemplars(selection, (4,), Raw())
    held = dict.fromkeys(range(3), samples.x[:0])
    for part in samples.batches(batch):
        memory.update(part, Limits(per_class=6), generator, flat)
        for c in part.y.unique().tolist():
            candidates = torch.cat([held[c], part.x[part.y == c]])
            held[c] = candidates[rule(candidates, min(6, len(candidates)))]
        for c in range(3):
            assert torch.equal(memory.samples().x[memory.y == c], held[c])


def chi_square(inclusions, runs, slots):
    """Sum of squared standard scores of how often each sample was held; its mean is about the number of samples."""
    p = slots / len(inclusions)
    return float((np.square(inclusions - runs * p) / (runs * p * (1 - p))).sum())


@pytest.mark.parametrize(("batch", "runs"), [(1, 200), (5, 500), (40, 1000)])
def test_a_reservoir_is_uniform_over_everything_delivered(batch, runs):
    y = [0] * 30 + [1] * 10
    inclusions = np.zeros(40)
    for seed in range(runs):
        held = deliver("reservoir", y, Limits(total=8), batch, seed).samples().x.flatten().long().numpy()
        assert len(set(held.tolist())) == 8
        inclusions[held] += 1
    assert chi_square(inclusions, runs, 8) < 40 + 5 * (2 * 40) ** 0.5


@pytest.mark.parametrize(("batch", "runs"), [(1, 150), (5, 500), (50, 1000)])
@pytest.mark.parametrize("selection", ["random", "class-balanced"])
def test_each_class_is_a_uniform_sample_and_classes_are_even(selection, batch, runs):
    y = random.Random(1).sample([0] * 24 + [1] * 24 + [2] * 2, 50)
    inclusions = np.zeros(50)
    for seed in range(runs):
        memory = deliver(selection, y, Limits(total=14), batch, seed)
        held = memory.samples().x.flatten().long().numpy()
        assert torch.bincount(memory.y).tolist() == [6, 6, 2]
        inclusions[held] += 1
    for c in range(2):
        members = np.flatnonzero(np.array(y) == c)
        assert chi_square(inclusions[members], runs, 6) < 24 + 5 * (2 * 24) ** 0.5
    assert (inclusions[np.array(y) == 2] == runs).all()


def cbrs(y, slots, rng):
    """Algorithm 1 of Chrysakis & Moens (ICML 2020), as it is written."""
    memory, full, seen = [], set(), {}
    for i, c in enumerate(y):
        seen[c] = seen.get(c, 0) + 1
        counts = {}
        for j in memory:
            counts[y[j]] = counts.get(y[j], 0) + 1
        if len(memory) < slots:
            memory.append(i)
            continue
        largest = max(counts.values())
        full |= {k for k, n in counts.items() if n == largest}
        if c not in full:
            victims = [at for at, j in enumerate(memory) if counts[y[j]] == largest]
            memory[rng.choice(victims)] = i
        elif rng.random() <= counts[c] / seen[c]:
            memory[rng.choice([at for at, j in enumerate(memory) if y[j] == c])] = i
    return memory


def test_class_balanced_is_cbrs():
    """One sample at a time, on an imbalanced stream: class sizes and inclusion rates agree with the paper's loop."""
    y = random.Random(2).sample([0] * 40 + [1] * 12 + [2] * 3, 55)
    runs, ours, theirs = 150, np.zeros(55), np.zeros(55)
    for seed in range(runs):
        memory = deliver("class-balanced", y, Limits(total=13), 1, seed)
        ours[memory.samples().x.flatten().long().numpy()] += 1
        held = cbrs(y, 13, random.Random(seed))
        theirs[held] += 1
        assert sorted(torch.bincount(memory.y).tolist()) == sorted(np.bincount([y[i] for i in held]).tolist())
    for c in range(3):
        members = np.array(y) == c
        spread = np.sqrt(np.maximum(ours[members] + theirs[members], 1))
        assert (abs(ours[members] - theirs[members]) < 5 * spread).all()


def test_ten_thousand_classes_fill_the_slots():
    y = torch.randint(0, 10_000, (100_000,), generator=torch.Generator().manual_seed(0))
    samples = Samples(torch.zeros(len(y), 1), y)
    for selection in ("random", "class-balanced", "ring", "reservoir"):
        memory = Exemplars(selection, (1,), Raw())
        memory.grow(10_000)
        memory.update(samples, Limits(total=20_000), torch.Generator().manual_seed(0), flat)
        assert len(memory) == 20_000
