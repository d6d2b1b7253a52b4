"""Exemplar memory under budgets: never over, never short, the same bytes in ledger, file and memory."""

import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import nn

from cl_engine.data.samples import Samples
from cl_engine.memory.budget import Budget, MemoryOptions
from cl_engine.memory.codecs.codec import build_codec
from cl_engine.memory.exemplars import Exemplars
from cl_engine.memory.exemplars.exemplars import COUNTING
from cl_engine.memory.exemplars.quota import Limits
from cl_engine.memory.ledger import held_bytes, ledger

SELECTIONS = ["random", "reservoir", "ring", "herding", "nearest-mean", "class-balanced"]
IMAGE_CODECS = [
    "raw",
    "jpeg",
    {"kind": "jpeg", "quality": 10},
    "downsample",
    {"kind": "downsample", "factor": 3, "upsampling": "nearest"},
    "tests.run_length:RunLength",
]
FEATURE_CODECS = [
    "raw",
    "features",
    {"kind": "features", "dtype": "float16"},
    {"kind": "features", "dtype": "int8"},
]


def flat(x):
    return x.flatten(1).float()


def draw_samples(generator, y, shape):
    """Images whose encoded sizes differ widely (from one colour to noise), or features."""
    if len(shape) == 1:
        return Samples(torch.randn(len(y), *shape, generator=generator), y)
    roughness = torch.rand(len(y), 1, 1, 1, generator=generator) ** 3 * 128
    noise = torch.randn(len(y), *shape, generator=generator)
    return Samples((128 + noise * roughness).clamp(0, 255).to(torch.uint8), y)


class Model(nn.Module):
    """Something that is held beside the exemplars and grows with the classes."""

    def __init__(self, memory):
        super().__init__()
        self.memory = memory

    def grow(self, classes):
        self.memory.grow(classes)
        self.weight = nn.Parameter(torch.zeros(classes, 3))


@st.composite
def configurations(draw):
    shape = draw(st.sampled_from([(1, 8, 8), (3, 5, 7), (1, 12, 9), (6,), (40,)]))
    selection = draw(st.sampled_from(SELECTIONS))
    codecs = FEATURE_CODECS if len(shape) == 1 else IMAGE_CODECS
    if shape[0] * shape[-1] > 12 * 9:
        codecs = codecs[:-1]
    by_class = selection != "reservoir"
    sample = math.prod(shape) * (1 if len(shape) == 3 else 4)
    bytes_ = st.integers(sample + 4, 60 * (sample + 20))
    budget = draw(st.none() | bytes_ | st.integers(1, 40).map("{} exemplars".format))
    updates = st.lists(st.integers(0, 4), min_size=0, max_size=25)
    return {
        "shape": shape,
        "selection": selection,
        "codec": draw(st.sampled_from(codecs)),
        "budget": budget,
        "policy": draw(st.sampled_from(["full", "paper"])),
        "total": draw(st.none() | st.integers(1, 40)),
        "per_class": draw(st.none() | st.integers(1, 9)) if by_class else None,
        "quota": draw(st.sampled_from(["even", "papers"])) if by_class else "even",
        "updates": draw(st.lists(updates, min_size=1, max_size=5)),
        "seed": draw(st.integers(0, 10**6)),
    }


def dealt(available, slots):
    """Deal slots in turns; None for as many as there are."""
    result = [0] * len(available)
    while result != available and (slots is None or sum(result) < slots):
        for c, most in enumerate(available):
            if result[c] < most and (slots is None or sum(result) < slots):
                result[c] += 1
    return result


