"""The rules that every stream obeys, under every modifier (universal invariants U1 to U12)."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cl_engine.kinds.listing import options
from cl_engine.kinds.problems import OptionError
from cl_engine.kinds.registry import load
from cl_engine.kinds.schema import schema
from cl_engine.kinds.signature import describe
from cl_engine.scenarios import KINDS, MODIFIERS
from cl_engine.scenarios.composition import _load, compose
from cl_engine.scenarios.plan import StreamPlan, exposure_order, targets_digest
from tests.scenarios.labels import label_arrays

FIXED = np.repeat(np.array([3, 17, 1000, 8, 5, 44]), [40, 25, 60, 31, 2, 22])
SEEDS = st.integers(0, 1000)


def _few(n, c):
    return {"base": c - 1, "ways": 1, "shots": 1}


STREAMS = {
    "class-incremental": lambda n, c: {"step": 1},
    "task-incremental": lambda n, c: {"step": 1},
    "domain-incremental": lambda n, c: {"experiences": min(3, n)},
    "domain-incremental split": lambda n, c: {"experiences": min(3, n), "samples": "split"},
    "data-incremental": lambda n, c: {"experiences": min(4, n)},
    "few-shot": _few,
    "linear-decay": lambda n, c: {"tasks": min(2, c), "experiences": min(6, n)},
    "gaussian-schedule": lambda n, c: {"experiences": min(5, n)},
    "blurry": lambda n, c: {"experiences": 2, "blur": 30},
    "i-blurry": lambda n, c: {"experiences": min(3, c)},
    "si-blurry": lambda n, c: {"experiences": min(3, c)},
    "si-blurry published": lambda n, c: {"experiences": min(3, c), "variant": "published"},
    "gcil": lambda n, c: {"experiences": 4, "size": 20, "max_classes": 5},
    "gcil published": lambda n, c: {"experiences": 4, "size": 20, "max_classes": 5, "variant": "published"},
    "repetition-slots": lambda n, c: {"experiences": c, "classes_per_experience": 1},
    "repetition-sampled": lambda n, c: {"experiences": 8, "size": 10, "p": 0.5, "first_parameter": 0.5},
    "gaussian-schedule published": lambda n, c: {
        "variant": "published", "experiences": 20, "steps": 2, "batch": 3, "sigma": 0.3,
    },
}  # fmt: skip
CHANGES = {
    "imbalance": {"ratio": 0.5},
    "drift": {"amplitude": 2.0},
    "sizes": {"alpha": 0.5},
    "label_noise": {"rate": 0.3},
}


def made(stream: str, targets, seed=0, modifiers=None) -> StreamPlan:
    options = STREAMS[stream](len(targets), len(np.unique(targets)))
    family = load("streams", stream.partition(" ")[0])
    return compose(targets, family, options, modifiers or {}, seed, empty="keep")


def check(targets, plan: StreamPlan) -> None:
    assert plan.indices.dtype == np.int64
    assert plan.samples == len(targets)
    assert plan.targets_sha256 == targets_digest(targets)
    experiences = [plan.experience(t) for t in range(len(plan))]
    assert all(len(np.unique(e)) == len(e) for e in experiences)
    if not plan.repeats:
        assert len(np.unique(plan.indices)) == len(plan.indices)
    assert np.isin(plan.indices, np.arange(len(targets))).all()
    assert plan.dropped == 0 or plan.notes  # never silent
    assert plan.transforms is None or len(plan.transforms) == len(plan)
    order = exposure_order(targets, plan).tolist()
    seen: list[int] = []
    for labels in np.split(plan.delivered(targets), plan.offsets[1:-1]):
        new = [label for label in dict.fromkeys(labels.tolist()) if label not in seen]
        if plan.class_order is not None:
            new.sort(key=plan.class_order.tolist().index)
        seen += new
    assert order == seen  # experiences name their classes for good


@pytest.mark.parametrize("stream", STREAMS)
@given(targets=label_arrays(min_classes=2), seed=SEEDS)
@settings(max_examples=30)
def test_every_stream_obeys_the_universal_rules(stream, targets, seed):
    numpy_state, python_state = np.random.get_state()[1].copy(), random.getstate()
    plan = made(stream, targets, seed)
    check(targets, plan)
    assert plan.fingerprint == made(stream, targets, seed).fingerprint
    assert (np.random.get_state()[1] == numpy_state).all()
    assert random.getstate() == python_state


@pytest.mark.parametrize("modifier", CHANGES)
@given(targets=label_arrays(min_classes=2), seed=SEEDS, stream=st.sampled_from(sorted(STREAMS)))
@settings(max_examples=40)
def test_every_modifier_composes_with_every_stream_or_says_why_not(modifier, targets, seed, stream):
    base = made(stream, targets, seed)
    movable = not base.repeats and not base.task_identity
    try:
        plan = made(stream, targets, seed, {modifier: CHANGES[modifier]})
    except OptionError:
        # `drift` and `sizes` need samples that may move, `sizes` one an experience; thinned data can be too few.
        few = len(base.indices) < len(base)
        assert (
            modifier == "imbalance"
            or (modifier in ("drift", "sizes") and not movable)
            or (modifier == "sizes" and few)
        )
        return
    assert movable or modifier not in ("drift", "sizes")
    check(targets, plan)
    assert plan.fingerprint == made(stream, targets, seed, {modifier: CHANGES[modifier]}).fingerprint


@given(targets=label_arrays(min_classes=2), seed=SEEDS, stream=st.sampled_from(sorted(STREAMS)))
@settings(max_examples=40)
def test_all_modifiers_at_once(targets, seed, stream):
    assume(not stream.startswith("task") and not stream.endswith("published") and stream != "domain-incremental")
    try:
        plan = made(stream, targets, seed, CHANGES)
    except OptionError:
        return  # the thinned data is too small for this stream; the message is tested where it is raised
    check(targets, plan)


@pytest.mark.parametrize("stream", STREAMS)
def test_ten_seeds_give_ten_streams(stream):
    assert len({made(stream, FIXED, seed).fingerprint for seed in range(10)}) == 10


@pytest.mark.parametrize("modifier", CHANGES)
def test_ten_seeds_of_a_modifier_give_ten_streams(modifier):
    streams = [made("data-incremental", FIXED, 0, {modifier: {**CHANGES[modifier], "seed": s}}) for s in range(10)]
    assert len({s.fingerprint for s in streams}) == 10


GOLDEN = {
    "class-incremental": "3ad3decbd9de",
    "task-incremental": "3ad3decbd9de",
    "domain-incremental": "66a7b80040ff",
    "domain-incremental split": "9a2543f6492c",
    "data-incremental": "3f4cd1de7186",
    "few-shot": "0c98aafc42cb",
    "linear-decay": "6f80be05b33b",
    "gaussian-schedule": "6f19096d9a57",
    "gaussian-schedule published": "ef844bf77c68",
    "blurry": "1d9a20eb4be4",
    "i-blurry": "68bd8836b2a7",
    "si-blurry": "6fc439409c83",
    "si-blurry published": "d47094f8ed60",
    "gcil": "9ff5e76bcec9",
    "gcil published": "f93bd594014f",
    "repetition-slots": "0c3fb37d6612",
    "repetition-sampled": "d089da2d4005",
    "imbalance": "4a6377b97e65",
    "drift": "3a07e45d5f70",
    "sizes": "e40ad90236c2",
    "label_noise": "09fe869fef3b",
}


def fingerprints() -> dict[str, str]:
    found = {stream: made(stream, FIXED).fingerprint[:12] for stream in STREAMS}
    found |= {m: made("data-incremental", FIXED, 0, {m: o}).fingerprint[:12] for m, o in CHANGES.items()}
    return found


def test_fingerprints_never_change():
    assert fingerprints() == GOLDEN


def test_fingerprints_agree_in_another_process():
    code = f"from {__name__} import fingerprints; print(fingerprints())"
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "7",
        "OMP_NUM_THREADS": "2",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == str(fingerprints())


def test_the_order_of_the_data_is_part_of_the_stream():
    assert made("data-incremental", FIXED).fingerprint != made("data-incremental", FIXED[::-1].copy()).fingerprint


@pytest.mark.parametrize("stream", ["class-incremental", "data-incremental", "linear-decay", "domain-incremental"])
def test_the_order_inside_an_experience_is_uniform(stream):
    targets = np.repeat([0, 1], 5)
    family = load("streams", stream)
    size = {"class-incremental": {"first": 2}, "linear-decay": {"tasks": 1, "experiences": 1}}
    options = size.get(stream, {"experiences": 1})
    places = [int(np.flatnonzero(family(targets, **options, seed=s).experience(0) == 3)[0]) for s in range(2000)]
    expected = 200
    chi_square = float(((np.bincount(places, minlength=10) - expected) ** 2 / expected).sum())
    assert chi_square < 27.9  # 9 degrees of freedom, p = 0.001


@pytest.mark.parametrize("kind", KINDS)
def test_every_stream_declares_its_options(kind):
    family = load("streams", kind)
    assert describe(family).endswith(".")
    assert all(option.description for option in options(family))
    assert "seed" in {option.name for option in options(family)}
    assert schema(family, kind)["properties"]["kind"] == {
        "const": kind,
        "description": describe(family),
    }


@pytest.mark.parametrize("name", MODIFIERS)
def test_every_modifier_declares_its_options(name):
    modifier = _load(MODIFIERS[name])
    assert describe(modifier).endswith(".")
    assert all(option.description for option in options(modifier))
    assert "seed" in {option.name for option in options(modifier)}
