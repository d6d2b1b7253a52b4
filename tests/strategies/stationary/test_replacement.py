"""Models that were trained elsewhere take the learner's place: galleries, plan, resume, and what is refused."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import cl_engine
from cl_engine.config.scenario import Scenario
from cl_engine.data.gaussian import Gaussian
from cl_engine.running.planner import plan_memory
from tests.stopping import StopAfter

WIDTH, RESERVED = 32, 64
STREAM, GALLERY, ELSEWHERE = np.split(np.arange(60), [20, 30])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three archives with classes of their own: for the stream, the gallery, and whoever trains elsewhere."""
    path = tmp_path_factory.mktemp("replaced")
    data = Gaussian(classes=60, features=WIDTH, samples_per_class=40, separation=6.0).load()
    for name, classes in (("stream", STREAM), ("gallery", GALLERY), ("more", ELSEWHERE), ("few", ELSEWHERE[:10])):
        parts = {}
        for split in ("train", "test"):
            part = getattr(data, split)
            chosen = np.isin(part.y.numpy(), classes)
            parts |= {f"x_{split}": part.x.numpy()[chosen], f"y_{split}": part.y.numpy()[chosen]}
        np.savez(path / f"{name}.npz", **parts)
    return path


def npz(folder, name):
    return {"kind": "npz", "path": str(folder / f"{name}.npz")}


def strategy(kind, **more):
    simplex = {"reserved": RESERVED} if kind in ("hoc", "cl2r") else {}
    small = {"width": 16, "map_epochs": 1} if kind == "fct" else {}
    return {"kind": kind, "backbone": {"kind": "mlp", "width": 64}, **simplex, **small, **more}


@pytest.fixture(scope="module")
def elsewhere(folder):
    """Return a checkpoint of a kind of strategy, trained on ten classes or on all thirty of them."""
    made = {}

    def trained(kind, name, width=64, epochs=40):
        key = (kind, name, width)
        if key not in made:
            classes = {"few": 10, "more": 30}[name]
            run = cl_engine.run(
                {
                    "name": f"{kind}-{name}-{width}",
                    "data": npz(folder, name),
                    "stream": {"kind": "class-incremental", "step": classes, "class_order": "natural"},
                    "strategy": strategy(kind, total=1, backbone={"kind": "mlp", "width": width})
                    | ({"vertices": "first"} if kind == "hoc" else {}),
                    "training": {"epochs": epochs},
                    "seed": classes,
                },
                out=folder,
            )
            made[key] = str(run.directory / "checkpoint.safetensors")
        return made[key]

    return trained


def scenario(folder, kind, replace, epochs=1, **more):
    return {
        "name": "replaced",
        "data": npz(folder, "stream"),
        "stream": {"kind": "class-incremental", "step": 5},
        "strategy": strategy(kind, per_class=5),
        "training": {"epochs": epochs},
        "replace": replace,
        **more,
    }


def test_hoc_searches_galleries_of_before_a_replacement_where_er_falls_to_chance(folder, elsewhere):
    """Two models trained elsewhere, on 10 and on 30 classes, from other random weights; the gallery has 10 others."""
    matrix = {}
    for kind in ("hoc", "er"):
        received = [{"at": 1, "model": elsewhere(kind, "few")}, {"at": 3, "model": elsewhere(kind, "more")}]
        asked = {"evaluate": {"compatibility": {"gallery": {"data": npz(folder, "gallery")}}}}
        run = cl_engine.run(scenario(folder, kind, received, epochs=10, **asked)).to_dict()
        matrix[kind] = run["compatibility"]["matrix"]
    across = {kind: np.mean([m[t][k] for t in (2, 3) for k in (0, 1)]) for kind, m in matrix.items()}
    assert across["er"] < 0.2  # chance is 0.1
    assert across["hoc"] > 0.3
    for m in matrix.values():  # each alone is a good model, before and after
        assert min(m[0][0], m[3][3]) > 0.35


@pytest.mark.parametrize("kind", ["hoc", "cl2r", "er", "bct", "lce", "mixbct", "fct", "relative"])
def test_the_plan_is_the_ledger_across_replacements_also_by_another_architecture(folder, elsewhere, kind):
    family = kind if kind in ("hoc", "cl2r") else "er"
    received = [
        {"at": 1, "model": elsewhere(family, "few", epochs=1)},
        {"at": 3, "model": elsewhere(family, "few", 48, 1), "backbone": {"kind": "mlp", "width": 48}},
    ]
    asked = scenario(folder, kind, received)
    plan, run = plan_memory(Scenario.load(asked))["experiences"], cl_engine.run(asked)
    assert [e["entries"] for e in plan] == run.memory["entries"]
    assert not [note for note in run.to_dict()["notes"] if "not registered" in note]
    peak = {name: max(e["training"].get(name, 0) for e in plan) for e in plan for name in e["training"]}
    assert peak == run.memory["training_peak"]
    widths = [
        {e["shape"][-1] for e in line if e["kind"] == "head"} - {RESERVED - 1} for line in run.memory["entries"]
    ]
    assert widths == [{64}, {64}, {48}, {48}]
    names = [n for n in load_file(received[0]["model"]) if n.startswith("network.")]
    if kind == "er":  # a learned classifier is not taken over
        names = [n for n in names if not n.startswith("network.head")]
    if kind in ("hoc", "er"):
        sizes = [load_file(received[0]["model"])[n].numel() * 4 for n in names]
        assert plan[0]["training"]["received model"] == sum(sizes)
    assert "received model" not in plan[1]["training"]


