"""Probes of representations that are known: against scikit-learn itself, and against what was moved by hand."""

import json

import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeClassifier
from sklearn.preprocessing import StandardScaler

import cl_engine
from cl_engine.evaluation.drift import angular_drift, relative_drift
from cl_engine.evaluation.linear import linear_probe
from cl_engine.running import audit
from cl_engine.running.stream import Stream
from cl_engine.strategies.strategy import Strategy

CLASSES, D = 6, 5
ALL = 10**6  # samples of each class: more than there are


def data(seed=0):
    draw = torch.Generator().manual_seed(seed)
    centres = torch.randn(CLASSES, D, generator=draw)

    def part(n):
        y = torch.arange(n) % CLASSES
        return cl_engine.Samples(centres[y] + torch.randn(n, D, generator=draw), y)

    return cl_engine.DataSet(part(150), part(90))


def probed(strategy, *, probes=("linear", "cka", "drift"), samples=ALL, **keys):
    scenario = {"data": data(), "stream": {"step": 2, "class_order": "natural"}, "strategy": strategy, **keys}
    evaluate = {"probes": [*probes], "probe_samples": samples}
    return cl_engine.run({**scenario, "evaluate": evaluate}).to_dict()["probes"]


class Scaled(Strategy):
    """Its features are the samples times 1, 2, 3; its prototypes are the unit vectors, turned by one a time."""

    def begin(self, task):
        if task.index == 0:
            self.hold("scale", torch.zeros(1), kind="statistics")
            self.hold("rows", torch.zeros(0, D), kind="prototypes")
        self.rows = torch.cat([self.rows, torch.zeros(task.seen_classes - len(self.rows), D)])

    def learn(self, task, samples):
        self.scale = self.scale + 1
        places = (torch.arange(len(self.rows)) + task.index) % D
        self.rows = torch.eye(D)[places]

    def features(self, x):
        return x * self.scale

    def predict(self, x):
        return self.features(x) @ self.rows.T


@pytest.fixture(scope="module")
def scaled():
    return probed(Scaled)


def test_the_linear_probe_is_scikit_learns_on_all_samples_of_classes_seen():
    found, whole = probed("ncm", probes=["linear"]), data()
    for k, accuracy in enumerate(found["linear"], start=1):
        train, test = (part[part.y < 2 * k] for part in (whole.train, whole.test))
        scaler = StandardScaler().fit(train.x.double())
        ridge = RidgeClassifier(alpha=1.0).fit(scaler.transform(train.x.double()), train.y)
        assert accuracy == pytest.approx(ridge.score(scaler.transform(test.x.double()), test.y))
        assert (found["train_samples"][k - 1], found["test_samples"][k - 1]) == (len(train), len(test))
    assert "cka" not in found
    assert "drift" not in found
    assert "chosen by the engine" in found["samples_are"]


def test_of_one_class_all_is_right_and_of_nothing_nothing_is_said():
    x, y = torch.randn(4, 2), torch.zeros(4, dtype=torch.int64)
    assert linear_probe(x, y, x, y) == 1.0
    assert linear_probe(x[:0], y[:0], x, y) is None


def test_frozen_features_are_what_they_were():
    found = probed("ncm")
    assert found["cka"]["first"][1:] == pytest.approx([1, 1])
    assert found["cka"]["previous"][1:] == pytest.approx([1, 1])
    for name in ("features", "means", "means_since_learned"):
        assert found["drift"][name] == [None, 0, 0]
    assert found["drift"]["prototypes"][1:] == pytest.approx([0, 0], abs=1e-6)  # sums: their direction counts
    assert max(found["drift"]["prototype_gap"]) < 0.2  # test samples have other means


def test_scaling_drifts_by_as_much_and_leaves_cka_alone(scaled):
    assert scaled["cka"]["first"] == [None, pytest.approx(1), pytest.approx(1)]
    assert scaled["drift"]["features"] == [None, pytest.approx(1), pytest.approx(1 / 2)]
    assert scaled["drift"]["means"] == [None, pytest.approx(1), pytest.approx(1 / 2)]


