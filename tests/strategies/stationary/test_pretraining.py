"""Models that a run trains before it begins: the same as those trained by hand, once, and on no class of a gallery."""

import re
from pathlib import Path

import pytest
import yaml

import cl_engine
from cl_engine.config.scenario import Scenario
from cl_engine.data import cache
from cl_engine.running.planner import plan_memory
from tests.stopping import StopAfter

GAUSSIAN = {"kind": "gaussian", "classes": 30, "features": 16, "samples_per_class": 20, "separation": 6.0}
STREAM = {"kind": "subset", "of": GAUSSIAN, "classes": [*range(8)]}
GALLERY = {"data": {"kind": "subset", "of": GAUSSIAN, "classes": [8, 9, 10]}}
FEW, MORE = {"data": GAUSSIAN, "classes": [*range(20, 24)]}, {"data": GAUSSIAN, "classes": [*range(20, 28)]}
WIDE = {"kind": "mlp", "width": 24}


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.PLACE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def scenario(kind="hoc", replace=({"at": 1, "pretrain": FEW}, {"at": 3, "pretrain": MORE}), **keys):
    simplex = {"reserved": 32, "vertices": "last"} if kind in ("hoc", "cl2r") else {}
    return {
        "name": "replaced",
        "data": STREAM,
        "stream": {"kind": "class-incremental", "step": 2},
        "strategy": {"kind": kind, "backbone": {"kind": "mlp", "width": 16}, "total": 16, **simplex},
        "training": {"epochs": 2},
        "replace": [*replace],
        "evaluate": {"compatibility": {"gallery": GALLERY}},
        **keys,
    }


def test_the_model_is_that_of_a_run_by_hand_and_is_trained_once(tmp_path, capfd):
    run = cl_engine.run(scenario())
    assert capfd.readouterr().err.count("trains the model") == 2
    assert cl_engine.run(scenario(), training={"epochs": 2}).metrics == run.metrics
    assert "trains" not in capfd.readouterr().err
    entries = []
    for model in Scenario.load(scenario()).received:
        by_hand = {
            "data": {"kind": "subset", "of": GAUSSIAN, "classes": model.pretrain["classes"]},
            "stream": {
                "kind": "class-incremental",
                "step": len(model.pretrain["classes"]),
                "class_order": "natural",
            },
            "strategy": {**scenario()["strategy"], "vertices": "first"},
            "training": {"epochs": 2},
            "seed": model.scenario["seed"],
        }
        made = cl_engine.run(by_hand, out=tmp_path).directory / "checkpoint.safetensors"
        entries.append({"at": model.at + 1, "model": str(made)})
    named = cl_engine.run(scenario(replace=entries))
    assert (named.metrics, named.memory) == (run.metrics, run.memory)
    assert named.to_dict()["compatibility"] == run.to_dict()["compatibility"]


@pytest.mark.parametrize("kind", ["hoc", "cl2r", "er", "bct", "relative"])
def test_the_plan_is_the_ledger_before_the_models_are_trained(kind):
    asked = scenario(kind, [{"at": 2, "pretrain": FEW}, {"at": 3, "pretrain": MORE, "backbone": WIDE}])
    plan = plan_memory(Scenario.load(asked))["experiences"]
    run = cl_engine.run(asked)
    assert [e["entries"] for e in plan] == run.memory["entries"]
    peak = {name: max(e["training"].get(name, 0) for e in plan) for e in plan for name in e["training"]}
    assert peak == run.memory["training_peak"]
    assert ["received model" in e["training"] for e in plan] == [False, True, True, False]


def test_a_stopped_run_ends_in_the_same_bits_though_the_cache_was_cleared(tmp_path):
    whole = cl_engine.run(scenario(), out=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        cl_engine.run(scenario(), out=tmp_path / "stopped", reporter=StopAfter(1))
    for entry in cache.entries():
        assert entry.about["complete"]
        assert cache.clear(entry.key)
    resumed = cl_engine.run(scenario(), out=tmp_path / "stopped", resume=True)
    assert resumed.to_dict()["compatibility"] == whole.to_dict()["compatibility"]
    one, other = ((run.directory / "checkpoint.safetensors").read_bytes() for run in (whole, resumed))
    assert one == other
    assert Scenario.load(whole.to_dict()["config"]).id == whole.to_dict()["id"]


def test_other_seeds_draw_other_models_and_two_of_one_run_differ():
    first, second = (
        m.model for m in Scenario.load(scenario(replace=[{"at": n, "pretrain": FEW} for n in (1, 2)])).received
    )
    (other,) = (m.model for m in Scenario.load(scenario(replace=[{"at": 1, "pretrain": FEW}], seed=1)).received)
    assert len({first, second, other}) == 3


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"pretrain": {**FEW, "classes": [10, 11]}},
            r"replace\.0\.pretrain\.classes: class 10 is one of the gallery",
        ),
        ({"pretrain": {}}, r"replace\.0\.pretrain\.classes: missing; allowed: classes of the scenario's data"),
        ({}, r"replace\.0\.model: given with pretrain, or neither is; allowed: one of the two"),
        ({"pretrain": FEW, "model": __file__}, r"replace\.0\.model: given with pretrain"),
        ({"pretrain": {**FEW, "classes": [40]}}, r"replace\.0\.pretrain\..*: the data has no class 40"),
        ({"pretrain": {**FEW, "epochs": 0}}, r"replace\.0\.pretrain\.epochs: got 0"),
        ({"pretrain": {**FEW, "classes": [*range(11, 30)]}, "backbone": WIDE}, None),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is(entry, message, kept):
    asked = scenario(replace=[{"at": 2, **entry}])
    if message is None:
        assert Scenario.load(asked).received[0].backbone["width"] == 24
    else:
        with pytest.raises(cl_engine.ConfigError, match=message):
            Scenario.load(asked)
    assert not kept.exists()


def test_the_scenario_that_the_documentation_shows_runs():
    page = Path(__file__).parents[3] / "docs" / "compatibility.md"
    blocks = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    (block,) = (block for block in blocks if "pretrain:" in block)
    found = cl_engine.run({**yaml.safe_load(block), "training": {"epochs": 1}}).to_dict()
    assert found["compatibility"]["classes"] == [4, 5]
    assert found["memory"]["training_peak"]["received model"] > 0
