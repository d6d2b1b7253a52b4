"""The fluid limit of a service: a worked example by its closed forms, and integrals against sums of small steps."""

import math

import numpy as np
import pytest

from cl_engine.errors import InputError
from cl_engine.service.fluid import fluid
from cl_engine.service.policy import Policy

INCOMPATIBLE, COMPATIBLE = [[0.70], [0.64, 0.74]], [[0.70], [0.72, 0.74]]
FLOPS = 2 * 68_861_952  # ResNet-32 on 32 x 32 pixels
AT_ONCE, WHEN_FINISHED = Policy("backfill", rate=20.0), Policy("backfill", rate=20.0, switch="when-finished")


def service(policy, matrix=INCOMPATIBLE):
    return fluid(matrix, [100.0], 200.0, policy, 1000, 1.0)


@pytest.mark.parametrize(
    ("policy", "mean", "after", "last", "re_embedded", "gflop", "busy", "twice"),
    [
        (Policy("keep"), 0.700000, 0.700000, 0.700000, 0, 0.0, 0, 0),
        (Policy("never"), 0.672144, 0.644287, 0.648333, 0, 0.0, 0, 0),
        (AT_ONCE, 0.706473, 0.712947, 0.740000, 1100, 151.496, 55, 0),
        (WHEN_FINISHED, 0.709000, 0.718000, 0.740000, 1100, 151.496, 55, 55),
    ],
    ids=["keep", "never", "at once", "when finished"],
)
def test_the_worked_example_comes_out_to_the_digits(policy, mean, after, last, re_embedded, gflop, busy, twice):
    found = service(policy)
    assert found.mean() == pytest.approx(mean, abs=1e-6)  # printed with the jump as a slope
    assert round(found.mean(100, 200), 6) == after
    assert round(found.accuracy(200), 6) == last
    assert (found.re_embedded, found.busy, found.twice) == (re_embedded, busy, twice)
    assert round(found.re_embedded * FLOPS / 1e9, 3) == gflop
    assert found.inserted == 200
    assert [found.vectors * size for size in (256, 128, 64)] == [307_200, 153_600, 76_800]


def test_never_has_the_closed_form_of_its_share():
    assert service(Policy("never")).mean(100, 200) == pytest.approx(0.64 + 0.1 * (1 - 11 * math.log(12 / 11)))


def test_the_two_switching_rules_exchange_places_where_the_models_are_compatible():
    assert service(AT_ONCE).mean() < service(WHEN_FINISHED).mean()
    assert service(AT_ONCE, COMPATIBLE).mean() > service(WHEN_FINISHED, COMPATIBLE).mean()
    assert service(WHEN_FINISHED).switched == (155.0,)


def test_a_worker_without_limit_is_done_at_once_and_one_that_rests_is_never():
    fast, idle = service(Policy("backfill", rate=math.inf)), service(Policy("backfill", rate=0.0))
    assert fast.mean(100, 200) == pytest.approx(0.74)
    assert (fast.re_embedded, fast.busy) == (1100, 0)
    assert idle.pieces == service(Policy("never")).pieces
    assert service(Policy("backfill", rate=math.inf, switch="when-finished")).pieces == fast.pieces


def stepped(matrix, replacements, horizon, policy, size, inserts, step):
    """A service of many small steps, written from its description."""
    old, new, serving, newest, total, right = {0: size}, 0.0, 0, 0, 0.0, 0.0
    queue, done, steps = 0.0, 0.0, round(horizon / step)
    for tick in range(steps):
        time = tick * step
        if newest < len(replacements) and time >= replacements[newest] - step / 2:
            newest += 1
            queue, done, new, total = sum(old.values()), 0.0, 0.0, sum(old.values())
            snapshot = dict(old)
        if serving != newest and (new + done) >= policy.share * (total + new) - 1e-9 * total:
            serving, old = newest, dict(snapshot)
        counts = dict(old)
        if newest and serving == newest:
            counts = {k: n * (queue - done) / queue for k, n in snapshot.items()}
            counts[newest] = counts.get(newest, 0) + done + new
            old = counts
        right += sum(n * matrix[serving][k] for k, n in counts.items()) / sum(counts.values())
        if newest:
            done, new = min(queue, done + policy.rate * step), new + inserts * step
        if serving != newest or not newest:
            old[serving] = old.get(serving, 0) + inserts * step
    return right / steps


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("rate", [2.0, 10.0, 40.0])
def test_with_several_models_the_integral_is_that_of_many_small_steps(share, rate):
    matrix = [[0.5], [0.45, 0.6], [0.3, 0.62, 0.8]]
    policy = Policy("backfill", rate=rate, switch=share)
    given = (matrix, [50.0, 90.0], 200.0, policy, 700, 3.0)
    assert fluid(*given).mean() == pytest.approx(stepped(*given, step=0.01), abs=2e-4)


@pytest.mark.parametrize("inserts", [1e-1, 1e-2, 1e-3, 1e-4])
def test_a_gallery_that_hardly_grows_has_the_mean_accuracy_of_one_that_does_not_grow(inserts):
    policy = Policy("backfill", rate=1e6)  # 1e8 stored images, renewed by the end
    still, growing = (fluid([[0.7], [0.2, 0.9]], [100.0], 200.0, policy, 1e8, each) for each in (0.0, inserts))
    assert still.mean(100, 200) == pytest.approx((0.2 + 0.9) / 2)
    assert growing.mean(100, 200) == pytest.approx(still.mean(100, 200), abs=1e-6)


def test_the_accuracy_is_a_number_at_every_time_and_the_pieces_meet():
    found = fluid([[0.5], [0.6, 0.7]], [10.0], 30.0, Policy("backfill", rate=5.0, switch=0.5), 100, 0.0)
    assert [found.pieces[0].start, *(p.end for p in found.pieces)] == sorted({0.0, 10.0, 20.0, 30.0})
    assert np.isfinite([found.accuracy(t) for t in np.linspace(0, 30, 50)]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"replacements": []}, "2 models, replaced at"),
        ({"replacements": [200.0]}, "ascending"),
        ({"size": 0}, "size is 0"),
        ({"policy": Policy("backfill", map="ridge")}, "map is ridge"),
        ({"policy": Policy("lazy")}, "kind is lazy"),
    ],
)
def test_what_makes_no_service_is_refused(change, message):
    given = {"replacements": [100.0], "horizon": 200.0, "policy": AT_ONCE, "size": 1000, **change}
    with pytest.raises(InputError, match=message):
        fluid(INCOMPATIBLE, **given)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "sometimes"}, "kind is 'sometimes'; allowed: keep, never"),
        ({"kind": "never", "switch": 0.5}, "under never"),
        ({"kind": "backfill", "switch": 2.0}, "switch is 2.0"),
        ({"kind": "backfill", "rate": -1.0}, "rate is -1"),
        ({"kind": "transform"}, "map is None under transform"),
        ({"kind": "keep", "map": "ridge"}, "map is ridge under keep"),
        ({"kind": "lazy", "switch": 1.0}, "switch is 1.0 under lazy"),
        ({"kind": "transform", "map": "ridge", "order": "sigma"}, "order is sigma under transform"),
        ({"kind": "backfill", "order": "sigma"}, "order is sigma under backfill without a map"),
    ],
)
def test_a_policy_that_contradicts_itself_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        Policy(**options)
