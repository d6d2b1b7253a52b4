"""Replay with every selection and codec: its contract, its budgets, what it refuses."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cl_engine
from cl_engine.config.scenario import ConfigError, Scenario
from cl_engine.data.samples import Samples
from cl_engine.memory.budget import Budget, MemoryOptions
from cl_engine.memory.codecs import KINDS
from cl_engine.running.learning import learn
from cl_engine.scenarios.exposure import Exposure
from cl_engine.strategies.rebuilding import Rebuilder
from cl_engine.strategies.rehearsal.replay import Replay
from cl_engine.terms.terms import Terms
from cl_engine.testing import check_strategy
from cl_engine.training.loop import Training

SELECTIONS = ["random", "reservoir", "ring", "herding", "nearest-mean", "class-balanced"]


def backbone_for(codec):
    return "identity" if codec == "features" else {"kind": "mlp", "width": 4, "depth": 1}


@pytest.mark.parametrize("codec", KINDS)
@pytest.mark.parametrize("selection", SELECTIONS)
def test_the_contract_is_kept(selection, codec):
    check_strategy(Replay, selection=selection, codec=codec, total=20, backbone=backbone_for(codec))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    codec=st.sampled_from(list(KINDS)),
    selection=st.sampled_from(SELECTIONS),
    budget=st.integers(3000, 30_000) | st.integers(1, 60).map("{} exemplars".format),
    policy=st.sampled_from(["full", "paper"]),
    quota=st.sampled_from(["even", "papers"]),
    micro=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_every_boundary_of_every_stream_is_within_its_budget(codec, selection, budget, policy, quota, micro, seed):
    if selection == "reservoir":
        quota = "even"
    options = {"codec": codec, "selection": selection, "quota": quota, "backbone": backbone_for(codec)}
    generator = torch.Generator().manual_seed(seed)
    steps = [(0, 1), (1, 2), (3,), (0, 3)] * (4 if micro else 1)
    exposures, seen = [], 0
    for classes in steps:
        new = tuple(c for c in classes if c >= seen)
        seen += len(new)
        exposures.append(Exposure(classes, new, seen))
    limit = Budget.from_options(MemoryOptions(budget, policy), 64)
    terms = Terms(tuple(exposures), (1, 8, 8), Training(epochs=1), seed=seed, budget=limit)
    rebuilder = Rebuilder(Replay, options, terms)
    held = None
    for index, classes in enumerate(steps):
        n = 3 if micro else 30
        y = torch.tensor(classes)[torch.randint(0, len(classes), (n,), generator=generator)]
        x = torch.randint(0, 256, (n, 1, 8, 8), generator=generator).to(torch.uint8)
        held = learn(rebuilder, index, held, Samples(x, y)).held
        limit.enforce(held.entries, {}, index)


FIVE = {"data": "digits", "training": {"epochs": 1}}


@pytest.mark.parametrize("policy", ["full", "paper"])
@pytest.mark.parametrize("exemplars", ["fill", "fixed"])
@pytest.mark.parametrize("codec", ["jpeg", "downsample"])
def test_a_byte_budget_is_used_whatever_the_codec(codec, exemplars, policy, tmp_path):
    memory = {"budget": "130 KiB", "policy": policy, "exemplars": exemplars}
    record = cl_engine.run({**FIVE, "strategy": {"kind": "replay", "codec": codec}, "memory": memory}, out=tmp_path)
    limit = record.memory["budget_bytes"]
    held = record.memory["held_bytes" if policy == "full" else "paper_bytes"]
    assert all(h <= limit for h in held)
    assert limit - held[-1] < 500 or codec == "downsample"  # one small file; all small images fit
    kinds = {e["kind"]: e["bytes"] for e in record.memory["entries"][-1]}
    assert ("offsets" in kinds) == (codec == "jpeg")
    assert record.memory["training_peak_bytes"] > 0


def test_quarter_of_the_pixels_is_four_times_the_exemplars():
    counts = {}
    for codec in ("raw", "downsample"):
        scenario = {
            **FIVE,
            "strategy": {"kind": "replay", "codec": codec},
            "memory": {"budget": "60 exemplars", "policy": "paper"},
        }
        entries = cl_engine.run(scenario).memory["entries"][-1]
        counts[codec] = next(e["shape"][0] for e in entries if e["kind"] == "exemplars")
    assert counts == {"raw": 60, "downsample": 240}


def test_features_of_a_frozen_backbone_are_replayed():
    strategy = {"kind": "replay", "backbone": "identity", "total": 100}
    last = {}
    for codec in ("raw", {"kind": "features", "dtype": "int8"}):
        record = cl_engine.run(
            {"data": "digits", "strategy": {**strategy, "codec": codec}, "training": {"epochs": 10}}
        )
        last[str(codec)] = record.metrics["last_accuracy"]
    raw, features = last.values()
    assert raw > 0.6
    assert abs(raw - features) < 0.05


@pytest.mark.parametrize(
    ("strategy", "data", "expected"),
    [
        ({"codec": "features"}, "digits", "strategy.codec: features stores features, but this strategy trains"),
        ({"codec": "jpeg"}, "gaussian", "strategy.codec: jpeg cannot take samples of shape [32]; allowed: images"),
        ({"codec": {"kind": "downsample", "factor": 9}}, "digits", "strategy.codec: downsample by 9 cannot take"),
        (
            {"codec": {"kind": "jpeg", "quality": 96}},
            "digits",
            "strategy.codec.quality: got 96; allowed: an integer >= 1",
        ),
        ({"codec": "jpg"}, "digits", "strategy.codec.kind: there is no codec 'jpg', did you mean 'jpeg'?"),
        ({"selection": "reservoir", "quota": "papers"}, "digits", "strategy.quota: a reservoir has no classes"),
        (
            {"selection": "herd"},
            "digits",
            "strategy.selection: got 'herd', did you mean 'herding'?; allowed: random, reservoir, ring, herding",
        ),
    ],
)
def test_what_cannot_work_is_one_line(strategy, data, expected):
    with pytest.raises(ConfigError) as raised:
        Scenario.load({"data": data, "strategy": {"kind": "replay", **strategy}})
    assert expected in str(raised.value)


def test_codecs_are_listed(capsys):
    from typer.testing import CliRunner

    from cl_engine.cli.app import app

    shown = CliRunner().invoke(app, ["list", "codecs"]).stdout
    assert all(f"  {kind}: " in shown for kind in KINDS)