def test_class_means_drift_since_each_class_was_learned(scaled):
    test = data().test
    means = np.stack([test.x[test.y == c].double().numpy().mean(0) for c in range(4)])
    learned = means * np.array([1, 1, 2, 2])[:, None]
    expected = np.linalg.norm(3 * means - learned, axis=1).mean() / np.linalg.norm(learned, axis=1).mean()
    assert scaled["drift"]["means_since_learned"] == [None, pytest.approx(1), pytest.approx(expected)]


def test_prototypes_are_compared_by_their_angle(scaled):
    assert scaled["drift"]["prototypes"] == [None, 1.0, 1.0]  # every one became another unit vector
    test = data().test
    means = np.stack([test.x[test.y == c].double().numpy().mean(0) for c in range(2)])
    gap = np.mean([1 - means[c, c] / np.linalg.norm(means[c]) for c in range(2)])
    assert scaled["drift"]["prototype_gap"][0] == pytest.approx(gap)


class Wider(Scaled):
    """One feature more with each experience, as of a network that grows."""

    def features(self, x):
        return torch.cat([x, *[x[:, :1] * k for k in range(int(self.scale))]], dim=1)

    def predict(self, x):
        return x @ self.rows.T


def test_of_a_network_that_grows_the_features_that_were_there_are_compared():
    found = probed(Wider)
    for name in ("features", "means", "means_since_learned"):
        assert found["drift"][name] == [None, 0, 0]
    assert found["drift"]["prototype_gap"] == [None] * 3  # of another width than the features
    assert found["cka"]["previous"][1] < 0.9999


def test_drift_is_nothing_where_there_is_nothing_to_compare():
    empty = torch.zeros(0, 3)
    assert relative_drift(empty, empty) is None
    assert angular_drift(empty, empty) is None
    assert relative_drift(torch.zeros(2, 3), torch.ones(2, 3)) is None


# The samples that are looked at


def probe_data(per_class, **stream):
    keys = {"probes": ["linear"], "probe_samples": per_class}
    scenario = cl_engine.Scenario.load({"strategy": "ncm", "data": data(), "stream": stream, "evaluate": keys})
    made = Stream(scenario, scenario.terms())
    return made.diagnostics[0].data, made


def test_samples_are_bounded_by_class_and_stay_the_same():
    chosen, stream = probe_data(7, kind="class-incremental", step=2)
    before, before_y = chosen.fixed(2)
    for k in range(3):
        x, y = chosen.fixed(2 * (k + 1))
        assert torch.bincount(y).tolist() == [7] * 2 * (k + 1)
        train_x, train_y = chosen.train(k, 2 * (k + 1))
        assert torch.bincount(train_y).tolist() == [7] * 2 * (k + 1)
        delivered = {tuple(row.tolist()) for t in range(k + 1) for row in stream.samples(t).x}
        assert {tuple(row.tolist()) for row in train_x} <= delivered
    assert torch.equal(x[y < 2], before)
    assert torch.equal(y[y < 2], before_y)


@pytest.mark.parametrize(
    "stream",
    [
        {"kind": "class-incremental", "step": 2},
        {"kind": "si-blurry", "experiences": 4},
        {"kind": "repetition-slots", "experiences": 6, "classes_per_experience": 2},
        {"kind": "domain-incremental", "experiences": 3, "transform": "permutation"},
    ],
    ids=lambda stream: stream["kind"],
)
def test_what_is_chosen_does_not_depend_on_where_a_run_was_resumed(stream):
    step_by_step, made = probe_data(5, **stream)
    last = len(made.plan) - 1
    for k in range(last):
        step_by_step.train(k, CLASSES)
    at_once, _ = probe_data(5, **stream)
    one, other = step_by_step.train(last, CLASSES), at_once.train(last, CLASSES)
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])
    assert torch.bincount(one[1]).max() <= 5


