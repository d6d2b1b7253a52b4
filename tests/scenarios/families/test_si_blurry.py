import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cl_engine.kinds.problems import OptionError
from cl_engine.scenarios.families.si_blurry import draw_homes, random_shares, si_blurry
from tests.scenarios.invariants import check_plan, check_seeds, check_uniform_order, class_counts
from tests.scenarios.labels import balanced, label_arrays

percent = st.integers(0, 100)
variants = st.sampled_from(["balanced", "published"])

# The released code on 100 classes of 500 samples, classes interleaved (5 experiences, 50 % disjoint, 10 % blurry).
RELEASED = {
    1: (
        [45, 15, 90, 32, 35],
        [3, 0, 20, 14, 13],
        [10, 6, 0, 30, 4],
        [50, 333, 264, 1528, 325],
        [6500, 3000, 10264, 22000, 8236],
        [44, 53, 73, 87, 100],
    ),
    2: (
        [48, 97, 1, 81, 90],
        [0, 16, 9, 5, 20],
        [9, 3, 18, 16, 4],
        [545, 136, 92, 1573, 154],
        [4500, 9500, 13500, 10500, 12000],
        [46, 63, 75, 80, 100],
    ),
    3: (
        [86, 42, 89, 92, 3],
        [29, 13, 0, 1, 7],
        [13, 13, 5, 14, 5],
        [4, 306, 1240, 242, 708],
        [21000, 13000, 2500, 7500, 6000],
        [45, 90, 92, 93, 100],
    ),
    4: (
        [30, 13, 49, 91, 37],
        [1, 2, 34, 9, 4],
        [7, 0, 2, 25, 16],
        [1106, 300, 563, 62, 469],
        [4000, 1300, 18000, 17000, 9700],
        [47, 50, 87, 96, 100],
    ),
    5: (
        [11, 22, 39, 23, 42],
        [12, 14, 15, 0, 9],
        [1, 41, 0, 7, 1],
        [476, 612, 561, 401, 450],
        [6500, 27500, 8061, 3389, 4550],
        [60, 76, 91, 91, 100],
    ),
}
CIFAR_LIKE = np.arange(50000) % 100


@pytest.mark.parametrize("seed", RELEASED)
def test_published_equals_the_released_code(seed):
    order, disjoint, blurry, quotas, sizes, seen = RELEASED[seed]
    generator = torch.Generator().manual_seed(seed)
    homes = draw_homes(100, 5, 50, generator)
    assert homes.order[:5].tolist() == order
    assert homes.disjoint.tolist() == disjoint
    assert homes.blurry.tolist() == blurry
    assert random_shares(2500, 5, generator).tolist() == quotas

    plan = si_blurry(CIFAR_LIKE, variant="published", seed=seed)
    assert plan.sizes.tolist() == sizes
    assert [len(np.unique(CIFAR_LIKE[plan.indices[:end]])) for end in plan.offsets[1:]] == seen
    assert plan.boundaries is False


@pytest.mark.parametrize("seed", RELEASED)
def test_balanced_has_the_classes_and_sizes_of_published(seed):
    plan = si_blurry(CIFAR_LIKE, seed=seed)
    assert plan.sizes.tolist() == RELEASED[seed][4]
    published = si_blurry(CIFAR_LIKE, variant="published", seed=seed)
    home = class_counts(CIFAR_LIKE, plan).argmax(0)
    assert (home == class_counts(CIFAR_LIKE, published).argmax(0)).mean() > 0.9  # starved homes may differ


@given(label_arrays(), st.integers(1, 6), percent, percent, variants, st.integers(0, 50))
def test_what_moves_and_what_stays(targets, experiences, disjoint_percent, blurry_percent, variant, seed):
    labels, totals = np.unique(targets, return_counts=True)
    options = {
        "experiences": experiences,
        "disjoint_percent": disjoint_percent,
        "blurry_percent": blurry_percent,
        "variant": variant,
        "seed": seed,
    }
    if experiences > len(labels):
        with pytest.raises(OptionError, match=f"the data has {len(labels)} classes"):
            si_blurry(targets, **options)
        return
    plan = si_blurry(targets, **options)
    check_plan(targets, plan)

    generator = torch.Generator().manual_seed(seed)
    homes = draw_homes(len(labels), experiences, disjoint_percent, generator)
    is_blurry = homes.of_blurry >= 0
    assert plan.dropped == totals[(homes.of_disjoint < 0) & ~is_blurry].sum()
    quotas = random_shares(int(totals[is_blurry].sum()) * blurry_percent // 100, experiences, generator)
    counts = class_counts(targets, plan)
    stock = np.array([totals[homes.of_blurry == t].sum() for t in range(experiences)])
    for t in range(experiences):
        pure = homes.of_disjoint == t
        assert (counts[t, pure] == totals[pure]).all()
        given_away = stock[t] - counts[t, homes.of_blurry == t].sum()
        assert given_away <= quotas[t]  # it may get some of its own back
    if (stock >= quotas).all():
        assert plan.sizes.tolist() == [stock[t] + totals[homes.of_disjoint == t].sum() for t in range(experiences)]
    if blurry_percent == 0 or not is_blurry.any():
        assert ((counts > 0).sum(0) <= 1).all()
    assert homes.disjoint.sum() == 0 or homes.disjoint[-1] >= 1
    assert homes.blurry.sum() == 0 or homes.blurry[-1] >= 1


def test_on_class_sorted_data_only_balanced_blurs_every_class():
    targets = np.sort(CIFAR_LIKE)
    moved = {}
    for variant in ("published", "balanced"):
        counts = class_counts(targets, si_blurry(targets, variant=variant, seed=2))
        moved[variant] = ((counts > 0).sum(0) > 1).sum()
    assert moved["published"] < 15
    assert moved["balanced"] > 45  # of 50 blurry classes


def test_balanced_moves_the_same_share_of_every_blurry_class():
    targets = np.sort(CIFAR_LIKE)
    share = np.zeros(100)
    seeds = range(40)
    for seed in seeds:
        counts = class_counts(targets, si_blurry(targets, disjoint_percent=0, experiences=2, seed=seed))
        share += np.minimum(counts[0], counts[1]) / 500 / len(seeds)
    # 5000 samples move and half of them come home; label order must not matter.
    assert abs(share[:50].mean() - share[50:].mean()) < 0.01
    assert share.std() < 0.05


def test_an_experience_may_be_empty():
    assert si_blurry(CIFAR_LIKE, disjoint_percent=100, variant="published", seed=2).sizes[0] == 0


def test_classes_that_do_not_divide_are_dropped_and_noted():
    plan = si_blurry(balanced(13, 10), experiences=5)
    assert plan.dropped == 30
    assert "30 of 130 samples, 3 whole classes among them" in plan.notes[0]


def test_seeds_and_order():
    check_seeds(si_blurry, balanced(20, 10))
    check_seeds(si_blurry, balanced(20, 10), variant="published")
    check_uniform_order(CIFAR_LIKE, si_blurry(CIFAR_LIKE))


def test_fingerprint_is_the_same_everywhere():
    assert si_blurry(balanced(20, 10), variant="published").fingerprint.startswith("a1f2eb0bf7496136")
