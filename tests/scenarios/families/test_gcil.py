import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_engine.kinds.problems import OptionError
from cl_engine.scenarios.families.gcil import gcil
from tests.scenarios.invariants import check_plan, check_seeds, check_uniform_order, class_counts
from tests.scenarios.labels import balanced, label_arrays

CIFAR_LIKE = np.arange(50000) % 100


@given(
    label_arrays(),
    st.integers(1, 8),
    st.integers(12, 60),
    st.integers(1, 12),
    st.sampled_from(["uniform", "longtail"]),
    st.booleans(),
    st.integers(0, 50),
)
def test_amounts_fall_short_only_where_a_class_runs_out(
    targets, experiences, size, most, distribution, noise, seed
):
    plan = gcil(
        targets,
        experiences=experiences,
        size=size,
        max_classes=most,
        distribution=distribution,
        noise=noise,
        seed=seed,
    )
    check_plan(targets, plan)
    assert len(plan) == experiences
    assert plan.boundaries is False
    left = np.unique(targets, return_counts=True)[1]
    for counts in class_counts(targets, plan):
        assert (counts > 0).sum() <= most
        assert counts.sum() <= size
        assert counts.any() or not left.any()
        left = left - counts
        if counts.sum() < size:
            assert (left[counts > 0] == 0).any() or not counts.any()


def test_longtail_follows_the_labels_and_noise_does_not_move_the_means():
    options = {"size": 5000, "max_classes": 100, "experiences": 1}
    plans = [gcil(CIFAR_LIKE, distribution="longtail", noise=True, seed=seed, **options) for seed in range(60)]
    mean = np.mean([class_counts(CIFAR_LIKE, plan)[0] for plan in plans], axis=0)
    assert 1.5 < mean[:20].mean() / mean[-20:].mean() < 8  # 0.984 ** -80 is 3.6


@pytest.mark.parametrize("variant", ["direct", "published"])
@pytest.mark.parametrize("distribution", ["uniform", "longtail"])
def test_statistics_of_the_released_code(variant, distribution):
    present, exposed, delivered, old = [], [], [], []
    for seed in range(25):
        plan = gcil(CIFAR_LIKE, variant=variant, distribution=distribution, seed=seed)
        there = class_counts(CIFAR_LIKE, plan) > 0
        before = np.cumsum(there, axis=0)[:-1] > 0
        present.append(there.sum(1).mean())
        exposed.append(there.any(0).sum())
        delivered.append(len(plan.indices))
        old.append((there[1:] & before).sum() / there[1:].sum())
    # 200 seeds of the released code: 25.6 classes, 99.7 exposed, 19,650 and 19,410 samples, 85 % seen before.
    assert 23 < np.mean(present) < 28
    assert np.mean(exposed) > 99
    assert 19000 < np.mean(delivered) < 20000
    assert 0.8 < np.mean(old) < 0.9


def test_published_draws_the_class_counts_of_the_released_code():
    plan = gcil(CIFAR_LIKE, variant="published", seed=1993)
    counts = class_counts(CIFAR_LIKE, plan)
    # From a plain reading of its loop, with Python lists and sets, on the same labels.
    classes = "34 40 25 30 1 38 11 20 16 28 6 50 47 3 28 39 17 15 41 17"
    assert " ".join(map(str, (counts > 0).sum(1))) == classes
    assert counts.sum() == 19464


def test_experiences_are_empty_once_the_data_is_used():
    plan = gcil(balanced(3, 4), experiences=40, size=6, max_classes=3)
    assert plan.dropped == 0
    assert plan.sizes[-1] == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 5, "max_classes": 6}, "max_classes: 5 samples per experience cannot hold more than 5 classes"),
        ({"variant": "published", "seed": 2**32}, "seed: .* between 0 and 4294967295"),
        ({"variant": "published", "size": 10, "max_classes": 10, "seed": 5}, "variant: .*choose `variant: direct`"),
    ],
)
def test_what_cannot_work_is_refused(options, message):
    with pytest.raises(OptionError, match=message):
        gcil(balanced(10, 50), **options)


def test_seeds_and_order():
    targets = balanced(10, 500)
    check_seeds(gcil, targets, experiences=3, size=200)
    check_seeds(gcil, targets, experiences=3, size=200, variant="published")
    check_uniform_order(targets, gcil(targets))


def test_fingerprint_is_the_same_everywhere():
    assert gcil(balanced(10, 500)).fingerprint.startswith("d43db15845806640")
    assert gcil(balanced(10, 500), variant="published", seed=1993).fingerprint.startswith("7d671942e65a03ad")