def check_counts(config, memory, room, candidates, classes):
    """Compare what is held with what the limits leave, worked out by hand.

    ``candidates`` are bytes per candidate sample of each class, everything that is counted included.
    """
    names = sorted(candidates)
    if config["selection"] == "reservoir":
        held, available = [len(memory)], [sum(map(len, candidates.values()))]
        costs = [sorted(c for n in names for c in candidates[n])]
    else:
        held, available = [int((memory.y == c).sum()) for c in names], [len(candidates[c]) for c in names]
        costs = [candidates[c] for c in names]
    most = [min(a, config["per_class"] or a) for a in available]
    total, papers = config["total"], config["quota"] == "papers"
    if not memory.sizes_vary:
        if room is not None and any(available):
            fits = room.bytes // max(map(max, filter(None, costs)))
            total = fits if total is None else min(fits, total)
        if papers:
            assert held == [m if total is None else min(m, total // classes) for m in most]
        else:
            assert held == dealt(most, total)
        return
    allowed = [m if total is None else min(m, total // classes) for m in most] if papers else dealt(most, total)
    assert all(h <= a for h, a in zip(held, allowed, strict=True))
    if room is None:
        assert held == allowed
        return
    encoded = memory.encoded().sizes + room.beside(offsets=True)
    for c, (h, a) in enumerate(zip(held, allowed, strict=True)):
        mine = encoded if config["selection"] == "reservoir" else encoded[memory.y == names[c]]
        limit, used = (room.bytes // classes, mine.sum()) if papers else (room.bytes, encoded.sum())
        # The next candidate of the class did not fit, so a class is short of one at most.
        assert h == a or limit - int(used) < max(costs[c])


@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(configurations())
def test_no_boundary_is_over_its_budget_nor_short_of_it(config):
    generator = torch.Generator().manual_seed(config["seed"])
    codec = build_codec(config["codec"], frozen=True)
    model = Model(Exemplars(config["selection"], config["shape"], codec))
    raw = math.prod(config["shape"]) * (1 if len(config["shape"]) == 3 else 4)
    budget = Budget.from_options(MemoryOptions(config["budget"], config["policy"]), raw)
    classes = 0
    for index, labels in enumerate(config["updates"]):
        memory = model.memory
        new = draw_samples(generator, torch.tensor(labels, dtype=torch.int64), config["shape"])
        classes = max([classes, *(c + 1 for c in labels)])
        model.grow(classes)
        room = None if budget is None else budget.room(ledger(model))
        beside = room.beside(offsets=memory.sizes_vary) if room else 0
        candidates = {}
        sizes = torch.cat([memory.encoded().sizes, codec.encode(new.x).sizes]).tolist()
        for c, size in zip([*memory.y.tolist(), *labels], sizes, strict=True):
            candidates.setdefault(c, []).append(size + beside)
        before = {bytes(memory.encoded().take(torch.tensor([i])).flat.tolist()) for i in range(len(memory))}
        fresh = {bytes(codec.encode(new.x[i : i + 1]).flat.tolist()) for i in range(len(new))}
        limits = Limits(config["total"], config["per_class"], room, config["quota"], max(classes, 1))
        memory.update(new, limits, generator, flat)
        if room is not None and room.bytes:
            budget.enforce(ledger(model), {}, index)
        elif room is not None:
            assert len(memory) == 0  # the model alone fills the budget, or more
        check_counts(config, memory, room, candidates, max(classes, 1))
        now = [bytes(memory.encoded().take(torch.tensor([i])).flat.tolist()) for i in range(len(memory))]
        assert set(now) <= before | fresh  # exemplars are never written anew
        assert memory.samples().x.shape == (len(memory), *config["shape"])
        if config["selection"] not in COUNTING:
            assert memory.y.tolist() == sorted(memory.y.tolist())


@pytest.mark.parametrize("selection", SELECTIONS)
def test_no_sample_is_held_twice(selection):
    generator = torch.Generator().manual_seed(0)
    samples = draw_samples(generator, torch.randint(0, 3, (90,), generator=generator), (5,))
    memory = Exemplars(selection, (5,), build_codec("raw", frozen=False))
    memory.grow(3)
    for part in samples.batches(8):
        memory.update(part, Limits(total=25), generator, flat)
        assert len(memory.x.unique(dim=0)) == len(memory) == min(25, len(memory.x))


@pytest.mark.parametrize("codec", ["raw", "jpeg", "downsample"])
def test_ledger_file_and_memory_are_one_number_and_the_state_goes_there_and_back(codec, tmp_path):
    generator = torch.Generator().manual_seed(0)
    samples = draw_samples(generator, torch.arange(4).repeat_interleave(20), (3, 16, 16))
    memory = Exemplars("herding", (3, 16, 16), build_codec(codec, frozen=False))
    memory.update(samples, Limits(total=30), generator, flat)
    save_file(memory.state_dict(), tmp_path / "a.safetensors")
    again = Exemplars("herding", (3, 16, 16), build_codec(codec, frozen=False))
    again.load_state_dict(load_file(tmp_path / "a.safetensors"))
    assert torch.equal(again.samples().x, memory.samples().x)
    assert torch.equal(again.samples().y, memory.samples().y)
    entries = {e.kind: e for e in ledger(again)}
    on_disk = sum(t.numel() * t.element_size() for t in load_file(tmp_path / "a.safetensors").values())
    assert held_bytes(entries.values()) == on_disk
    assert entries["exemplars"].bytes == int(memory.encoded().sizes.sum())
    assert entries["labels"].bytes == 30 * 4
    assert ("offsets" in entries) == (codec == "jpeg")
    if codec == "jpeg":
        assert entries["offsets"].bytes == 30 * 4
    for other in (memory, again):
        other.update(samples[:7], Limits(total=12), torch.Generator().manual_seed(1), flat)
    assert torch.equal(again.x, memory.x)


@pytest.mark.parametrize("quota", ["even", "papers"])
def test_a_class_with_fewer_samples_than_its_quota(quota):
    """8 slots, 3 classes, one of them with a single sample: 2 of the slots are wasted by the papers' quota alone."""
    y = torch.tensor([0] + [1] * 9 + [2] * 9)
    memory = Exemplars("herding", (4,), build_codec("raw", frozen=False))
    samples = Samples(torch.randn(len(y), 4, generator=torch.Generator().manual_seed(0)), y)
    memory.update(samples, Limits(total=8, quota=quota, classes=3), torch.Generator(), flat)
    assert torch.bincount(memory.y).tolist() == ([1, 4, 3] if quota == "even" else [1, 2, 2])


def test_exemplars_shrink_to_the_prefix_when_classes_come():
    generator = torch.Generator().manual_seed(0)
    memory = Exemplars("herding", (4,), build_codec("raw", frozen=False))
    memory.update(draw_samples(generator, torch.zeros(50).long(), (4,)), Limits(total=20), generator, flat)
    before = memory.x.clone()
    memory.update(draw_samples(generator, torch.ones(50).long(), (4,)), Limits(total=20), generator, flat)
    assert torch.equal(memory.x[:10], before[:10])


def test_a_budget_in_exemplars_means_raw_bytes_so_a_smaller_codec_holds_more():
    generator = torch.Generator().manual_seed(0)
    samples = draw_samples(generator, torch.zeros(400).long(), (1, 8, 8))
    room = Budget.from_options(MemoryOptions("50 exemplars", "full"), 64).room([])
    assert room.bytes == 50 * (64 + 4)
    held = {}
    for codec in ("raw", "downsample"):
        memory = Exemplars("random", (1, 8, 8), build_codec(codec, frozen=False))
        memory.grow(1)
        memory.update(samples, Limits(room=room), generator, flat)
        held[codec] = len(memory)
    assert held == {"raw": 50, "downsample": 50 * 68 // (16 + 4)}
