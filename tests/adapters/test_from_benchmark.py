"""A benchmark of Avalanche, or anything that looks like one, is data and a stream of ours."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import cl_engine
from cl_engine.adapters.avalanche.data import from_benchmark
from cl_engine.adapters.torch import Experiences
from cl_engine.data.samples import DataError


def stream(*experiences):
    return [SimpleNamespace(dataset=rows) for rows in experiences]


def features(labels, task=0, start=0):
    return [(torch.full((3,), float(start + place)), label, task) for place, label in enumerate(labels)]


def benchmark(train, test):
    return SimpleNamespace(train_stream=stream(*train), test_stream=stream(*test))


TWO = benchmark(
    [features([7, 9, 7]), features([4, 4], start=10)], [features([9, 7], start=20), features([4], start=30)]
)


def test_experiences_are_delivered_in_their_order_with_their_own_labels(tmp_path):
    experiences = Experiences({**from_benchmark(TWO, tmp_path), "strategy": "finetune"})
    assert [experience.samples.x[:, 0].tolist() for experience in experiences] == [[0, 1, 2], [10, 11]]
    assert experiences.labels.tolist() == [7, 9, 4]
    assert [experience.targets for experience in experiences] == [[0, 1, 0], [2, 2]]


def test_a_sample_that_returns_is_one_sample(tmp_path):
    again = benchmark([features([1, 2]), features([1, 2])], [features([1, 2], start=9)])
    keys = from_benchmark(again, tmp_path)
    with np.load(keys["data"]["path"]) as arrays:
        assert len(arrays["x_train"]) == 2
    assert [len(e) for e in Experiences({**keys, "strategy": "finetune"})] == [2, 2]


def test_the_keys_run_and_name_the_same_run_again(tmp_path):
    keys = from_benchmark(TWO, tmp_path / "new" / "folder")
    first, second = (cl_engine.run({**keys, "strategy": "ncm"}) for _ in range(2))
    assert first.metrics["last_accuracy"] == second.metrics["last_accuracy"]
    assert first.to_dict()["id"] == second.to_dict()["id"]


def test_task_labels_become_task_identities(tmp_path):
    tasks = benchmark(
        [features([1, 2], 0), features([3, 4], 1, 5)], [features([1, 2], 0, 10), features([3, 4], 1, 15)]
    )
    record = cl_engine.run({**from_benchmark(tasks, tmp_path), "strategy": "ncm"})
    assert record.metrics["last_accuracy"] >= 0.5  # of two classes each, whatever the others are


@pytest.mark.parametrize(
    ("x", "held"),
    [
        (torch.tensor([[[0.0, 1.0], [0.5, 0.2]]]), [0, 255, 128, 51]),
        (torch.tensor([[[3, 4], [5, 6]]], dtype=torch.uint8), [3, 4, 5, 6]),
    ],
)
def test_images_are_held_as_bytes(tmp_path, x, held):
    images = benchmark([[(x, 0, 0)]], [[(x, 0, 0)]])
    with np.load(from_benchmark(images, tmp_path)["data"]["path"]) as arrays:
        assert arrays["x_train"].dtype == np.uint8
        assert arrays["x_train"].ravel().tolist() == held


def test_standardised_images_need_to_be_said_what_they_were(tmp_path):
    images = benchmark([[(torch.full((1, 2, 2), -1.5), 0, 0)]], [[(torch.zeros(1, 2, 2), 0, 0)]])
    with pytest.raises(DataError, match=r"values -1.5 to -1.5; allowed: .* or raw=, which makes them so"):
        from_benchmark(images, tmp_path)
    made = from_benchmark(images, tmp_path, raw=lambda x: (x + 2).byte())
    with np.load(made["data"]["path"]) as arrays:
        assert arrays["x_train"].ravel().tolist() == [0, 0, 0, 0]


@pytest.mark.avalanche
def test_there_and_back_again_is_the_same_stream(tmp_path):
    pytest.importorskip("avalanche", reason="needs the avalanche extra")
    from cl_engine.adapters.avalanche import to_benchmark

    data = {"kind": "gaussian", "classes": 6, "features": 4, "samples_per_class": 20}
    made = {"data": data, "stream": {"kind": "si-blurry", "experiences": 3}, "strategy": "finetune"}
    back = Experiences({**from_benchmark(to_benchmark(made), tmp_path), "strategy": "finetune"})
    for ours, again in zip(Experiences(made), back, strict=True):
        assert torch.equal(ours.samples.x, again.samples.x)
        assert ours.targets == back.labels[again.samples.y].tolist()
