"""A service of stored vectors, against one that is played event by event, one image at a time, in NumPy."""

import math

import numpy as np
import pytest
import torch

from cl_engine.errors import InputError
from cl_engine.metrics import cross_test
from cl_engine.randomness import numpy_generator
from cl_engine.service.arrivals import poisson_arrivals, poisson_queries
from cl_engine.service.fluid import fluid
from cl_engine.service.policy import Policy
from cl_engine.service.renewal import farthest_first
from cl_engine.service.service import Service

N, Q, CLASSES = 90, 40, 5
Y, YQ = np.arange(N) % CLASSES, np.arange(Q) % CLASSES
ENDS = [0.0, 40.0, 70.0, 130.0]  # models come, and the horizon
ARRIVALS = np.where(np.arange(N) < 60, 0.0, np.linspace(3.3, 128.9, N))


def models(rotated=False):
    """Three models that get better; galleries and queries."""
    draw = np.random.default_rng(5)
    means, found = draw.standard_normal((CLASSES, 6)), []
    for noise in (1.2, 0.8, 0.4):
        turn = np.linalg.qr(draw.standard_normal((6, 6)))[0] if rotated else np.eye(6)
        turned = [(means[y] + noise * draw.standard_normal((len(y), 6))) @ turn for y in (Y, YQ)]
        found.append([torch.from_numpy(x).float() for x in turned])
    return found


def served(policy, given=None, arrivals=ARRIVALS, ends=ENDS, **options):
    service = Service(torch.from_numpy(Y), torch.from_numpy(YQ), arrivals, policy, every=5.0, **options)
    store, found = None, []
    for t, (gallery, queries) in enumerate(given or models()):
        store, watched = service.serve(store, gallery, queries, t, ends[t], ends[t + 1])
        found.append(watched)
    return found


def right(queries, vectors, y):
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (queries, vectors)]
    return y[(unit[0] @ unit[1].T).argmax(1)] == YQ


def played(order, rate, batch, share, looks):
    """The accuracy at each look, by walking through every event; also switches, and images embedded anew."""
    given = [[x.numpy() for x in pair] for pair in models()]
    index = {i: given[0][0][i] for i in range(N) if ARRIVALS[i] <= 0}
    serving, newest, queue, building, switches, renewed, total, seen = 0, 0, [], {}, [], 0, 0, []
    events = [(a, 1, i) for i, a in enumerate(ARRIVALS) if a > 0]
    for t, start in enumerate(ENDS[1:3], start=1):
        events.append((start, 0, t))
        events += [(start + n / rate, 2, (t, n)) for n in [*range(batch, N, batch), *range(1, N)] if rate]
    events += [(look, 3, None) for look in looks]
    for time, kind, what in sorted(set(events), key=lambda e: (e[0], e[1])):
        if time > ENDS[-1]:
            break
        if kind == 0:
            newest, building, there = what, {}, sorted(index)
            if order == "oldest":
                queue = sorted(there, key=lambda i: (ARRIVALS[i], i))
            else:
                queue = sorted(there, key=lambda i: (-ARRIVALS[i], i))
            total = len(queue)
        elif kind == 1:
            index[what] = given[serving][0][what]
            if newest != serving:
                building[what] = given[newest][0][what]
        elif kind == 3:
            rows = sorted(index)
            seen.append(right(given[serving][1], np.stack([index[i] for i in rows]), Y[rows]).mean())
        elif what[0] == newest and (what[1] == total or (what[1] % batch == 0 and what[1] < total)):
            for i in queue[: what[1]]:
                renewed += i not in building and not (serving == newest and (index[i] == given[newest][0][i]).all())
                building[i] = given[newest][0][i]
                if serving == newest:
                    index[i] = building[i]
        if newest != serving and len(building) >= share * len(index):
            serving = newest
            index = {**index, **building}
            switches.append(time)
    return seen, switches, renewed


@pytest.mark.parametrize("order", ["oldest", "newest"])
@pytest.mark.parametrize(("rate", "switch"), [(1.0, 0.0), (1.0, 0.7), (2.5, 1.0), (10.0, 1.0), (0.4, 1.0)])
def test_the_accuracy_over_time_is_that_of_a_service_played_event_by_event(order, rate, switch):
    found = served(Policy("backfill", rate=rate, order=order, batch=8, switch=switch))
    looks = [time for watched in found for time in watched.times]
    seen, switches, renewed = played(order, rate, 8, switch, looks)
    assert [a for watched in found for a in watched.accuracy] == pytest.approx(seen)
    assert [w.switched for w in found if w.switched is not None] == pytest.approx(switches)
    assert sum(w.work.re_embedded for w in found) == renewed


