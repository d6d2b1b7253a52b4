"""Pretrained backbones: the original's features, what is frozen stays, and what is held is counted."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from typer.testing import CliRunner

import cl_engine
from cl_engine.cli.app import app
from cl_engine.errors import InputError
from cl_engine.kinds.problems import OptionError, Problems
from cl_engine.kinds.validation import resolve
from cl_engine.memory.ledger import ledger
from cl_engine.models.backbone import build_backbone, meta_backbone
from cl_engine.models.network import Network
from cl_engine.running.planner import plan_memory
from tests.models.weights import INPUTS, ReleasedResNet14, randomised

AROUND = {"kind": "resnet14", "shortcut_zeros": "around"}
SHAPE, CPU = (3, 8, 8), torch.device("cpu")
G, S = 42_320, 129_536  # parameters of resnet14: generalised part, last stage (MEMO, table of sizes)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def original():
    return randomised(ReleasedResNet14())


@pytest.fixture
def file(tmp_path, original):
    save_file(original.state_dict(), tmp_path / "w.safetensors")
    return str(tmp_path / "w.safetensors")


def option(file, **more):
    return {"kind": "pretrained", "weights": file, "architecture": AROUND, "inputs": INPUTS, **more}


def images(count=5, shape=SHAPE):
    return torch.randint(0, 256, (count, *shape), generator=generator(), dtype=torch.uint8)


def expected(original, x):
    mean, deviation = (torch.tensor(INPUTS[key]).view(3, 1, 1) for key in ("mean", "deviation"))
    with torch.no_grad():
        return original.features((x.float() / 255 - mean) / deviation)


@pytest.mark.parametrize("frozen", [True, False, 2])
def test_the_released_network_and_ours_have_the_same_features(file, original, frozen):
    network = Network(option(file, frozen=frozen), SHAPE, generator(), CPU, ((0.1,) * 3, (0.9,) * 3)).eval()
    theirs = expected(original, images())
    assert float(theirs.std(0).mean()) > 0.1
    torch.testing.assert_close(network.features(images()).detach(), theirs, rtol=1e-4, atol=1e-5)


def test_zeros_after_instead_of_around_are_another_network(file, original):
    backbone = option(file) | {"architecture": "resnet14"}
    network = Network(backbone, SHAPE, generator(), CPU).eval()
    assert not torch.allclose(network.features(images()), expected(original, images()), rtol=0.1)


def test_grey_images_are_shown_in_every_channel(file, original):
    network, grey = Network(option(file), (1, 8, 8), generator(), CPU).eval(), images(shape=(1, 8, 8))
    theirs = expected(original, grey.expand(-1, 3, -1, -1))
    torch.testing.assert_close(network.features(grey), theirs, rtol=1e-4, atol=1e-5)


def test_a_file_in_our_own_names_is_taken_as_it_is(tmp_path):
    ours = build_backbone("resnet14", SHAPE, generator(3)).eval()
    save_file(ours.state_dict(), tmp_path / "ours.safetensors")
    loaded = build_backbone(option(str(tmp_path / "ours.safetensors"), architecture="resnet14"), SHAPE, generator())
    assert all(
        torch.equal(loaded.state_dict()[name], t) for name, t in ours.state_dict().items() if "num" not in name
    )


def test_nothing_is_drawn(file):
    drawing, before = generator(), torch.get_rng_state()
    build_backbone(option(file), SHAPE, drawing)
    assert torch.equal(drawing.get_state(), generator().get_state())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("more", "parameters", "trained"),
    [
        ({}, G + S, 0),
        ({"frozen": False}, G + S, G + S),
        ({"frozen": 3}, G + S, S),
        ({"available": True}, 0, 0),
        ({"frozen": 3, "available": True}, S, S),
    ],
)
def test_what_is_held_and_what_is_trained(file, more, parameters, trained):
    for build in (
        lambda: meta_backbone(option(file, **more), SHAPE),
        lambda: build_backbone(option(file, **more), SHAPE, generator()),
    ):
        backbone = build()
        entries = ledger(backbone)
        assert sum(e.bytes for e in entries if e.kind == "parameters") == 4 * parameters
        assert sum(p.numel() for p in backbone.parameters() if p.requires_grad) == trained
        digest = resolve("backbones", option(file))["sha256"]
        assert any(e.kind == "regenerable" and digest in e.name for e in entries) == ("available" in more)
        assert all(e.bytes == 0 for e in entries if e.kind == "regenerable")


@pytest.mark.parametrize("available", [False, True])
def test_training_leaves_frozen_stages_and_their_statistics_alone(file, available):
    network = Network(option(file, frozen=2, available=available), SHAPE, generator(), CPU)
    network.head.grow(2, generator())
    network.requires_grad_(True)
    tensors = [*network.backbone.stages.named_parameters(), *network.backbone.stages.named_buffers()]
    before = {name: tensor.detach().clone() for name, tensor in tensors}
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, weight_decay=0.1)
    network(images()).square().sum().backward()
    optimizer.step()
    moved = {name.partition(".")[0] for name, tensor in tensors if not torch.equal(tensor, before[name])}
    assert moved == {"2", "3"}
    assert {n: stage.training for n, stage in enumerate(network.backbone.stages)} == {
        0: False,
        1: False,
        2: True,
        3: True,
    }


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"frozen": 5}, r"frozen: got 5, of 4 stages; allowed: true, false, 1 to 4"),
        ({"frozen": False, "available": True}, r"available: tuned weights are in no file"),
        ({"inputs": None}, r"inputs: option 'inputs' is missing"),
        ({"inputs": {"mean": [0.5, 0.5], "deviation": [0.5, 0.5]}}, r"images have 3 channels, the weights take 2"),
        ({"inputs": {"mean": [0.5], "deviation": [0.5, 0.5]}}, r"as many deviations"),
        ({"inputs": INPUTS | {"resolution": 3}}, r"cannot take samples of shape \[3, 3, 3\]"),
        ({"architecture": "resnet20"}, r"weights: 36 tensors? missing|weights: \d+ tensors missing"),
        ({"architecture": "resnet18"}, r"cannot take samples"),
    ],
)
def test_what_cannot_work_is_one_line(file, more, said):
    with pytest.raises(OptionError, match=said) as refused:
        build_backbone(option(file, **more), SHAPE, generator())
    assert "\n" not in str(refused.value)


def test_the_card_says_what_the_scenario_does_not(tmp_path, file, original):
    digest = resolve("backbones", option(file))["sha256"]
    card = {"architecture": AROUND, "inputs": INPUTS, "source": "made up", "licence": "none", "sha256": digest}
    (tmp_path / "w.card.yaml").write_text(json.dumps(card))
    short = {"kind": "pretrained", "weights": file}
    assert resolve("backbones", short) == resolve("backbones", option(file))
    (tmp_path / "w.card.yaml").write_text(json.dumps(card | {"sha256": "0" * 64}))
    with pytest.raises(Problems, match=f"weights: .* has the SHA-256 {digest}; allowed: 0+, as its card says"):
        resolve("backbones", short)


@pytest.mark.parametrize(
    ("card", "said"),
    [
        ("architecture: [", "cannot be read"),
        ("- 1", "holds"),
        ("architecture: resnet41", "there is no backbone 'resnet41'"),
        ("colour: red", "unknown option"),
        ("!!python/object/apply:os.mkdir [made]", "cannot be read"),
    ],
)
def test_a_wrong_card_is_one_line(tmp_path, file, card, said, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.card.yaml").write_text(card)
    with pytest.raises(Problems, match=rf"^weights: its card .*w.card.yaml.*{said}") as refused:
        resolve("backbones", {"kind": "pretrained", "weights": file})
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "made").exists()


def test_without_card_and_architecture_nothing_is_guessed(file):
    with pytest.raises(
        Problems, match=r"architecture: option 'architecture' is missing, and there is no card w.card.yaml"
    ):
        resolve("backbones", {"kind": "pretrained", "weights": file})


# what a scenario makes of it


@pytest.fixture
def scenario(tmp_path, file):
    rng, y = np.random.RandomState(0), np.arange(24) % 4
    for split in ("train", "test"):
        pixels = rng.randint(0, 256, (24, 8, 8, 3)).astype(np.uint8)
        np.savez(tmp_path / f"{split}.npz", x=pixels, y=y)
    arrays = {f"{k}_{s}": np.load(tmp_path / f"{s}.npz")[k] for s in ("train", "test") for k in "xy"}
    np.savez(tmp_path / "data.npz", **arrays)
    return {
        "data": {"kind": "npz", "path": str(tmp_path / "data.npz")},
        "stream": {"kind": "class-incremental", "first": 2, "step": 2},
        "strategy": {"kind": "finetune", "backbone": option(file)},
        "training": {"epochs": 1, "batch_size": 12, "lr": 0.001},
    }


@pytest.mark.parametrize("more", [{"available": True}, {"frozen": False}, {"frozen": 3}], ids=str)
@pytest.mark.parametrize("kind", ["finetune", "joint", "replay", "icarl", "ewc", "memo", "prd", "ncm", "g-acil"])
def test_every_strategy_runs_on_one_and_its_plan_is_what_it_holds(scenario, file, tmp_path, kind, more):
    scenario["strategy"] = {"kind": kind, "backbone": option(file, **more)}
    if kind == "memo" and more.get("available"):  # all of it frozen: nothing for MEMO to repeat
        with pytest.raises(cl_engine.ConfigError, match=r"strategy.backbone: .* all blocks would be the same"):
            cl_engine.Scenario.load(scenario)
        return
    record = cl_engine.run(scenario, out=tmp_path / "runs")
    own = sum(
        e["bytes"] for e in record.memory["entries"][-1] if e["kind"] == "parameters" and ".stages." in e["name"]
    )
    blocks = 2 if kind == "memo" else 1  # MEMO repeats the last stage
    assert own == (0 if more.get("available") else 4 * (G + blocks * S))
    planned = plan_memory(cl_engine.Scenario.load(scenario))
    assert [e["held_bytes"] for e in planned["experiences"]] == record.memory["held_bytes"]


@pytest.mark.parametrize("strategy", [{"kind": "memo", "cut": 1}, {"kind": "der-expandable"}], ids=str)
def test_frozen_stages_are_not_repeated(scenario, file, strategy):
    scenario["strategy"] = {**strategy, "backbone": option(file, frozen=2)}
    with pytest.raises(cl_engine.ConfigError, match=r"the first 2 stages are frozen .* allowed: .*`cut: 2`"):
        cl_engine.Scenario.load(scenario)


def test_the_scenario_names_the_hash_and_a_changed_file_is_no_silent_change(scenario, file, tmp_path):
    loaded = cl_engine.Scenario.load(scenario)
    resolved = loaded.to_dict()
    assert resolved["strategy"]["backbone"]["sha256"] == resolve("backbones", option(file))["sha256"]
    other = randomised(ReleasedResNet14(), seed=1)
    save_file(other.state_dict(), file)
    assert cl_engine.Scenario.load(scenario).id != loaded.id
    with pytest.raises(cl_engine.ConfigError, match=r"strategy.backbone.sha256: .* has the SHA-256"):
        cl_engine.Scenario.load(resolved)
    with pytest.raises(InputError, match=r"^strategy.backbone.sha256: .* has the SHA-256|^backbone.sha256"):
        cl_engine.run(loaded, out=tmp_path / "runs")


def test_check_names_a_missing_file(scenario, tmp_path):
    scenario["strategy"]["backbone"]["weights"] = "nowhere.safetensors"
    path = tmp_path / "s.yaml"
    path.write_text(json.dumps(scenario))
    done = CliRunner().invoke(app, ["check", str(path)])
    assert done.exit_code != 0
    assert "strategy.backbone.weights: there is no file" in str(done.exception) + done.output


def test_paths_are_relative_to_the_scenario_file(scenario, tmp_path, monkeypatch):
    scenario["strategy"]["backbone"]["weights"] = "w.safetensors"
    (tmp_path / "s.yaml").write_text(json.dumps(scenario))
    monkeypatch.chdir("/")
    found = cl_engine.Scenario.load(tmp_path / "s.yaml").strategy["backbone"]["weights"]
    assert found == str((tmp_path / "w.safetensors").resolve())


def test_frozen_layers_load_a_state_that_has_no_versions(file):
    backbone = build_backbone(option(file), SHAPE, generator())
    plain = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    backbone.load_state_dict(plain, strict=True)
    assert not any(isinstance(layer, nn.BatchNorm2d) and layer.track_running_stats for layer in backbone.modules())
