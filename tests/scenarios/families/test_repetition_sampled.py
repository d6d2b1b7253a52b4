import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_engine.kinds.problems import OptionError
from cl_engine.scenarios.families.repetition_sampled import first_occurrence_weights, repetition_sampled
from tests.scenarios.invariants import check_plan, check_seeds, check_uniform_order, class_counts
from tests.scenarios.labels import balanced, label_arrays

samplings = st.sampled_from(["fresh-first", "independent"])
occurrences = st.sampled_from(["uniform", "geometric", "zipf", "reversed-zipf"])


@given(
    label_arrays(),
    st.integers(1, 12),
    st.integers(1, 60),
    occurrences,
    st.sampled_from(["fixed", "dual", "zipf"]),
    samplings,
    st.integers(0, 50),
)
def test_shares_are_equal_and_short_only_where_a_class_is(
    targets, experiences, size, first_occurrence, repetition, sampling, seed
):
    plan = repetition_sampled(
        targets,
        experiences=experiences,
        size=size,
        first_occurrence=first_occurrence,
        repetition=repetition,
        sampling=sampling,
        seed=seed,
    )
    check_plan(targets, plan)
    assert plan.repeats is True
    assert plan.boundaries is True
    assert len(plan) <= experiences  # experiences without a class are taken out, and noted
    assert (len(plan) < experiences) == any("taken out" in note for note in plan.notes)
    assert (plan.sizes > 0).all()
    totals = np.unique(targets, return_counts=True)[1]
    short = 0
    for counts in class_counts(targets, plan):
        present = counts > 0
        assert counts.max() <= -(-size // present.sum())
        equal = counts[present & (counts < totals)]
        assert len(equal) == 0 or equal.max() - equal.min() <= 1
        assert counts.sum() == size or (counts[present] == totals[present]).any()
        short += size - counts.sum()
    assert any("samples short in all" in note for note in plan.notes) == (short > 0)
    assert not short or f"are {short} samples short" in plan.notes[1]


@given(label_arrays(), st.integers(1, 12), samplings, st.integers(0, 50))
def test_classes_return_always_or_never(targets, experiences, sampling, seed):
    options = {"experiences": experiences, "size": 100, "first_occurrence": "uniform", "sampling": sampling}
    always = class_counts(targets, repetition_sampled(targets, p=1, seed=seed, **options)) > 0
    never = class_counts(targets, repetition_sampled(targets, p=0, seed=seed, **options)) > 0
    some = class_counts(targets, repetition_sampled(targets, p=0.5, seed=seed, **options)) > 0
    assert (never.sum(0) == 1).all()
    # The probability of return does not move the first occurrences: each stream meets the classes alike.
    met = np.logical_or.accumulate(never).tolist()
    assert np.unique(np.logical_or.accumulate(some), axis=0).tolist() == np.unique(met, axis=0).tolist()
    assert always.tolist() == sorted(always.tolist())  # once met, never gone
    assert np.unique(always, axis=0).tolist() == np.unique(met, axis=0).tolist()


@given(label_arrays(), st.integers(1, 20), st.integers(1, 60), st.integers(0, 50))
def test_fresh_first_repeats_a_sample_only_after_all_others(targets, experiences, size, seed):
    plan = repetition_sampled(targets, experiences=experiences, size=size, p=0.7, seed=seed)
    times = np.bincount(plan.indices, minlength=len(targets))
    for label in np.unique(targets):
        assert np.ptp(times[targets == label]) <= 1


def test_independent_draws_are_uniform_sets():
    targets = np.array([7] * 6)
    counts = {}
    for seed in range(600):
        for take in (2, 4):  # four of six are drawn as the two that stay out
            plan = repetition_sampled(targets, experiences=1, size=take, sampling="independent", seed=seed)
            key = tuple(sorted(plan.indices))
            counts[key] = counts.get(key, 0) + 1
    assert len(counts) == 30
    assert sum((n - 40) ** 2 / 40 for n in counts.values()) < 80  # 28 degrees of freedom: p < 1e-6


def test_reuse_is_noted():
    plan = repetition_sampled(balanced(2, 10), experiences=10, size=10, p=1, first_occurrence="uniform")
    reuse = 1 - len(np.unique(plan.indices)) / len(plan.indices)
    assert plan.notes[0] == f"{reuse:.1%} of {len(plan.indices)} deliveries repeat a sample"
    options = {"experiences": 400, "size": 20, "p": 0.2}
    fresh, independent = (
        repetition_sampled(balanced(50, 100), sampling=sampling, **options)
        for sampling in ("fresh-first", "independent")
    )
    assert fresh.dropped < independent.dropped


def test_dual_and_zipf_probabilities_of_return():
    targets = balanced(40, 5)
    options = {"experiences": 400, "size": 200, "first_occurrence": "geometric", "first_parameter": 1.0}
    dual = repetition_sampled(targets, repetition="dual", p=0.1, p_high=0.9, low_fraction=0.25, **options)
    rates = np.sort((class_counts(targets, dual)[1:] > 0).mean(0))
    assert np.abs(rates[:10] - 0.1).max() < 0.08
    assert np.abs(rates[10:] - 0.9).max() < 0.08
    zipf = repetition_sampled(targets, repetition="zipf", exponent=0.5, **options)
    rates = np.sort((class_counts(targets, zipf)[1:] > 0).mean(0))[::-1]
    assert np.abs(rates - np.arange(1, 41) ** -0.5).max() < 0.1


@pytest.mark.parametrize(
    ("kind", "parameter", "expected"),
    [
        ("uniform", None, [1 / 4] * 4),
        ("uniform", 0.5, [1 / 2, 1 / 2, 0, 0]),
        ("geometric", 0.5, [8 / 15, 4 / 15, 2 / 15, 1 / 15]),
        ("poisson", 2.0, [3 / 19, 6 / 19, 6 / 19, 4 / 19]),
        ("zipf", None, [12 / 25, 6 / 25, 4 / 25, 3 / 25]),
        ("reversed-zipf", None, [3 / 25, 4 / 25, 6 / 25, 12 / 25]),
    ],
)
def test_first_occurrence_distributions(kind, parameter, expected):
    weights = first_occurrence_weights(kind, parameter, 4)
    assert weights / weights.sum() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("kind", "parameter", "message"),
    [
        ("poisson", None, "missing; `first_occurrence: poisson` needs a number > 0$"),
        ("uniform", 1.5, "got 1.5; `first_occurrence: uniform` needs a number > 0 and <= 1$"),
        ("geometric", 0.0, "got 0.0; .* > 0 and <= 1"),
        ("zipf", -1.0, "got -1.0; .* needs a number >= 0$"),
    ],
)
def test_parameters_that_a_distribution_cannot_have_are_refused(kind, parameter, message):
    with pytest.raises(OptionError, match=f"first_parameter: {message}"):
        repetition_sampled(balanced(4, 5), first_occurrence=kind, first_parameter=parameter)


def test_seeds_and_order():
    check_seeds(repetition_sampled, balanced(10, 50), experiences=10, size=50)
    targets = balanced(10, 500)
    check_uniform_order(targets, repetition_sampled(targets, experiences=5, size=2000))


def test_fingerprint_is_the_same_everywhere():
    options = {"experiences": 20, "size": 100}
    assert repetition_sampled(balanced(10, 50), **options).fingerprint.startswith("1c203b07ec9671e2")
    assert repetition_sampled(balanced(10, 50), sampling="independent", **options).fingerprint.startswith(
        "992b658ee87091f4"
    )
