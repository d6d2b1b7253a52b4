"""Streams end to end: every family under every strategy, online and offline, and the same closed form at the end."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

import cl_engine
from cl_engine.config.scenario import ConfigError, Scenario
from cl_engine.data.digits import Digits
from cl_engine.running.stream import Stream
from cl_engine.scenarios import KINDS
from cl_engine.scenarios.families.stored import store
from cl_engine.scenarios.plan import exposure_order
from cl_engine.strategies.references.finetune import Finetune
from cl_engine.terms.task import HiddenError

ONLINE = {"delivery": "online", "micro_batch": 16}
FAMILIES = {
    "class-incremental": {},
    "task-incremental": {},
    "domain-incremental": {"experiences": 3, "transform": "rotation"},
    "data-incremental": {"experiences": 4},
    "blurry": {"blur": 20},
    "i-blurry": {"experiences": 5},
    "si-blurry": {"experiences": 5},
    "gcil": {"experiences": 6, "size": 150, "max_classes": 6},
    "repetition-slots": {"experiences": 5, "classes_per_experience": 4},
    "repetition-sampled": {"experiences": 6, "size": 120, "first_parameter": 0.3, "p": 0.5},
    "linear-decay": {"tasks": 5, "experiences": 10},
    "gaussian-schedule": {"experiences": 5},
    "few-shot": {"base": 6, "ways": 2},
}
STRATEGIES = ["finetune", "joint", "replay", "ncm", {"kind": "g-acil", "width": 60}]


def test_no_family_is_left_out():
    assert {*FAMILIES, "plan"} == set(KINDS)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_runs_every_strategy(family, strategy):
    for delivery in ({}, ONLINE):
        stream = {"kind": family, **FAMILIES[family], **delivery}
        training = {"epochs": 1, "updates_per_sample": 0.1}
        record = cl_engine.run({"data": "digits", "stream": stream, "strategy": strategy, "training": training})
        assert record.to_dict()["status"] == "done"
        assert 0 <= record.metrics["last_accuracy"] <= 1
        for row, size in zip(record.accuracy["matrix"], record.to_dict()["stream"]["experiences"], strict=True):
            assert len(row) == len(record.accuracy["matrix"])
            assert size["samples"] > 0


def weights(tmp_path, stream, number):
    """Return the final G-ACIL weights with the columns in the order of the labels."""
    scenario = Scenario.load({"data": "digits", "stream": stream, "strategy": {"kind": "g-acil", "width": 150}})
    record = cl_engine.run(scenario, out=tmp_path / str(number))
    learned = cl_engine.load(record.directory)
    columns = torch.from_numpy(np.argsort(Stream(scenario, scenario.terms()).order))
    return learned.weights()[:, columns], learned


DELIVER_ALL = [
    {"kind": "class-incremental", "step": 5},
    {"kind": "task-incremental", "step": 1, "class_order": "natural"},
    {"kind": "data-incremental", "experiences": 7},
    {"kind": "blurry", "blur": 30},
    {"kind": "i-blurry", "experiences": 4},
    {"kind": "si-blurry", "experiences": 5},
    {"kind": "si-blurry", "experiences": 5, "variant": "published", "seed": 3},
    {"kind": "linear-decay", "tasks": 5, "experiences": 12},
    {"kind": "gaussian-schedule", "experiences": 9},
    {"kind": "class-incremental", "step": 2, "drift": {"amplitude": 3.0}},
    {"kind": "data-incremental", "sizes": {"alpha": 0.3}},
]


def test_the_same_samples_give_the_same_weights_in_any_stream(tmp_path):
    """The system oracle: simulator, label mapping, delivery and learner together, against one joint ridge."""
    data = Digits().load().train
    expected = None
    for number, (stream, delivery) in enumerate(itertools.product(DELIVER_ALL, ({}, ONLINE))):
        found, learned = weights(tmp_path, {**stream, **delivery}, number)
        if expected is None:
            features, onehot = learned.features(data.x).numpy(), np.eye(10)[data.y.numpy()]
            ridge = Ridge(alpha=0.1, fit_intercept=False, solver="cholesky").fit(features, onehot)
            expected = torch.from_numpy(ridge.coef_.T)
        assert torch.linalg.norm(found - expected) / torch.linalg.norm(expected) < 1e-9, (stream, delivery)


def test_task_identity_helps_and_changes_nothing_else():
    base = {"data": "digits", "strategy": "finetune", "training": {"epochs": 5}}
    task = cl_engine.run(base, stream={"kind": "task-incremental"})
    classes = cl_engine.run(base, stream={"kind": "class-incremental"})
    assert task.to_dict()["stream"]["fingerprint"] == classes.to_dict()["stream"]["fingerprint"]
    for masked, plain in zip(task.accuracy["matrix"], classes.accuracy["matrix"], strict=True):
        assert all(m >= p for m, p in zip(masked, plain, strict=True) if p is not None)
    assert task.metrics["last_accuracy"] > classes.metrics["last_accuracy"] + 0.3
    for run in (task, classes):  # a class-incremental run tells what its network would reach if groups were known
        assert run.metrics["task_incremental_accuracy"] == task.metrics["average_accuracy"]
        assert run.metrics["last_task_incremental_accuracy"] == task.metrics["last_accuracy"]


def test_where_groups_are_transforms_there_is_no_task_incremental_accuracy():
    stream = {"kind": "domain-incremental", "experiences": 3}
    run = cl_engine.run({"data": "digits", "stream": stream, "strategy": "ncm"})
    assert run.metrics["task_incremental_accuracy"] is None


def test_domains_are_told_apart_by_their_transform():
    stream = {"kind": "domain-incremental", "experiences": 3, "transform": "permutation"}
    record = cl_engine.run({"data": "digits", "stream": stream, "strategy": "finetune", "training": {"epochs": 8}})
    matrix = record.accuracy["matrix"]
    assert [[a is None for a in row] for row in matrix] == [[False, True, True], [False, False, True], [False] * 3]
    assert min(matrix[k][k] for k in range(3)) > 0.85
    assert matrix[2][0] < matrix[0][0]
    assert "transform" in record.to_dict()["stream"]["groups"]


@pytest.mark.parametrize("audit", ["rebuild", "process"])
def test_accuracy_every_so_many_samples(audit):
    scenario = {
        "data": "digits",
        "stream": {"kind": "i-blurry", "experiences": 2, **ONLINE},
        "strategy": "ncm",
        "memory": {"audit": audit},
    }
    exact = cl_engine.run(scenario, evaluate={"every": "100 samples"})
    points = [n for n, _ in exact.accuracy["curve"]]
    assert points == list(range(100, 1443, 100))
    after = cl_engine.run(scenario, evaluate={"every": "100 samples", "protocol": "after-batch"})
    late = [n for n, _ in after.accuracy["curve"]]
    assert all(a > b for a, b in zip(late, points, strict=False))
    plain = cl_engine.run(scenario)
    assert plain.accuracy["seen"] == exact.accuracy["seen"] == after.accuracy["seen"]  # measuring changes nothing
    accuracies = [a for _, a in exact.accuracy["curve"]]
    assert exact.metrics["anytime_accuracy"] == pytest.approx(sum(accuracies) / len(accuracies))


def test_accuracy_inside_an_experience_counts_exposed_classes_only():
    """One experience, classes one after the other: after the first batch only its class is tested."""
    stream = {"kind": "gaussian-schedule", "experiences": 1, "sigma": 0.0, **ONLINE}
    record = cl_engine.run(
        {"data": "digits", "stream": stream, "strategy": "ncm"}, evaluate={"every": "16 samples"}
    )
    first = record.accuracy["curve"][0]
    assert first == [16, 1.0]
    assert record.accuracy["curve"][-1][1] < 1


def test_samples_within_an_offline_experience_are_refused():
    with pytest.raises(ConfigError, match=r"evaluate.every: an offline stream delivers an experience at once"):
        Scenario.load({"data": "digits", "strategy": "ncm", "evaluate": {"every": "10 samples"}})
    with pytest.raises(ConfigError, match="allowed: experience, or a number of samples"):
        Scenario.load({"data": "digits", "strategy": "ncm", "evaluate": {"every": "often"}})


class Curious(Finetune):
    def learn(self, task, samples):
        assert task.classes
        super().learn(task, samples)


def test_a_strategy_that_asks_for_a_hidden_thing_is_told_so():
    cl_engine.run({"data": "digits", "strategy": Curious, "training": {"epochs": 1}})
    with pytest.raises(HiddenError, match=r"task\.classes, which this stream hides"):
        cl_engine.run({"data": "digits", "strategy": Curious, "stream": {"kind": "si-blurry"}})


def test_online_rehearsal_beats_none():
    base = {
        "data": "digits",
        "stream": {"kind": "class-incremental", **ONLINE},
        "training": {"updates_per_sample": 0.5},
    }
    last = {s: cl_engine.run(base, strategy=s).metrics["last_accuracy"] for s in ("finetune", "replay")}
    assert last["replay"] > last["finetune"] + 0.3


def test_empty_experiences():
    base = {"data": "digits", "strategy": "replay", "training": {"epochs": 1}}
    published = {"kind": "si-blurry", "variant": "published", "seed": 2, "disjoint_percent": 100}
    kept = cl_engine.run(base, stream=published)
    sizes = [e["samples"] for e in kept.to_dict()["stream"]["experiences"]]
    assert 0 in sizes
    assert len(sizes) == 5
    dropped = cl_engine.run(base, stream={**published, "empty": "drop"})
    assert [e["samples"] for e in dropped.to_dict()["stream"]["experiences"]] == [n for n in sizes if n]
    drawn_anew = Scenario.load({**base, "stream": {**published, "variant": "balanced"}}).plan
    assert (drawn_anew.sizes > 0).all()
    if sizes[0] == 0:
        assert kept.accuracy["seen"][0] is None


def test_label_noise_is_learned_and_clean_labels_are_tested():
    base = {"data": "digits", "strategy": "ncm", "stream": {"kind": "data-incremental", "experiences": 1}}
    clean = cl_engine.run(base)
    flipped = {"rate": 1.0, "flip": "asymmetric", "pairs": [[0, 1], [1, 0]]}
    noisy = cl_engine.run(base, stream={"kind": "data-incremental", "experiences": 1, "label_noise": flipped})
    lost = clean.metrics["last_accuracy"] - noisy.metrics["last_accuracy"]
    assert lost == pytest.approx(72 / 355, abs=0.03)  # the zeros and ones of the test set


def test_modifiers_report_and_their_options_are_checked():
    base = {"data": "digits", "strategy": "ncm"}
    scenario = Scenario.load({**base, "stream": {"kind": "class-incremental", "imbalance": {"ratio": 0.1}}})
    assert scenario.plan.dropped > 0
    assert any("imbalance" in note for note in scenario.plan.notes)
    assert scenario.stream["imbalance"]["seed"] == 0
    assert (
        Scenario.load({**base, "seed": 4, "stream": {"kind": "class-incremental", "imbalance": {}}}).stream[
            "imbalance"
        ]["seed"]
        == 4
    )
    for stream, complaint in [
        ({"imbalance": {"ratoi": 1}}, r"stream\.imbalance\.ratoi: unknown option, did you mean 'ratio'"),
        ({"label_noise": {"rate": 2}}, r"stream\.label_noise\.rate: got 2"),
        ({"sizes": 3}, r"stream\.sizes: got 3; allowed: a mapping"),
        ({"empty": "never"}, r"stream\.empty: got 'never'; allowed: forbid, keep, drop or null"),
        ({"micro_batch": 0}, r"stream\.micro_batch: got 0"),
    ]:
        with pytest.raises(ConfigError, match=complaint):
            Scenario.load({**base, "stream": {"kind": "class-incremental", **stream}})


def test_features_cannot_be_rotated():
    stream = {"kind": "domain-incremental", "transform": "rotation"}
    with pytest.raises(ConfigError, match=r"stream\.transform: a rotation needs images"):
        Scenario.load({"data": "gaussian", "strategy": "ncm", "stream": stream})


def test_a_stored_plan_is_the_same_plan(tmp_path):
    from cl_engine.scenarios.families.stored import store

    noise = {"kind": "si-blurry", "label_noise": {"rate": 0.2}}
    base = {"data": "digits", "strategy": "ncm"}
    made = Scenario.load({**base, "stream": noise})
    store(made.plan, tmp_path / "p.npz")
    read = Scenario.load({**base, "stream": {"kind": "plan", "path": str(tmp_path / "p.npz")}})
    assert read.plan.fingerprint == made.plan.fingerprint
    assert (read.plan.boundaries, read.plan.notes) == (made.plan.boundaries, made.plan.notes)
    np.savez(tmp_path / "mine.npz", indices=[3, 1, 2, 3], offsets=[0, 2, 4])
    plain = Scenario.load({**base, "stream": {"kind": "plan", "path": str(tmp_path / "mine.npz")}}).plan
    assert plain.repeats
    assert plain.sizes.tolist() == [2, 2]


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"indices": [1]}, "lacks offsets"),
        ({"indices": [1.5], "offsets": [0, 1]}, "row of integers"),
        ({"indices": [9999], "offsets": [0, 1]}, "lie between 0 and 1441"),
        ({"indices": [1, 1], "offsets": [0, 2]}, "twice"),
        ({"indices": [1], "offsets": [0, 1], "targets_sha256": "0" * 64}, "made for other data"),
        ({"indices": [1], "offsets": [0, 1], "traits": "{"}, "no plan"),
        ({"indices": [1], "offsets": [0, 1], "more": [1]}, "no plan"),
        ({"indices": [1], "offsets": [0, 1], "labels": [77]}, "labels of this data"),
    ],
)
def test_broken_plan_files(tmp_path, arrays, complaint):
    np.savez(tmp_path / "p.npz", **{k: np.array(v) for k, v in arrays.items()})
    with pytest.raises(ConfigError, match=f"stream.path: .*{complaint}"):
        Scenario.load(
            {"data": "digits", "strategy": "ncm", "stream": {"kind": "plan", "path": str(tmp_path / "p.npz")}}
        )


@pytest.mark.parametrize("stream", ["class-incremental", "task-incremental", "i-blurry"])
def test_accuracy_within_an_experience_does_not_depend_on_how_classes_are_numbered(tmp_path, stream):
    """A nearest-mean learner is the same under any numbering, and by arrival the classes met are the lowest ids."""
    options = {"experiences": 2} if stream == "i-blurry" else {"step": 5}
    scenario = Scenario.load(
        {
            "data": {"kind": "gaussian", "classes": 10, "samples_per_class": 6, "separation": 1.5},
            "stream": {"kind": stream, **options, "delivery": "online", "micro_batch": 2},
            "strategy": "ncm",
            "evaluate": {"every": "4 samples"},
        }
    )
    by_arrival = dataclasses.replace(scenario.plan, class_order=None)
    assert not np.array_equal(
        exposure_order(scenario.labels.train, by_arrival), exposure_order(scenario.labels.train, scenario.plan)
    )
    store(by_arrival, tmp_path / "plan.npz")
    plan = {"kind": "plan", "path": str(tmp_path / "plan.npz"), "delivery": "online", "micro_batch": 2}
    other, own = cl_engine.run(scenario, stream=plan), cl_engine.run(scenario)
    assert own.accuracy["curve"] == other.accuracy["curve"]
    assert own.accuracy["seen"] == other.accuracy["seen"]
