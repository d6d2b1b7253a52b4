import math

import pytest
import torch

from cl_engine.data.samples import Samples
from cl_engine.memory.budget import Room
from cl_engine.memory.codecs.codec import build_codec
from cl_engine.memory.exemplars import Column, Exemplars, Limits

RUNS = 3000


def stream(labels):
    """Samples whose one feature is their number in the stream."""
    y = torch.tensor(labels)
    return Samples(torch.arange(len(y), dtype=torch.float32)[:, None], y)


def kept(selection, labels, limits, size, seed, columns=None):
    """Return the memory after a stream in micro-batches of ``size``; ``limits`` maps samples seen to limits."""
    samples, memory = stream(labels), Exemplars(selection, (1,), columns=columns)
    memory.grow(max(labels) + 1)
    generator = torch.Generator().manual_seed(seed)
    for start in range(0, len(labels), size):
        memory.update(samples[start : start + size], limits(start), generator, lambda x: x)
    return memory


def assert_uniform(times, expected):
    """Each count of RUNS independent draws lies within 4.5 standard deviations of its expectation."""
    spread = math.sqrt(RUNS * expected * (1 - expected))
    assert (times - RUNS * expected).abs().max() < 4.5 * spread


def inclusions(selection, labels, limits, size):
    times, pairs = torch.zeros(len(labels)), torch.zeros(len(labels), len(labels))
    for seed in range(RUNS):
        chosen = torch.zeros(len(labels))
        chosen[kept(selection, labels, limits, size, seed).samples().x.long().flatten()] = 1
        times += chosen
        pairs += chosen[:, None] * chosen
    return times, pairs


@pytest.mark.parametrize("size", [1, 3])
def test_a_reservoir_filled_a_few_at_a_time_holds_every_sample_and_pair_as_often_as_any_other(size):
    times, pairs = inclusions("reservoir", [0] * 18, lambda start: Limits(6), size)
    assert_uniform(times, 6 / 18)
    assert_uniform(pairs[~torch.eye(18, dtype=torch.bool)], 6 * 5 / (18 * 17))


def test_a_class_that_shrinks_for_later_ones_stays_a_uniform_sample_of_its_own():
    labels = [0] * 9 + [1] * 9 + [0, 1, 2] * 4
    times, _ = inclusions("class-balanced", labels, lambda start: Limits(9), 2)
    for label in range(3):
        mine = torch.tensor(labels) == label
        assert_uniform(times[mine], 3 / int(mine.sum()))


def test_a_memory_that_shrinks_on_the_way_stays_a_uniform_sample():
    times, _ = inclusions("reservoir", [0] * 15, lambda start: Limits(6 if start < 9 else 4), 1)
    assert_uniform(times, 4 / 15)


@pytest.mark.parametrize("selection", ["reservoir", "class-balanced", "random"])
def test_labels_and_columns_stay_with_their_samples(selection):
    labels = [n % 3 for n in range(60)]
    samples, memory = stream(labels), Exemplars(selection, (1,), columns={"twice": Column("logits", (1,))})
    memory.grow(3)
    samples = samples.with_columns(twice=2 * samples.x)
    generator = torch.Generator().manual_seed(0)
    for start in range(0, 60, 4):
        memory.update(samples[start : start + 4], Limits(12), generator, lambda x: x)
    held = memory.samples()
    assert len(held) == len(held.x.unique()) == 12
    assert torch.equal(held.y, held.x.long().flatten() % 3)
    assert torch.equal(held.columns["twice"], 2 * held.x)


def test_what_is_held_is_no_larger_than_what_is_charged_once_it_is_written():
    memory = kept("reservoir", [0] * 50, lambda start: Limits(20), 3, seed=0)
    assert {name: len(tensor) for name, tensor in memory.state_dict().items()} == {"x": 20, "y": 20, "seen": 1}


@pytest.mark.parametrize("way", ["replace", "load"])
def test_a_memory_whose_exemplars_were_exchanged_goes_on_from_those_that_it_holds(way):
    labels = [n % 2 for n in range(120)]
    memory, samples = kept("random", labels[:60], lambda start: Limits(8), 3, seed=0), stream(labels)
    fewer = torch.arange(8).flip(0) if way == "load" else torch.arange(5)
    if way == "replace":
        memory.replace(memory.encoded().take(fewer), memory.y[fewer].long())
    else:
        state = memory.state_dict()
        memory.load_state_dict({**state, "x": state["x"][fewer], "y": state["y"][fewer]})
    generator = torch.Generator().manual_seed(1)
    for number in range(60, 120):
        memory.update(samples[number : number + 1], Limits(8), generator, lambda x: x)
    held = memory.samples()
    assert held.y.bincount().tolist() == [4, 4]
    assert len(held.x.unique()) == 8
    assert torch.equal(held.x.long().flatten() % 2, held.y)


def test_samples_that_were_asked_for_stay_as_they_are_while_the_memory_goes_on():
    memory, samples = kept("reservoir", [0, 1] * 30, lambda start: Limits(10), 3, seed=0), stream([0, 1] * 60)
    asked = memory.samples()
    x = asked.x.clone()
    for number in range(60, 120):
        memory.update(samples[number : number + 1], Limits(10), torch.Generator().manual_seed(number), lambda x: x)
    assert torch.equal(asked.x, x)
    assert not torch.equal(memory.samples().x, x)


@pytest.mark.parametrize("codec", ["raw", "jpeg"])
def test_a_budget_that_counts_labels_alone_is_filled_with_labels(codec):
    x = torch.randint(0, 256, (400, 1, 8, 8), dtype=torch.uint8)
    memory = Exemplars("random", (1, 8, 8), build_codec(codec, frozen=False))
    memory.grow(2)
    room = Room(1000, ("labels",))
    memory.update(
        Samples(x, torch.arange(400) % 2), Limits(room=room), torch.Generator().manual_seed(0), lambda x: x
    )
    assert len(memory) == 1000 // 4