def test_times_and_counts_are_those_of_the_fluid_limit_where_images_come_regularly():
    arrivals = np.where(np.arange(N) < 60, 0.0, np.arange(N) - 59.0)  # one each second
    for share in (0.0, 0.5, 1.0):
        policy = Policy("backfill", rate=10.0, batch=1, switch=share)
        given = models()[:2]
        first, second = served(policy, given, arrivals, [0.0, 10.0, 28.0])
        limit = fluid([[1.0], [1.0, 1.0]], [10.0], 28.0, policy, 60, 1.0)
        assert (second.work.re_embedded, second.work.busy) == (limit.re_embedded, limit.busy) == (70, 7)
        assert second.switched == pytest.approx(limit.switched[0], abs=1.0)
        assert second.work.twice == pytest.approx(limit.twice, abs=1.0)
        assert first.work.inserted + second.work.inserted == 28


def test_never_without_arrivals_is_the_cross_test_and_keep_the_self_test():
    given, there = models(), np.zeros(N)
    for kind, model in (("never", 1), ("keep", 0)):
        _, watched, _ = served(Policy(kind), given, there)
        expected = cross_test(given[model][1], given[0][0], YQ, Y, "instances")
        assert watched.accuracy == [expected] * len(watched.times)
        assert watched.work.re_embedded == watched.work.busy == 0
    assert watched.fresh == [cross_test(given[1][1], given[1][0], YQ, Y, "instances")] * len(watched.times)


def test_a_worker_without_limit_gives_what_one_that_embeds_all_at_once_does_and_one_that_rests_what_never_does():
    fast = served(Policy("backfill", rate=math.inf, switch="when-finished"))
    assert [w.accuracy for w in fast] == [w.fresh for w in fast]
    assert all(share == 1 for w in fast for share in w.current)
    idle = served(Policy("backfill", rate=0.0))
    assert [w.accuracy for w in idle] == [w.accuracy for w in served(Policy("never"))]


def test_bytes_are_those_of_what_is_stored_and_of_two_indexes_while_one_is_built():
    there = np.zeros(N)
    for options, each in (
        ({}, 24),
        ({"code": "float16"}, 12),
        ({"code": "int8"}, 6),
        ({"code": "int8", "prefix": 4}, 4),
    ):
        policy = Policy("backfill", rate=4.0, batch=10, switch="when-finished")
        _, watched, _ = served(policy, arrivals=there, **options)
        assert watched.vector_bytes[:5] == [each * (N + done) for done in (0, 20, 40, 60, 80)]
        assert watched.vector_bytes[5] == each * N


@pytest.mark.parametrize("kind", ["procrustes", "ridge"])
def test_a_map_finds_the_rotation_between_models_that_never_suffers_from(kind):
    same = models()[2]
    turn = torch.from_numpy(np.linalg.qr(np.random.default_rng(1).standard_normal((6, 6)))[0]).float()
    given = [same, [x @ turn for x in same]]
    ends, there = [0.0, 40.0, 100.0], np.zeros(N)
    policy = Policy("transform", rate=2.0, batch=10, pairs=30, map=kind, switch="when-finished")
    _, mapped = served(policy, given, there, ends)
    _, never = served(Policy("never"), given, there, ends)
    assert mapped.switched == 55.0
    assert (mapped.work.re_embedded, mapped.work.mapped, mapped.work.busy) == (30, 60, 15.0)
    assert min(mapped.accuracy) == max(mapped.accuracy) == mapped.fresh[0] > 0.9 > max(never.accuracy)
    assert mapped.negative_flips == 0 < never.negative_flips
    _, both = served(Policy("backfill", rate=2.0, pairs=30, map=kind, batch=10), given, there, ends)
    assert (both.work.re_embedded, both.current[-1]) == (90, 1.0)


def test_the_order_by_distance_is_that_of_an_example_worked_out_by_hand():
    r = np.random.default_rng(7)
    y = np.arange(12) % 3
    mu = 2 * r.standard_normal((3, 4))
    new = mu[y] + r.standard_normal((12, 4))
    sg = r.uniform(0.2, 3, 12)
    old = new + sg[:, None] * r.standard_normal((12, 4))
    found = farthest_first(torch.from_numpy(old), torch.from_numpy(y))
    assert found.tolist() == [7, 3, 0, 11, 10, 4, 2, 9, 6, 1, 8, 5]


def test_arrivals_are_a_poisson_process_and_repeat():
    found = poisson_arrivals(20_000, 5_000, 2.0, seed=3)
    assert (found == 0).sum() == 5_000
    waits = np.diff(np.sort(found[found > 0]))
    assert waits.mean() == pytest.approx(0.5, rel=0.03)
    assert waits.std() == pytest.approx(0.5, rel=0.05)
    assert (found == poisson_arrivals(20_000, 5_000, 2.0, seed=3)).all()


def nearest(queries, vectors):
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (queries, vectors)]
    return (unit[0] @ unit[1].T).argmax(1)