def test_under_transforms_training_samples_are_as_delivered_and_tests_of_every_one():
    chosen, stream = probe_data(ALL, kind="domain-incremental", experiences=3, transform="permutation")
    x, y = chosen.train(2, CLASSES)
    delivered = torch.cat([stream.samples(t).x for t in range(3)])
    assert len(x) == len(delivered) == len(y)
    assert {tuple(row.tolist()) for row in x} == {tuple(row.tolist()) for row in delivered}
    spread, spread_y = chosen.spread(2, CLASSES)
    fixed, _ = chosen.fixed(CLASSES)
    same = {tuple(row.tolist()) for row in spread} & {tuple(row.tolist()) for row in fixed}
    assert len(spread) == len(spread_y) == len(fixed)
    assert len(fixed) / 4 < len(same) < len(fixed) / 2  # those of the first of three experiences


def test_noisy_labels_are_not_those_of_the_probe():
    chosen, _ = probe_data(ALL, kind="class-incremental", step=6, label_noise={"flip": "symmetric", "rate": 0.5})
    x, y = chosen.train(0, CLASSES)
    true = {tuple(row.tolist()): int(c) for row, c in zip(data().train.x, data().train.y, strict=True)}
    names = {}
    for row, c in zip(x, y, strict=True):  # one label for each id, whatever was delivered
        label = true[tuple(row.tolist())]
        assert names.setdefault(int(c), label) == label


def test_the_record_of_an_experience_holds_no_more_for_more_experiences():
    lines = []

    class Watch:
        def started(self, *_): ...
        def progress(self, _): ...
        def finished(self, line):
            lines.append(line)

    evaluate = {"probes": ["linear", "cka", "drift"], "probe_samples": 3}
    stream = {"step": 1, "class_order": "natural"}
    cl_engine.run({"data": data(), "stream": stream, "strategy": "ncm", "evaluate": evaluate}, reporter=Watch())
    sizes = [len(json.dumps(line["probes"])) for line in lines]
    assert max(sizes[2:]) < 1.2 * min(sizes[2:])


def test_angles_are_those_of_class_means_and_the_vertices_of_the_published_construction(monkeypatch):
    seen, plain = [], audit.observe

    def watch(strategy, what, x, device):
        found = plain(strategy, what, x, device)
        if what == "features":
            seen.append((x, found["features"]))
        return found

    monkeypatch.setattr(audit, "observe", watch)
    strategy = {"kind": "hoc", "reserved": 12, "per_class": 5}
    found = probed(strategy, probes=["angles"], training={"epochs": 2})["angles"]
    t, n = np.vstack([np.eye(11), np.full((1, 11), (1 - np.sqrt(12)) / 11)]), 12
    vertices = t - t.mean(0)
    vertices /= np.linalg.norm(vertices, axis=1, keepdims=True)
    whole = {tuple(x.tolist()): int(y) for x, y in zip(data().test.x, data().test.y, strict=True)}
    for k, (x, features) in enumerate(seen):
        y = np.array([whole[tuple(row.tolist())] for row in x])
        expected = []
        for c in range(2 * k + 2):
            mean, vertex = features.double().numpy()[y == c].mean(0), vertices[n - 1 - c]  # from the last one on
            expected.append(np.degrees(np.arccos(mean @ vertex / np.linalg.norm(mean))))
        assert found["classes"][k] == pytest.approx(expected, abs=1e-4)
        assert found["new"][k] == pytest.approx(np.mean(expected[2 * k :]), abs=1e-4)
        assert found["old"][k] == (pytest.approx(np.mean(expected[: 2 * k]), abs=1e-4) if k else None)
    assert len(seen) == 3


def test_angles_without_a_fixed_simplex_are_refused():
    with pytest.raises(
        cl_engine.ConfigError, match=r"evaluate\.probes: angles are those to a fixed simplex, and er"
    ):
        probed({"kind": "er", "per_class": 5}, probes=["angles"])