def test_an_experience_begins_with_the_weights_that_were_received(folder, elsewhere):
    model = elsewhere("hoc", "few", epochs=1)
    asked = Scenario.load(scenario(folder, "hoc", [{"at": 2, "model": model}]))
    made = asked.rebuilder(asked.terms())
    strategy = made.begun(1)
    before = strategy.network.head.weight.clone()
    strategy.begin(asked.terms().task(1))
    held = load_file(model)
    for name, tensor in strategy.network.state_dict().items():
        assert torch.equal(tensor, held[f"network.{name}"]), name
    assert not torch.equal(before, strategy.network.head.weight)


def test_what_succeeds_a_model_asks_the_one_whose_place_the_received_one_takes(folder, elsewhere):
    model = elsewhere("er", "few", epochs=1)
    asked = Scenario.load(scenario(folder, "mixbct", [{"at": 2, "model": model}]))
    strategy, task = asked.rebuilder(asked.terms()).begun(1), asked.terms().task(1)
    before = {name: tensor.clone() for name, tensor in strategy.network.backbone.state_dict().items()}
    strategy.begin(task)
    asking, now = strategy.predecessor(task).backbone.state_dict(), strategy.network.backbone.state_dict()
    for name, tensor in before.items():
        assert torch.equal(asking[name], tensor), name
        assert torch.equal(now[name], load_file(model)[f"network.backbone.{name}"]), name


def test_hoc_is_taught_by_a_model_that_is_received_for_the_first_experience(folder, elsewhere):
    model = elsewhere("hoc", "few", epochs=1)
    plan = plan_memory(Scenario.load(scenario(folder, "hoc", [{"at": 1, "model": model}])))["experiences"]
    assert plan[0]["training"]["teacher"] == plan[1]["training"]["teacher"] > 0


@pytest.mark.parametrize(  # before and after the one that begins with a received model
    ("kind", "experiences"), [("cl2r", 2), ("cl2r", 3), ("fct", 2), ("lce", 2)]
)
def test_a_run_that_was_stopped_around_a_replacement_ends_in_the_same_bits(
    tmp_path, folder, elsewhere, kind, experiences
):
    family = "cl2r" if kind == "cl2r" else "er"
    asked = scenario(folder, kind, [{"at": 3, "model": elsewhere(family, "few", epochs=1)}])
    whole = cl_engine.run(asked, out=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        cl_engine.run(asked, out=tmp_path / "stopped", reporter=StopAfter(experiences))
    resumed = cl_engine.run(asked, out=tmp_path / "stopped", resume=True)
    for key in ("metrics", "accuracy", "memory"):
        assert whole.to_dict()[key] == resumed.to_dict()[key]
    states = [(run.directory / "checkpoint.safetensors").read_bytes() for run in (whole, resumed)]
    assert states[0] == states[1]


def test_a_process_of_its_own_receives_the_same_model(folder, elsewhere):
    asked = scenario(folder, "er", [{"at": 2, "model": elsewhere("er", "few", epochs=1)}])
    apart = cl_engine.run(asked, memory={"audit": "process"})
    assert apart.metrics == cl_engine.run(asked).metrics


def test_a_schedule_is_part_of_the_scenario_and_names_the_file_by_its_contents(folder, elsewhere):
    model = elsewhere("er", "few", epochs=1)
    plain, asked = (Scenario.load(scenario(folder, "er", r)) for r in ([], [{"at": 2, "model": model}]))
    assert "replace" not in plain.to_dict()
    assert plain.id != asked.id == Scenario.load(asked.to_dict()).id


def test_what_cannot_be_received_is_refused(tmp_path, folder, elsewhere):
    model = elsewhere("er", "few", epochs=1)
    save_file({"network.backbone.other": torch.zeros(2)}, tmp_path / "other.safetensors")
    entry = {"at": 2, "model": model}
    for replace, message in (
        ([{**entry, "at": 5}], r"replace\.0\.at: got 5; allowed: 1 to 4, each once"),
        ([entry, entry], r"replace\.1\.at: got 2; allowed: 1 to 4, each once"),
        ([{**entry, "model": "none.safetensors"}], r"replace\.0\.model: there is no file"),
        ([{**entry, "sha256": "0" * 64}], r"replace\.0\.sha256: .* has the SHA-256"),
        (
            [{**entry, "when": 3}],
            r"replace\.0\.when: unknown option; allowed: at, model, pretrain, backbone, sha256",
        ),
        (
            [{"at": 1, "model": str(tmp_path / "other.safetensors")}],
            r"replace: .*other.safetensors: \d+ tensors missing",
        ),
    ):
        with pytest.raises(cl_engine.ConfigError, match=message):
            Scenario.load(scenario(folder, "er", replace))
    with pytest.raises(
        cl_engine.ConfigError, match=r"replace: icarl cannot go on from another model; allowed: hoc, cl2"
    ):
        Scenario.load({**scenario(folder, "er", [entry]), "strategy": "icarl"})
    with pytest.raises(
        cl_engine.ConfigError, match=r"scenario: replace: .*: 1 tensor of another shape \(head\.weight"
    ):
        Scenario.load(scenario(folder, "cl2r", [{"at": 3, "model": model}]))  # of a learned classifier
    features = {"codec": "features", "backbone": "identity"}
    with pytest.raises(
        cl_engine.ConfigError, match=r"strategy\.codec: would hold features of a model that is replaced"
    ):
        Scenario.load({**scenario(folder, "er", [entry]), "strategy": {"kind": "er", **features}})
