"""Power and seeds needed against published and independently computed values."""

import math

import pytest
from scipy import stats

from cl_engine.errors import InputError
from cl_engine.statistics.paired import paired_difference
from cl_engine.statistics.power import power, seeds_needed, smallest_effect, strength, upper_sd
from tests.statistics.sweep import column


def test_power_at_one_standard_deviation():
    assert [power(1, n) for n in (3, 5, 10, 20)] == pytest.approx(
        [0.179255, 0.401390, 0.803097, 0.988591], abs=5e-7
    )


@pytest.mark.parametrize("n", [3, 5, 10, 50, 400])
@pytest.mark.parametrize("effect", [0.05, 0.3, 1.0])
def test_power_is_the_upper_tail_of_scipys_noncentral_t(n, effect):
    c = stats.t.ppf(0.975, n - 1)
    upper = stats.nct.sf(c, n - 1, effect * math.sqrt(n))
    lower = stats.nct.sf(c, n - 1, -effect * math.sqrt(n))
    assert power(effect, n) == pytest.approx(upper + (0 if math.isnan(lower) else lower), abs=1e-6)
    assert power(-effect, n) == power(effect, n)


def test_seeds_needed_for_four_effects():
    assert [seeds_needed(d, 1.0, 5).seen for d in (2, 1, 0.5, 0.25)] == [5, 10, 34, 128]


def test_a_reference_difference_needs_13_seeds_and_up_to_27():
    d = paired_difference(column("memo", 0.25), column("der", 0.25))
    assert d.sd == pytest.approx(0.003847, abs=5e-7)
    assert seeds_needed(d.mean, d.sd, d.n)[:2] == (13, 27)


def test_the_upper_limit_of_the_standard_deviation():
    assert [upper_sd(1, n) for n in (3, 5, 10)] == pytest.approx([2.116936, 1.557575, 1.293385], abs=5e-7)


def test_the_smallest_effect_that_seeds_can_show():
    expected = {
        2: 11.549888,
        3: 3.264044,
        4: 2.127949,
        5: 1.681997,
        6: 1.434545,
        8: 1.156035,
        10: 0.996001,
        20: 0.660442,
    }
    assert {n: smallest_effect(n) for n in expected} == pytest.approx(expected, abs=1e-6)


def test_no_number_of_seeds_shows_nothing_and_a_thousand_is_the_end():
    assert seeds_needed(0.0, 0.1, 3) == (None, None, "no number of seeds shows a difference of 0")
    assert seeds_needed(1e-6, 0.1, 3) == (None, None, "more than 1,000 seeds")
    assert seeds_needed(0.1, 0.0, 3)[:2] == (2, 2)


@pytest.mark.parametrize("call", [lambda: power(1, 1), lambda: smallest_effect(1), lambda: upper_sd(1, 1),
                                  lambda: seeds_needed(0.1, math.nan, 1), lambda: power(math.nan, 3)])  # fmt: skip
def test_one_seed_says_nothing_about_noise(call):
    with pytest.raises(InputError):
        call()


def test_words_for_the_number_of_seeds():
    assert [bool(strength(n)) for n in (1, 2, 4, 5, 10)] == [True, True, True, False, False]
