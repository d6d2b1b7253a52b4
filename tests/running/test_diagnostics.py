"""Analyses and probes only look: the run is the same without them, and they are the same however it was run."""

import copy

import pytest
import torch

import cl_engine
from cl_engine.reports.text import finished_runs
from cl_engine.strategies.references.finetune import Finetune
from cl_engine.strategies.strategy import Strategy
from tests.stopping import StopAfter

ALL_PROBES = {"probes": ["linear", "cka", "drift"], "probe_samples": 5}
BLOCKS = ["gradient-norms", "weight-shift"]
SMALL = {"kind": "mlp", "width": 16}
DATA = {"kind": "gaussian", "classes": 6, "features": 8, "samples_per_class": 20}
OFFLINE = {"kind": "class-incremental", "step": 2}
ONLINE = {**OFFLINE, "delivery": "online", "micro_batch": 10}
PERMUTED = {"kind": "domain-incremental", "experiences": 3, "transform": "permutation"}
SAME = ("metrics", "accuracy", "memory", "notes", "stream")


def scenario(strategy, stream=OFFLINE, **keys):
    kind = strategy if isinstance(strategy, dict) else {"kind": strategy, "backbone": SMALL}
    return {"data": DATA, "stream": stream, "strategy": kind, "training": {"epochs": 1}, **keys}


def looked_at(given, branches=True):
    analyses = [*BLOCKS, *(["branch-cka"] if branches else [])]
    return {**given, "analyses": analyses, "evaluate": ALL_PROBES}


def found(record):
    plain = record.to_dict()
    return {key: plain[key] for key in ("analyses", "probes")}


@pytest.mark.parametrize(
    ("given", "branches"),
    [
        (scenario("memo", memory={"budget": "16 KiB"}), True),
        (scenario("der-expandable"), True),
        (scenario("replay", ONLINE), False),
        (scenario("prd"), False),
        (scenario("bic"), False),
    ],
    ids=["memo", "der-expandable", "replay online", "prd", "bic"],
)
def test_a_run_that_is_looked_at_is_the_same_to_the_bit(given, branches, tmp_path):
    plain = cl_engine.run(given, out=tmp_path)
    seen = cl_engine.run(looked_at(given, branches), out=tmp_path)
    assert seen.directory != plain.directory
    held = [(record.directory / "checkpoint.safetensors").read_bytes() for record in (plain, seen)]
    assert held[0] == held[1]
    for key in SAME:
        assert seen.to_dict()[key] == plain.to_dict()[key]
    assert "analyses" not in plain.to_dict()["seconds"]
    assert seen.to_dict()["seconds"]["analyses"] > 0
    norms = seen.to_dict()["analyses"]["gradient-norms"]
    assert all(steps > 0 for row in norms["steps"] for steps in row)


@pytest.mark.parametrize("stream", [OFFLINE, PERMUTED], ids=lambda stream: stream["kind"])
@pytest.mark.parametrize("strategy", ["memo", "prd"])
def test_a_resumed_run_found_the_same(strategy, stream, tmp_path):
    given = looked_at(scenario(strategy, stream), branches=strategy == "memo")
    whole = cl_engine.run(given)
    for experiences in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            cl_engine.run(given, out=tmp_path / str(experiences), reporter=StopAfter(experiences))
        resumed = cl_engine.run(given, out=tmp_path / str(experiences), resume=True)
        assert found(resumed) == found(whole)
        assert cl_engine.RunRecord.load(resumed.directory).to_dict() == resumed.to_dict()


def test_processes_of_their_own_find_the_same():
    given = looked_at(scenario("memo", {**OFFLINE, "step": 3}))
    assert found(cl_engine.run(given, **{"memory.audit": "process"})) == found(cl_engine.run(given))


