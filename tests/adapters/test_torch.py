"""A stream as PyTorch data sets delivers the very samples that strategies are taught, in their order."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from cl_engine.adapters.torch import Experiences, TaskSets
from cl_engine.config.scenario import Scenario

BLURRY = {"data": "digits", "stream": {"kind": "si-blurry", "experiences": 4}, "strategy": "finetune"}
STREAMS = {
    "class-incremental": {"kind": "class-incremental", "step": 2},
    "blurry": BLURRY["stream"],
    "repeating": {"kind": "gcil", "experiences": 4},
    "rotated": {"kind": "domain-incremental", "transform": "rotation", "experiences": 3},
}


def scenario(stream):
    return Scenario.load({"data": "digits", "stream": STREAMS[stream], "strategy": "finetune"})


@pytest.mark.parametrize("stream", ["class-incremental", "blurry", "repeating"])
def test_an_experience_has_the_planned_samples_in_their_order(stream):
    made = scenario(stream)
    experiences, train = Experiences(made), made.source.load().train
    assert len(experiences) == len(made.plan)
    for index, experience in enumerate(experiences):
        planned = torch.from_numpy(made.plan.experience(index).copy())
        x, y = zip(*experience, strict=True)
        assert torch.equal(torch.stack(x), train.x[planned])
        assert torch.equal(experiences.labels[torch.tensor(y)], train.y[planned])


def test_ids_count_classes_as_the_stream_exposes_them():
    seen, experiences = 0, Experiences(BLURRY)
    for experience in experiences:
        assert experience.new_classes == tuple(range(seen, seen + len(experience.new_classes)))
        assert {*experience.targets} == {*experience.classes}
        seen = experience.seen_classes
    assert seen == len(experiences.labels)


def test_a_loader_gets_whole_batches_through_the_transform():
    experience = Experiences(BLURRY, transform=lambda x: x.float() / 255)[1]
    x, y = next(iter(DataLoader(experience, batch_size=8)))
    assert torch.equal(x, experience.samples.x[:8].float() / 255)
    assert y.tolist() == experience.targets[:8]


def test_task_sets_are_iterated_as_those_of_continuum():
    seen = [{t for _, _, t in taskset} for taskset in TaskSets(BLURRY)]
    assert seen == [{0}, {1}, {2}, {3}]


def test_test_groups_have_every_test_sample_of_exposed_classes_once():
    made = scenario("blurry")
    groups = Experiences(made, "test")
    for group, experience in zip(groups, Experiences(made), strict=True):
        assert {*group.targets} == {*experience.new_classes}
    delivered = made.labels.train[made.plan.indices]
    assert sum(map(len, groups)) == np.isin(made.labels.test, delivered).sum()


def test_a_rotated_experience_is_tested_under_its_own_rotation():
    made = scenario("rotated")
    groups = Experiences(made, "test")
    plain, turned = groups[0].samples.x, groups[1].samples.x
    quarter = {t["degrees"] % 360 for t in made.plan.transforms}
    assert len(quarter) == 3
    assert [len(group) for group in groups] == [len(made.labels.test)] * 3
    assert not torch.equal(plain, turned)
    assert groups[0].targets == groups[1].targets


def test_what_is_asked_for_out_of_range_or_by_slice_is_as_of_a_list():
    experiences = Experiences(BLURRY)
    assert [e.index for e in experiences[1:3]] == [1, 2]
    assert experiences[-1].index == 3
    with pytest.raises(IndexError):
        experiences[4]
    assert experiences[0][-1][1] == experiences[0].targets[-1]
