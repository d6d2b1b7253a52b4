"""Networks of torchvision and timm, where these are installed."""

import importlib.util

import pytest
import torch
from safetensors.torch import save_file

from cl_engine.kinds.problems import OptionError
from cl_engine.kinds.validation import resolve
from cl_engine.memory.ledger import ledger
from cl_engine.models.backbone import build_backbone, meta_backbone
from tests.models.weights import INPUTS, randomised


def generator():
    return torch.Generator().manual_seed(0)


def pretrained(path, architecture, **more):
    return {"kind": "pretrained", "weights": str(path), "architecture": architecture, "inputs": INPUTS, **more}


def features(option, shape, x):
    backbone = build_backbone(option, shape, generator()).eval()
    with torch.no_grad():
        return backbone(x)


def test_a_name_is_short_for_a_mapping():
    found = resolve("backbones", "torchvision:resnet18")
    assert found == resolve("backbones", {"kind": "torchvision", "model": "resnet18"})


@pytest.mark.parametrize(("package", "extra"), [("torchvision", "vision"), ("timm", "timm")])
def test_without_the_package_one_line_says_what_to_install(package, extra):
    if importlib.util.find_spec(package):
        pytest.skip(f"{package} is installed")
    with pytest.raises(OptionError, match=rf"needs {package}: .*; allowed: after pip install cl-engine\[{extra}\]"):
        meta_backbone(f"{package}:resnet18", (3, 32, 32))


@pytest.mark.parametrize(
    ("model", "classifier"),
    [("resnet18", "fc"), ("mobilenet_v3_small", "classifier.3"), ("vit_b_16", "heads.head"), ("swin_t", "head")],
)
@pytest.mark.parametrize("more", [{}, {"available": True}, {"frozen": False}], ids=str)
def test_features_of_torchvision_are_what_its_classifier_sees(tmp_path, model, classifier, more):
    torchvision = pytest.importorskip("torchvision", reason="needs the vision extra")
    size = 224 if model == "vit_b_16" else 64
    theirs = randomised(torchvision.models.get_model(model, weights=None))
    save_file(theirs.state_dict(), tmp_path / "w.safetensors")
    x, seen = torch.rand(2, 3, size, size, generator=generator()), []
    theirs.get_submodule(classifier).register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        theirs(x)
    option = pretrained(tmp_path / "w.safetensors", f"torchvision:{model}", **more)
    torch.testing.assert_close(features(option, (3, size, size), x), seen[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("model", ["resnet18", "resnet50"])
def test_our_own_resnets_take_the_weights_of_torchvision(tmp_path, model):
    torchvision = pytest.importorskip("torchvision", reason="needs the vision extra")
    theirs = randomised(torchvision.models.get_model(model, weights=None))
    save_file(theirs.state_dict(), tmp_path / "w.safetensors")
    x = torch.rand(2, 3, 64, 64, generator=generator())
    theirs.fc = torch.nn.Identity()
    with torch.no_grad():
        expected = theirs(x)
    found = features(pretrained(tmp_path / "w.safetensors", model), (3, 64, 64), x)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "model", ["resnet18", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "deit_tiny_distilled_patch16_224"]
)
@pytest.mark.parametrize("more", [{}, {"available": True}], ids=str)
def test_features_of_timm_are_those_without_a_classifier(tmp_path, model, more):
    timm = pytest.importorskip("timm", reason="needs the timm extra")
    theirs = randomised(timm.create_model(model, pretrained=False))
    state = theirs.state_dict()
    save_file(state, tmp_path / "w.safetensors")
    theirs.reset_classifier(0)
    x = torch.rand(2, 3, 224, 224, generator=generator())
    with torch.no_grad():
        expected = theirs(x)
    option = pretrained(tmp_path / "w.safetensors", f"timm:{model}", **more)
    torch.testing.assert_close(features(option, (3, 224, 224), x), expected, rtol=1e-4, atol=1e-4)
    held = sum(e.bytes for e in ledger(meta_backbone(option, (3, 224, 224))) if e.kind == "parameters")
    assert held == (0 if more else 4 * sum(p.numel() for p in theirs.parameters()))


@pytest.mark.parametrize(
    ("option", "shape", "said"),
    [
        ("timm:resnet81", (3, 64, 64), r"timm has no network 'resnet81', did you mean"),
        ("timm:hf-hub:someone/something", (3, 64, 64), r"timm has no network"),
        ("timm:vit_tiny_patch16_224", (3, 64, 64), r"takes no images of shape \[3, 64, 64\]"),
        ("torchvision:fasterrcnn_resnet50_fpn", (3, 64, 64), r"torchvision has no network"),
        ("torchvision:squeezenet1_0", (3, 64, 64), r"ends in no linear layer"),
        ("torchvision:resnet18", (1, 64, 64), r"takes no images of shape \[1, 64, 64\]"),
        ("torchvision:resnet18", (5,), r"cannot take samples of shape \[5\]"),
    ],
)
def test_what_cannot_work_is_one_line(option, shape, said):
    pytest.importorskip(option.partition(":")[0], reason="needs the extra")
    with pytest.raises(OptionError, match=said) as refused:
        meta_backbone(option, shape)
    assert "\n" not in str(refused.value)


def test_an_untrained_one_repeats_and_draws_from_nothing_else():
    pytest.importorskip("torchvision", reason="needs the vision extra")
    before = torch.get_rng_state()
    a, b = (build_backbone("torchvision:resnet18", (3, 32, 32), generator()).state_dict() for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a[name], b[name]) for name in a)
