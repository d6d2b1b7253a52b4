"""What a reduction leaves of a stream comes when it would have come; nothing else is drawn anew."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_engine.kinds.problems import OptionError
from cl_engine.scenarios.composition import compose
from cl_engine.scenarios.families.class_incremental import class_incremental
from cl_engine.scenarios.families.data_incremental import data_incremental
from cl_engine.scenarios.modifiers.shard import shard
from cl_engine.scenarios.modifiers.without import without

TARGETS = np.repeat([3, 17, 1000], [100, 80, 60])


def stream(reductions=None, seed=0, modifiers=None):
    return compose(TARGETS, data_incremental, {"experiences": 4}, modifiers or {}, seed, reductions=reductions)


@given(st.integers(1, 7), st.integers(0, 50))
def test_shards_divide_every_experience_evenly_and_make_up_the_stream(of, seed):
    whole = stream(seed=seed)
    parts = [stream({"shard": {"of": of, "parts": [k]}}, seed) for k in range(of)]
    for t in range(len(whole)):
        together = np.concatenate([part.experience(t) for part in parts])
        assert sorted(together) == sorted(whole.experience(t))
        sizes = [len(part.experience(t)) for part in parts]
        assert max(sizes) - min(sizes) <= 1
    assert stream({"shard": {"of": of, "parts": [*range(of)]}}, seed).fingerprint == whole.fingerprint


def test_what_is_left_keeps_its_order_its_experience_and_its_wrong_labels():
    noisy = {"label_noise": {"rate": 0.3}}
    whole, left = stream(modifiers=noisy), stream({"without": {"classes": [17], "samples": [5, 150]}}, 0, noisy)
    kept = (whole.labels != 17) & ~np.isin(whole.indices, [5, 150])
    assert (left.indices == whole.indices[kept]).all()
    assert (left.labels == whole.labels[kept]).all()
    assert left.sizes.tolist() == [int(part.sum()) for part in np.split(kept, whole.offsets[1:-1])]
    assert left.notes[-1] == f"{(~kept).sum()} of 240 deliveries left out as asked"


def test_an_experience_of_a_class_that_is_left_out_stays_empty_though_empty_ones_are_forbidden():
    plan = compose(TARGETS, class_incremental, {"step": 1}, {}, 0, reductions={"without": {"classes": [17]}})
    assert sorted(plan.sizes.tolist()) == [0, 60, 100]


def test_the_shards_of_a_stream_without_a_class_are_those_of_the_whole_stream_without_it():
    both = {"without": {"classes": [3]}, "shard": {"of": 2, "parts": [1]}}
    one = stream({"shard": {"of": 2, "parts": [1]}})
    assert stream(both).fingerprint == without(TARGETS, one, classes=[3]).fingerprint


@pytest.mark.parametrize(
    ("reduction", "option", "told"),
    [
        ({"without": {"classes": [4]}}, "without.classes", "4 is not in the stream; allowed"),
        ({"without": {"samples": [999]}}, "without.samples", "999 is not in the stream; allowed"),
        ({"without": {"classes": [3, 17, 1000]}}, "without.classes", "no sample of the stream is left; allowed"),
        ({"shard": {"of": 2, "parts": [2]}}, "shard.parts", "allowed: numbers from 0 to 1, each once"),
        ({"shard": {"of": 2, "parts": [1, 1]}}, "shard.parts", "allowed: numbers from 0 to 1, each once"),
        ({"shard": {"of": 999, "parts": [998]}}, "shard.parts", "no sample of the stream is left; allowed"),
    ],
)
def test_what_cannot_be_left_out_names_the_option(reduction, option, told):
    with pytest.raises(OptionError, match=told) as error:
        stream(reduction)
    assert error.value.option == option


def test_nothing_left_out_is_the_plan_itself():
    plan = stream()
    assert without(TARGETS, plan) is plan
    assert shard(TARGETS, plan, of=1, parts=[0]) is plan
    assert dataclasses.replace(plan).fingerprint == plan.fingerprint
