"""Data sources of the user's own: what they answer is what the engine relies on, or one line says what is not."""

import copy
import pickle

import numpy as np
import pytest
import torch

import cl_engine
from cl_engine.config.scenario import ConfigError, Scenario
from cl_engine.data.own import Own
from cl_engine.data.samples import DataError, DataSet, Labels, Samples


class Source:
    notes = ("five features of nothing",)

    def labels(self):
        return self.load().labels()

    def load(self):
        y = torch.arange(40) % 4
        samples = Samples(torch.nn.functional.one_hot(y, 5).float(), y)
        return DataSet(samples, samples)


class Array(Source):
    def labels(self):
        return np.arange(40) % 4


class Pair(Source):
    def load(self):
        y = torch.arange(40) % 4
        return Samples(torch.zeros(40, 5), y), Samples(torch.zeros(40, 5), y)

    def labels(self):
        return Source().labels()


class Sorted(Source):
    def labels(self):
        told = super().labels()
        return Labels(np.sort(told.train), told.test, told.shape)


class Wider(Source):
    def labels(self):
        told = super().labels()
        return Labels(told.train, told.test, (6,))


def scenario(source):
    return {"data": source, "stream": {"step": 2}, "strategy": "ncm"}


@pytest.mark.parametrize(
    "named", [lambda kind: f"{__name__}:{kind}", lambda kind: globals()[kind]()], ids=["name", "object"]
)
@pytest.mark.parametrize(
    ("kind", "complaint"),
    [
        ("Array", r"data: labels\(\) of .*Array returned ndarray; allowed: .*Labels\(train, test, shape\)"),
        ("Pair", r"load\(\) of .*Pair returned tuple; allowed: a cl_engine.DataSet"),
        ("Sorted", r"load\(\) of .*Sorted has other data than its labels\(\) says: train differs; allowed"),
        ("Wider", r"load\(\) of .*Wider has other data than its labels\(\) says: shape differs; allowed"),
    ],
)  # fmt: skip
def test_what_a_source_should_not_answer_is_refused_before_anything_is_learned(kind, complaint, named):
    with pytest.raises((ConfigError, DataError), match=complaint):
        cl_engine.run(scenario(named(kind)))


@pytest.mark.parametrize("data", [f"{__name__}:Source", Source()], ids=["name", "object"])
def test_one_that_keeps_to_it_is_learned_and_its_notes_are_told(data):
    record = cl_engine.run(scenario(data))
    assert record.metrics["last_accuracy"] == 1
    assert "five features of nothing" in record.to_dict()["notes"]


def test_one_inside_other_data_is_held_to_it_too():
    data = {"kind": "subset", "of": f"{__name__}:Array", "exclude": [0]}
    with pytest.raises(ConfigError, match=r"labels\(\) of .*Array returned ndarray"):
        Scenario.load(scenario(data))


def test_what_it_may_have_besides_is_its_own_in_copies_too():
    for own in (
        Own(Source(), "a:Source"),
        copy.deepcopy(Own(Source(), "a:Source")),
        pickle.loads(pickle.dumps(Own(Source(), "a:Source"))),
    ):
        assert own.notes == Source.notes
        assert not hasattr(own, "identity")
