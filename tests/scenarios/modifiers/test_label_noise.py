from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_engine.kinds.problems import OptionError
from cl_engine.scenarios.families.class_incremental import class_incremental
from cl_engine.scenarios.families.data_incremental import data_incremental
from cl_engine.scenarios.families.domain_incremental import domain_incremental
from cl_engine.scenarios.families.few_shot import few_shot
from cl_engine.scenarios.modifiers.label_noise import label_noise
from tests.scenarios.labels import label_arrays

TEN = np.tile(np.arange(10), 50)
CIFAR_10_PAIRS = [[9, 1], [2, 0], [4, 7], [3, 5], [5, 3]]


def flips(targets, plan):
    """Number of wrong labels of each class, by label."""
    true = targets[plan.indices]
    return {int(c): int((plan.labels[true == c] != c).sum()) for c in np.unique(true)}


@given(
    label_arrays(min_classes=2), st.floats(0, 1), st.sampled_from(["symmetric", "asymmetric"]), st.integers(0, 99)
)
def test_exact_counts_per_class(targets, rate, flip, seed):
    plan = data_incremental(targets, experiences=min(3, len(targets)))
    noisy = label_noise(targets, plan, flip=flip, rate=rate, seed=seed)
    values, counts = np.unique(targets, return_counts=True)
    wanted = {int(c): round(rate * int(n)) for c, n in zip(values, counts, strict=True)}
    if not any(wanted.values()):
        assert noisy is plan
        return
    assert flips(targets, noisy) == wanted
    assert np.isin(noisy.labels, values).all()
    assert (noisy.indices == plan.indices).all()


@given(label_arrays(min_classes=2, max_classes=5), st.integers(0, 99))
def test_restricted_labels_come_from_the_right_classes(targets, seed):
    plan = data_incremental(targets, experiences=min(2, len(targets)))
    for restrict in ("same_experience", "exposed"):
        try:
            noisy = label_noise(targets, plan, rate=0.5, restrict=restrict, seed=seed)
        except OptionError:
            assert len(np.unique(targets[plan.experience(0)])) == 1 or restrict == "same_experience"
            continue
        if noisy.labels is None:
            continue
        for t in range(len(plan)):
            begin = 0 if restrict == "exposed" else plan.offsets[t]
            allowed = np.unique(targets[plan.indices[begin : plan.offsets[t + 1]]])
            assert np.isin(noisy.labels[plan.offsets[t] : plan.offsets[t + 1]], allowed).all()


def test_a_symmetric_wrong_label_is_any_other_class_alike():
    targets = np.repeat([3, 17, 1000, 2, 8], 2000)
    noisy = label_noise(targets, class_incremental(targets, step=5), rate=0.5)
    wrong = noisy.labels[(targets[noisy.indices] == 17) & (noisy.labels != 17)]
    counts = np.unique(wrong, return_counts=True)[1]
    assert len(counts) == 4
    assert ((counts - 250) ** 2 / 250).sum() < 16.3  # 3 degrees of freedom, p = 0.001


def test_published_pairs_of_cifar_10():
    noisy = label_noise(TEN, data_incremental(TEN), flip="asymmetric", rate=0.4, pairs=CIFAR_10_PAIRS)
    assert flips(TEN, noisy) == {0: 0, 1: 0, 2: 20, 3: 20, 4: 20, 5: 20, 6: 0, 7: 0, 8: 0, 9: 20}
    true = TEN[noisy.indices]
    for a, b in CIFAR_10_PAIRS:
        assert set(noisy.labels[true == a].tolist()) == {a, b}


def test_without_pairs_each_class_turns_into_the_next_label():
    targets = np.repeat([3, 17, 1000], 20)
    noisy = label_noise(targets, data_incremental(targets), flip="asymmetric")
    true = targets[noisy.indices]
    assert [set(noisy.labels[true == c].tolist()) for c in (3, 17, 1000)] == [{3, 17}, {17, 1000}, {1000, 3}]


def test_the_classes_of_a_task_stay_among_themselves():
    plan = class_incremental(TEN, class_order="natural")
    noisy = label_noise(TEN, plan, rate=0.3, restrict="same_experience")
    assert (noisy.labels // 2 == TEN[plan.indices] // 2).all()
    exposed = label_noise(TEN, plan, rate=0.3, restrict="exposed")
    assert (exposed.labels // 2 <= TEN[plan.indices] // 2).all()
    assert (exposed.labels // 2 < TEN[plan.indices] // 2).any()


@pytest.mark.parametrize("restrict", ["all", "exposed"])
def test_a_sample_that_comes_again_keeps_its_label(restrict):
    noisy = label_noise(TEN, domain_incremental(TEN, experiences=3), rate=0.2, restrict=restrict)
    label_of: dict[int, int] = {}
    for index, label in zip(noisy.indices.tolist(), noisy.labels.tolist(), strict=True):
        assert label_of.setdefault(index, label) == label
    assert flips(TEN, noisy) == dict.fromkeys(range(10), 3 * 10)


def test_each_delivery_counts_where_labels_stay_in_their_experience():
    noisy = label_noise(TEN, domain_incremental(TEN, experiences=3), rate=0.2, restrict="same_experience")
    assert flips(TEN, noisy) == dict.fromkeys(range(10), 30)
    wrong = [set(noisy.indices[o : o + 500][noisy.labels[o : o + 500] != TEN[noisy.indices[o : o + 500]]])
             for o in (0, 500, 1000)]  # fmt: skip
    assert wrong[0] != wrong[1]


def test_only_delivered_samples_and_classes_count():
    plan = few_shot(TEN, base=8, ways=1, shots=10)
    assert sorted(flips(TEN, label_noise(TEN, plan, rate=0.2)).values()) == [2, 2] + [10] * 8
    part = class_incremental(TEN, first=4, step=4, remainder="drop", class_order="natural")
    assert label_noise(TEN, part, rate=0.9).labels.max() == 7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"restrict": "same_experience"}, "restrict: class 4 needs 10 wrong labels"),
        ({"restrict": "exposed"}, "restrict: class 4 needs 10 wrong labels"),
        ({"pairs": [[1, 2]]}, "pairs: only `flip: asymmetric` has pairs"),
        ({"flip": "asymmetric", "pairs": [[1, 1]]}, r"pairs: \[1, 1\]: a class turns into one other class"),
        ({"flip": "asymmetric", "pairs": [[1, 2], [1, 3]]}, r"pairs: \[1, 3\]: a class turns into one other"),
        ({"flip": "asymmetric", "pairs": [[1, 77]]}, r"pairs: \[1, 77\]: no sample of class 77 is delivered"),
    ],
)
def test_impossible_noise(options, message):
    with pytest.raises(OptionError, match=message):
        label_noise(TEN, class_incremental(TEN, step=1), **options)


def test_one_class_has_nothing_to_turn_into():
    for flip in ("symmetric", "asymmetric"):
        with pytest.raises(OptionError, match="class 5 needs 2 wrong labels"):
            label_noise(np.full(10, 5), data_incremental(np.full(10, 5)), flip=flip)