def test_by_popularity_those_come_first_that_most_queries_find_in_the_old_gallery():
    given, there = [[x.numpy() for x in pair] for pair in models()], np.zeros(N)
    times = np.bincount(nearest(given[0][1], given[0][0]), minlength=N)
    order = sorted(range(N), key=lambda i: (-times[i], i))
    policy = Policy("backfill", rate=2.0, batch=10, order="popularity")
    _, watched = served(policy, models()[:2], there, [0.0, 40.0, 90.0])
    for time, accuracy in zip(watched.times, watched.accuracy, strict=True):
        done, vectors = order[: int(2 * (time - 40)) // 10 * 10], given[0][0].copy()
        vectors[done] = given[1][0][done]
        assert accuracy == pytest.approx(right(given[1][1], vectors, Y).mean())


def test_by_sigma_the_map_comes_first_and_then_the_images_that_it_fits_worst():
    draw = np.random.default_rng(9)
    same, (_, queries) = [x.numpy() for x in models()[2]], models()[2]
    turn, group = np.linalg.qr(draw.standard_normal((6, 6)))[0], Y == 3  # which the new model moves by itself
    new = same[0] @ turn
    new[group] = new[group] + 2 * np.linalg.norm(new[group], axis=1, keepdims=True) * draw.standard_normal(
        (group.sum(), 6)
    )
    given = [models()[2], [torch.from_numpy(new).float(), queries @ torch.from_numpy(turn).float()]]
    policy = Policy("backfill", rate=1.0, batch=5, pairs=40, map="ridge", order="sigma")
    service = Service(torch.from_numpy(Y), torch.from_numpy(YQ), np.zeros(N), policy, every=1.0)
    store, _ = service.serve(None, *given[0], 0, 0.0, 10.0)
    renewed = []
    for until in (50.0, 62.0):  # the map is there after 40 s; then as many as the group has left, about
        after, watched = service.serve(store, *given[1], 1, 10.0, until + 0.5)
        renewed.append(after.versions.numpy() == 1)
    pairs, first = renewed[0], renewed[1] & ~renewed[0]
    assert (pairs.sum(), first.sum(), watched.work.re_embedded) == (40, 10, 50)
    left = group & ~pairs
    assert (first & left).sum() > 2 * first.sum() * left.sum() / (~pairs).sum()  # twice what chance would give
    assert watched.mapped_by[-1] == 50


def test_lazily_what_answers_a_query_is_embedded_anew_and_nothing_else():
    given = [[x.numpy() for x in pair] for pair in models()]
    found = served(Policy("lazy"), rate=3.0)
    store = {i: (0, given[0][0][i]) for i in range(N)}  # who embedded it, and what it is; those to come too
    for t, watched in enumerate(found[1:], start=1):
        for i in range(N):
            if ARRIVALS[i] > ENDS[t]:
                store[i] = (t, given[t][0][i])
        asked = poisson_queries(Q, 3.0, 5.0, len(watched.times), numpy_generator(0, f"queries {t}"))
        count, images = 0, []
        for time, accuracy, rows in zip(watched.times, watched.accuracy, asked, strict=True):
            there = np.flatnonzero(time >= ARRIVALS)
            vectors = np.stack([store[i][1] for i in there])
            answers = there[nearest(given[t][1], vectors)]
            assert accuracy == pytest.approx((Y[answers] == YQ).mean())
            images.append(count)
            for i in {*answers[rows].tolist()}:
                count += store[i][0] != t
                store[i] = (t, given[t][0][i])
        assert watched.work.re_embedded == count > 0
        assert watched.embedded == images
        assert (watched.switched, watched.work.twice, watched.work.busy) == (ENDS[t], 0, 0.0)
        assert watched.current[-1] < 1


def test_lazily_without_queries_nothing_is_renewed():
    lazy, never = served(Policy("lazy"), rate=0.0), served(Policy("never"))
    assert [w.accuracy for w in lazy] == [w.accuracy for w in never]
    assert [w.work for w in lazy] == [w.work for w in never]
    assert [w.negative_flips for w in lazy] == [w.negative_flips for w in never]


def test_queries_are_a_poisson_process_of_equally_likely_ones():
    found = poisson_queries(20, 4.0, 5.0, 3000, numpy_generator(0, "queries"))
    counts = np.array([len(rows) for rows in found])
    assert counts.mean() == pytest.approx(20, rel=0.02)
    assert counts.var() == pytest.approx(20, rel=0.1)
    assert np.bincount(np.concatenate(found), minlength=20) == pytest.approx(np.full(20, 3000), rel=0.1)


def test_what_was_embedded_anew_by_a_look_grows_to_what_was_embedded_at_the_end():
    found = served(Policy("backfill", rate=1.0, batch=8, switch=0.7))
    for watched in found:
        assert watched.embedded == sorted(watched.embedded)
        assert watched.embedded[-1] <= watched.work.re_embedded + watched.work.twice
    ends = [watched.work.re_embedded + watched.work.twice for watched in found]
    assert found[2].embedded[-1] > 0.8 * ends[2] > 0


def test_an_empty_gallery_is_refused():
    with pytest.raises(InputError, match="one or more by 0"):
        served(Policy("never"), arrivals=np.ones(N))
