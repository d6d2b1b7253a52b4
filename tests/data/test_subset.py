"""Some classes of other data: which samples stay, what names them, and that no gallery is of classes trained on."""

import numpy as np
import pytest
import torch

import cl_engine
from cl_engine.config.scenario import Scenario
from cl_engine.data.digits import Digits
from cl_engine.data.feature_files import Features
from cl_engine.data.samples import DataSet, Samples
from cl_engine.data.subset import Subset
from cl_engine.models.frozen_file import write_features

DIGITS = {"kind": "digits"}


@pytest.mark.parametrize(
    "options", [{"classes": [5, 2]}, {"exclude": [0, 1, 3, 4, 6, 7, 8, 9]}], ids=["stay", "go"]
)
def test_the_samples_of_the_classes_stay_in_their_order(options):
    found, whole = Subset(of=DIGITS, **options).load(), Digits().load()
    for mine, theirs in ((found.train, whole.train), (found.test, whole.test)):
        chosen = (theirs.y == 2) | (theirs.y == 5)
        assert torch.equal(mine.x, theirs.x[chosen])
        assert torch.equal(mine.y, theirs.y[chosen])
    labels = Subset(of=DIGITS, **options).labels()
    assert np.array_equal(labels.train, found.train.y.numpy())
    assert (labels.shape, np.unique(labels.test).tolist()) == ((1, 8, 8), [2, 5])


@pytest.mark.parametrize(
    "options", [{"classes": [5, 2]}, {"exclude": [0, 1, 3, 4, 6, 7, 8, 9]}], ids=["stay", "go"]
)
def test_a_class_that_stays_keeps_its_name_and_no_other_name_stays(options):
    assert Digits().load().classes == tuple("0123456789")
    assert Subset(of=DIGITS, **options).load().classes == ("2", "5")


def test_features_of_some_classes_are_read_back_from_the_file_that_they_are_written_to(tmp_path):
    data = Subset(of=DIGITS, classes=[5, 2]).load()
    flat = [Samples(part.x.flatten(1).float(), part.y) for part in (data.train, data.test)]
    write_features(DataSet(*flat, data.classes), tmp_path / "some.npz")
    assert Features(path=str(tmp_path / "some.npz")).load().classes == ("2", "5")


def test_its_identity_is_that_of_the_data_and_of_the_classes_that_stay(tmp_path):
    one, same = Subset(of=DIGITS, classes=[5, 2]), Subset(of=DIGITS, exclude=[0, 1, 3, 4, 6, 7, 8, 9])
    assert one.identity() == same.identity() != Subset(of=DIGITS, classes=[2, 6]).identity()
    x, y = np.arange(240, dtype=np.uint8).reshape(60, 2, 2, 1), np.arange(60) % 3
    made = []
    for change in (0, 1):
        np.savez(tmp_path / "a.npz", x_train=x + change, y_train=y, x_test=x, y_test=y)
        made.append(Subset(of={"kind": "npz", "path": str(tmp_path / "a.npz")}, classes=[0, 2]).identity())
    assert made[0] != made[1]


def test_domains_stay_with_their_samples(monkeypatch):
    y, domain = torch.arange(12) % 3, torch.arange(12) // 6
    part = Samples(torch.rand(12, 2), y, {"domain": domain})
    monkeypatch.setattr(Digits, "load", lambda self: DataSet(part, part))
    monkeypatch.setattr(Digits, "labels", lambda self: DataSet(part, part).labels())
    found = Subset(of=DIGITS, exclude=[1])
    assert (
        found.labels().train_domains.tolist() == found.load().train.columns["domain"].tolist() == [0] * 4 + [1] * 4
    )


def scenario(data, gallery):
    return {
        "data": data,
        "stream": {"kind": "class-incremental", "step": 4},
        "strategy": {"kind": "er", "total": 10, "backbone": {"kind": "mlp", "width": 8}},
        "training": {"epochs": 1},
        "evaluate": {"compatibility": {"gallery": gallery}},
    }


TRAINED = {"kind": "subset", "of": "digits", "exclude": [8, 9]}
REST = {"kind": "subset", "of": "digits", "classes": [8, 9]}


def test_a_stream_of_some_classes_is_measured_on_the_others():
    found = cl_engine.run(scenario(TRAINED, {"data": REST})).to_dict()["compatibility"]
    assert (len(found["matrix"]), found["classes"]) == (2, [8, 9])
    whole = cl_engine.run(scenario(TRAINED, {"data": "digits", "classes": [8, 9]})).to_dict()["compatibility"]
    assert whole["matrix"] == found["matrix"]


@pytest.mark.parametrize(
    ("data", "gallery", "message"),
    [
        (TRAINED, {"data": {**REST, "classes": [7, 8]}}, r"gallery\.classes: the stream delivers class 7"),
        (TRAINED, {"data": "digits"}, r"gallery\.classes: the stream delivers class 0"),
        ({**TRAINED, "exclude": [0, 1]}, {"data": REST}, r"gallery\.classes: the stream delivers class 8"),
        ({**TRAINED, "exclude": [10]}, {}, r"data\.exclude: the data has no class 10"),
        ({**TRAINED, "exclude": list(range(10))}, {}, r"data\.exclude: leaves no class"),
        ({**TRAINED, "classes": [1]}, {}, r"data\.classes: given with exclude"),
        ({"kind": "subset", "of": "digits"}, {}, r"data\.classes: .*allowed: one of the two"),
    ],
)
def test_classes_that_the_stream_delivers_and_wrong_ones_are_refused(data, gallery, message):
    with pytest.raises(cl_engine.ConfigError, match=message):
        Scenario.load(scenario(data, gallery))
