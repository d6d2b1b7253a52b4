"""Compatibility of the models of a run: against NumPy on the same features, counted, resumed, and refused."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import cl_engine
from cl_engine import Strategy
from cl_engine.config.scenario import Scenario
from cl_engine.data.digits import Digits
from cl_engine.metrics import compatibility_metrics, verification_accuracy, verification_pairs
from cl_engine.running import audit
from tests.stopping import StopAfter

STREAM = {  # 0 and 1, then three at a time; 8 and 9 are left out
    "kind": "class-incremental",
    "first": 2,
    "step": 3,
    "remainder": "drop",
    "class_order": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
}


def scenario(protocol="templates", **changes):
    return {
        "name": "compatible",
        "data": "digits",
        "stream": STREAM,
        "strategy": {"kind": "cl2r", "reserved": 16, "backbone": {"kind": "mlp", "width": 16}, "total": 20},
        "training": {"epochs": 2},
        "evaluate": {"compatibility": {"protocol": protocol}},
        **changes,
    }


@pytest.fixture
def embedded(monkeypatch):
    """What models were asked to embed, and what they made of it: samples and features, in order."""
    found, plain = [], audit.observe

    def observe(strategy, what, x, device):
        made = plain(strategy, what, x, device)
        found.append((torch.cat([*x.split(100)]), made["features"].numpy()))
        return made

    monkeypatch.setattr(audit, "observe", observe)
    return found


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def held_out(part):
    samples = getattr(Digits().load(), part)
    return samples[samples.y >= 8]


def score(protocol, q, g, yq, yg):
    cosines = unit(q) @ unit(g).T
    if protocol == "templates":
        templates = unit(np.stack([unit(g[yg == c]).mean(0) for c in (8, 9)]))
        return np.mean(np.array([8, 9])[(unit(q) @ templates.T).argmax(1)] == yq)
    if protocol == "instances":
        return np.mean(yg[cosines.argmax(1)] == yq)
    if protocol == "verification":
        return verification_accuracy(q, g, verification_pairs(yq, yg))
    precisions = []
    for row, y in zip(np.argsort(-cosines, axis=1, kind="stable"), yq, strict=True):
        at = np.flatnonzero(yg[row] == y)
        precisions.append(np.mean(np.arange(1, len(at) + 1) / (at + 1)))
    return np.mean(precisions)


@pytest.mark.parametrize("protocol", ["templates", "instances", "map", "verification"])
def test_the_matrix_is_that_of_numpy_and_each_model_embeds_gallery_and_queries_once(embedded, protocol):
    run = cl_engine.run(scenario(protocol)).to_dict()
    found = run["compatibility"]
    gallery, queries = held_out("test"), held_out("train")
    assert len(embedded) == 2 * 3  # not 3 * 4 / 2 galleries
    for number, (x, _) in enumerate(embedded):
        assert torch.equal(x, (queries if number % 2 else gallery).x)
    galleries, asked = ([features for _, features in embedded[n::2]] for n in (0, 1))
    yg, yq = gallery.y.numpy(), queries.y.numpy()
    expected = [[score(protocol, asked[t], galleries[k], yq, yg) for k in range(t + 1)] for t in range(3)]
    for row, values in zip(found["matrix"], expected, strict=True):
        assert row == pytest.approx(values, abs=5e-3)  # a query more or less, or two ranks that change
    metrics = compatibility_metrics(found["matrix"])
    assert {name: found[name] for name in metrics} == metrics
    assert found["so_far"]["average_cross_accuracy"][-1] == metrics["average_cross_accuracy"]
    assert found["classes"] == [8, 9]
    kept = 2 if protocol == "templates" else len(gallery)
    assert found["gallery_bytes"] == [4 * kept * 15] * 3
    if protocol == "instances":
        assert found["recall"]["1"] == found["matrix"]
        assert found["mean_average_precision"][2][0] == pytest.approx(
            score("map", asked[2], galleries[0], yq, yg), abs=5e-3
        )


def test_the_inequalities_are_counted_between_a_model_and_the_one_before(embedded):
    found = cl_engine.run(scenario("instances")).to_dict()["compatibility"]["satisfaction"]
    galleries, asked = ([unit(features) for _, features in embedded[n::2]] for n in (0, 1))
    same = held_out("train").y.numpy()[:, None] == held_out("test").y.numpy()
    assert found["same"][0] is None
    for t in (1, 2):
        new, old = (q @ galleries[t - 1].T for q in (asked[t], asked[t - 1]))
        assert found["same"][t] == pytest.approx(np.mean((new >= old)[same]), abs=2e-3)
        assert found["different"][t] == pytest.approx(np.mean((new <= old)[~same]), abs=2e-3)


def test_measuring_changes_nothing_else_and_a_run_without_it_is_named_as_ever():
    plain = {key: value for key, value in scenario().items() if key != "evaluate"}
    without, measured = cl_engine.run(plain).to_dict(), cl_engine.run(scenario()).to_dict()
    for key in ("metrics", "accuracy", "memory"):
        assert without[key] == measured[key]
    assert "compatibility" not in without
    assert "compatibility" not in without["config"]["evaluate"]
    again = Scenario.load(measured["config"])
    assert again.id == Scenario.load(scenario()).id


@pytest.mark.parametrize("protocol", ["templates", "instances"])
def test_a_resumed_run_tests_on_the_galleries_that_were_embedded_before(tmp_path, embedded, protocol):
    whole = cl_engine.run(scenario(protocol)).to_dict()["compatibility"]
    with pytest.raises(KeyboardInterrupt):
        cl_engine.run(scenario(protocol), out=tmp_path, reporter=StopAfter(2))
    embedded.clear()
    resumed = cl_engine.run(scenario(protocol), out=tmp_path, resume=True).to_dict()["compatibility"]
    assert resumed == whole
    assert len(embedded) == 3  # gallery and queries by the last model, queries by the one before


def test_in_processes_of_their_own_the_matrix_is_the_same():
    alone = cl_engine.run(scenario()).to_dict()["compatibility"]
    apart = cl_engine.run(scenario(memory={"audit": "process"})).to_dict()["compatibility"]
    assert apart == alone


def test_a_network_whose_features_grow_is_compared_by_those_that_were_there():
    strategy = {"kind": "memo", "backbone": "mlp", "total": 20}
    found = cl_engine.run(scenario("instances", strategy=strategy)).to_dict()["compatibility"]
    assert len(found["matrix"]) == 3
    assert found["gallery_bytes"][0] < found["gallery_bytes"][2]


def test_gallery_and_queries_may_be_of_other_data_and_of_chosen_classes(tmp_path):
    draw = np.random.default_rng(0)
    x, y = draw.integers(0, 256, (60, 8, 8, 1), dtype=np.uint8), np.arange(60) % 3 + 40
    np.savez(tmp_path / "other.npz", x_train=x, y_train=y, x_test=x[:30], y_test=y[:30])
    other = {"kind": "npz", "path": str(tmp_path / "other.npz")}
    asked = {"gallery": {"data": other, "split": "train", "classes": [40, 42]}, "queries": {"split": "test"}}
    found = cl_engine.run(scenario(evaluate={"compatibility": asked})).to_dict()["compatibility"]
    assert (found["classes"], found["gallery_samples"], found["query_samples"]) == ([40, 42], 40, 20)


class Featureless(Strategy):
    def begin(self, task):
        self.classes = task.seen_classes

    def learn(self, task, samples):
        pass

    def predict(self, x):
        return torch.zeros(len(x), self.classes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stream": "class-incremental"}, r"gallery\.data: the stream delivers every class of this data; allowed"),
        (
            {"gallery": {"classes": [7, 8]}},
            r"gallery\.classes: the stream delivers class 7; allowed: classes that it",
        ),
        ({"gallery": {"classes": [8]}}, r"gallery\.classes: fewer than two classes"),
        ({"gallery": {"classes": [8, 12]}}, r"gallery\.classes: this data has no class 12"),
        ({"queries": {"classes": [9, 3]}}, r"queries\.classes: the stream delivers class 3"),
        (
            {"gallery": {"data": "gaussian"}},
            r"gallery\.data: samples are \[\d+\] and those of the stream \[1, 8, 8\]",
        ),
        ({"gallery": "digits"}, r"evaluate\.compatibility\.gallery: got 'digits'; allowed: a mapping of options"),
        ({"protocol": "nearest"}, r"protocol: got 'nearest'; allowed: templates, instances, map or verification"),
        (
            {"strategy": Featureless},
            r"evaluate\.compatibility: compares features, and .*Featureless has none; allowed",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_trained(changes, message):
    top = {key: changes.pop(key) for key in ("stream", "strategy") if key in changes}
    with pytest.raises(cl_engine.ConfigError, match=message):
        cl_engine.run({**scenario(evaluate={"compatibility": changes}), **top})


def test_the_scenario_that_the_documentation_shows_runs():
    page = Path(__file__).parents[2] / "docs" / "compatibility.md"
    block, *_ = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    found = cl_engine.run({**yaml.safe_load(block), "training": {"epochs": 1}}).to_dict()["compatibility"]
    assert len(found["matrix"]) == 3
    assert len(found["classes"]) == 2
