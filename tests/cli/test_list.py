"""`list` names everything that a scenario can say, in text and as strict JSON."""

import dataclasses
import inspect
import json

import pytest

from cl_engine.cli.app import _status
from cl_engine.kinds.registry import PACKAGES, kinds
from cl_engine.scenarios import MODIFIERS, REDUCTIONS
from cl_engine.strategies.rehearsal.replay import Replay
from cl_engine.terms.training import Training


def strict(text):
    """Parse JSON as the standard has it, where Python would also take NaN and Infinity."""

    def refuse(constant):
        raise AssertionError(constant)

    return json.loads(text, parse_constant=refuse)


@pytest.fixture
def listed(monkeypatch, capsys):
    def command(*arguments):
        monkeypatch.setattr("sys.argv", ["cl-engine", "list", *arguments])
        assert _status() == 0
        return capsys.readouterr().out

    return command


def options(entries, name):
    (entry,) = (e for e in entries if e["name"] == name)
    return {option["name"]: option for option in entry["options"]}


def test_json_has_every_kind_modifier_and_section(listed):
    found = strict(listed("--json"))
    for package in PACKAGES:
        assert {e["name"] for e in found[package]} - {"(every kind)"} == {*kinds(package)}
    assert [e["name"] for e in found["modifiers"]] == [*MODIFIERS, *REDUCTIONS]
    assert [e["name"] for e in found["sections"]] == ["memory", "training", "evaluate", "service", "memory.budget"]
    assert [*options(found["sections"], "training")] == [field.name for field in dataclasses.fields(Training)]
    assert {"ratio", "profile"} <= {*options(found["modifiers"], "imbalance")}
    assert {"budget", "policy"} <= {*options(found["sections"], "memory")}
    assert {"aligned_to", "exemplars"} <= {*options(found["sections"], "memory.budget")}


def test_recipes_are_listed_with_what_they_are(listed):
    found = {entry["name"]: entry["description"] for entry in strict(listed("recipes", "--json"))["recipes"]}
    assert found["memo"].startswith("MEMO on CIFAR-100 as its released code trains it")
    assert "memo-survey" in found


def test_a_default_in_json_is_the_default_itself(listed):
    found = strict(listed("--json"))
    replay = options(found["strategies"], "replay")
    parameters = inspect.signature(Replay).parameters
    assert {name: option["default"] for name, option in replay.items()} == {
        n: p.default for n, p in parameters.items()
    }
    assert replay["total"]["aliases"] == ["memory_size"]
    training = options(found["sections"], "training")
    for field in dataclasses.fields(Training):
        value = training[field.name]["default"]
        assert (type(value), value) == (type(field.default), field.default)
    path = options(found["data"], "npz")["path"]
    assert path["required"] is True
    assert "default" not in path
    whole = [o for entries in found.values() for e in entries for o in e.get("options", [])]
    assert all(("default" in o) != o.get("required", False) for o in whole)
    assert all(o["allowed"] and o["description"] for o in whole)


def test_the_text_names_the_backbones_once(listed):
    text = listed()
    assert text.count("resnet26-bottleneck") == 1
    assert "      backbone = mlp  (a backbone: see backbones)  " in text
    assert "      codec = raw  (a codec: see codecs)  " in text
    assert "      total or memory_size = null  (" in text
    assert "      nesterov = false  (true or false)  " in text
    assert "      path = required  (a text)  " in text
    assert listed("modifiers").splitlines()[0] == "modifiers"


def test_a_wrong_backbone_is_still_told_all_of_them(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["cl-engine", "check", "quickstart", "--set", "strategy.backbone=vgg"])
    assert _status() == 2
    assert "resnet26-bottleneck" in capsys.readouterr().err


def test_a_name_lists_that_kind_alone_under_whatever_it_is_a_kind_of(listed):
    found = strict(listed("memo", "--json"))
    assert {heading: [entry["name"] for entry in entries] for heading, entries in found.items()} == {
        "strategies": ["memo"],
        "recipes": ["memo"],
    }
    assert listed("replay").startswith("strategies\n  replay: ")


@pytest.mark.parametrize(("name", "meant"), [("strategy", "strategies"), ("iCaRL", "icarl")])
def test_a_name_that_nothing_has_is_answered_with_the_nearest_that_something_has(name, meant, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["cl-engine", "list", name])
    assert _status() == 2
    assert f"there is nothing called {name!r}, did you mean {meant!r}?" in capsys.readouterr().err