@pytest.mark.parametrize(
    "strategy", ["finetune", {"kind": "memo", "total": 30, "backbone": SMALL}], ids=["nothing", "exemplars"]
)
def test_a_sweep_over_budgets_finds_what_each_run_finds_alone(strategy, tmp_path):
    given = looked_at(scenario(strategy), branches=strategy != "finetune")
    budgets = ["128 KiB", "256 KiB"]
    results = cl_engine.sweep({**given, "name": "s", "sweep": {"memory.budget": budgets}}, out=tmp_path, workers=0)
    alone = [found(cl_engine.run(given, **{"memory.budget": budget})) for budget in budgets]
    assert [{key: run.result[key] for key in alone[0]} for run in results.runs] == alone


class NoFeatures(Strategy):
    def begin(self, task):
        self.classes = task.seen_classes

    def learn(self, task, samples):
        pass

    def predict(self, x):
        return torch.zeros(len(x), self.classes)


class Bare(NoFeatures):
    def features(self, x):
        return x


@pytest.mark.parametrize(
    ("strategy", "keys", "line"),
    [
        ("ncm", {"analyses": ["weight-shift"]}, "analyses: weight-shift looks at the blocks of a backbone that learns, and ncm has none; allowed: "),
        ("finetune", {"analyses": ["branch-cka"]}, "analyses: branch-cka compares the branches of an expandable strategy, and finetune has none; allowed: memo, "),
        ("finetune", {"analyses": ["gradients"]}, r"analyses: got 'gradients'; allowed: a list \(gradient-norms, weight-shift or branch-cka\)"),
        ("memo", {"analyses": ["branch-cka", "branch-cka"]}, "analyses: names branch-cka more than once; allowed: each once"),
        ("memo", {"evaluate": {"probes": ["cka", "cka"]}}, "evaluate.probes: names cka more than once; allowed: each once"),
        (NoFeatures, {"evaluate": {"probes": ["cka"]}}, "evaluate.probes: look at features, and .*NoFeatures has none; allowed: "),
    ],
)  # fmt: skip
def test_what_cannot_be_looked_at_is_said_in_one_line_before_the_run(strategy, keys, line):
    given = {"data": "digits", "strategy": strategy, **keys}
    with pytest.raises(cl_engine.ConfigError, match=rf"^scenario: {line}") as error:
        cl_engine.Scenario.load(given)
    assert len(str(error.value).splitlines()) == 1


def test_features_that_are_none_end_the_run_in_one_line():
    given = {"data": "digits", "strategy": Bare, "evaluate": ALL_PROBES, "stream": OFFLINE}
    with pytest.raises(
        cl_engine.MemoryContractError, match=r"^the features of Bare are \[10, 1, 8, 8\] for 10 samples"
    ):
        cl_engine.run(given)


def test_a_scenario_that_asks_for_nothing_is_called_as_it_was_before():
    plain = cl_engine.Scenario.load(scenario("finetune"))
    assert "analyses" not in plain.to_dict()
    assert plain.to_dict()["evaluate"] == {"every": "experience", "protocol": "exact"}
    asked = cl_engine.Scenario.load(looked_at(scenario("finetune"), branches=False))
    again = cl_engine.Scenario.load(asked.to_dict())
    assert again.to_dict() == asked.to_dict()
    assert (again.analyses, again.evaluate.probes) == (tuple(BLOCKS), ALL_PROBES["probes"])
    assert asked.id != plain.id


def test_runs_that_were_looked_at_are_compared_with_those_that_were_not(tmp_path):
    plain = cl_engine.run(scenario("finetune"), out=tmp_path)
    cl_engine.run(looked_at(scenario("finetune"), branches=False), out=tmp_path)
    assert len(finished_runs(tmp_path, plain.to_dict())) == 2


class Named(Finetune):
    """Says itself what its blocks are."""

    def named_blocks(self):
        return {"first layer": self.network.backbone.stages[0], "head": self.network.head}


def test_a_strategy_of_ones_own_names_its_blocks():
    given = {**scenario("finetune"), "strategy": Named, "analyses": BLOCKS}
    analyses = cl_engine.run(copy.deepcopy(given)).to_dict()["analyses"]
    for name, key in (("gradient-norms", "norm"), ("weight-shift", "shift")):
        assert analyses[name]["blocks"] == ["first layer", "head"]
        assert all(value > 0 for row in analyses[name][key] for value in row)
