"""EfficientNet-Lite: its published sizes, TensorFlow's padding, and the names of the released weights."""

import re

import pytest
import torch
from torch.nn import functional as F

from cl_engine.memory.alignment.sizes import backbone_sizes
from cl_engine.models.backbone import meta_backbone
from cl_engine.models.backbones.efficientnet_lite import SameConv2d

# parameters with the classifier of 1,000 classes, as the released models list them
PUBLISHED = [4_652_008, 5_416_680, 6_092_072, 8_197_096, 13_006_568]


@pytest.mark.parametrize(("number", "parameters"), [*enumerate(PUBLISHED)])
def test_published_sizes(number, parameters):
    sizes = backbone_sizes(f"efficientnet-lite{number}", (3, 224, 224))
    assert sizes.parameters + 1281 * 1000 == parameters
    assert sizes.features == 1280


def test_maps_of_the_stages_at_224():
    x, maps = torch.empty(1, 3, 224, 224, device="meta"), []
    for stage in meta_backbone("efficientnet-lite0", (3, 224, 224)).stages:
        x = stage(x)
        maps.append(tuple(x.shape[1:]))
    assert maps[:2] == [(32, 112, 112), (16, 112, 112)]
    assert maps[2:] == [(24, 56, 56), (40, 28, 28), (80, 14, 14), (112, 14, 14), (192, 7, 7), (1280,)]


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "before", "after"),
    [(8, 3, 2, 0, 1), (7, 3, 2, 1, 1), (8, 5, 2, 1, 2), (7, 5, 2, 2, 2), (7, 3, 1, 1, 1), (1, 3, 2, 1, 1)],
)
def test_same_padding_puts_the_odd_zero_last(size, kernel, stride, before, after):
    layer = SameConv2d(1, 1, kernel, stride)
    x = torch.rand(1, 1, size, size, generator=torch.Generator().manual_seed(0))
    padded = F.conv2d(F.pad(x, (before, after, before, after)), layer.weight, stride=stride)
    assert layer(x).shape[-1] == -(-size // stride)
    torch.testing.assert_close(layer(x), padded)


def released_names():
    """Names of efficientnet-lite0-pytorch: blocks numbered throughout, the first without an expansion."""
    norm = ("weight", "bias", "running_mean", "running_var")
    yield from (
        "_conv_stem.weight",
        *(f"_bn0.{n}" for n in norm),
        "_conv_head.weight",
        *(f"_bn1.{n}" for n in norm),
    )
    for block in range(16):
        convolutions = ["_expand_conv", "_depthwise_conv", "_project_conv"][0 if block else 1 :]
        norms = ["_bn0", "_bn1", "_bn2"][0 if block else 1 :]
        yield from (f"_blocks.{block}.{name}.weight" for name in convolutions)
        yield from (f"_blocks.{block}.{name}.{n}" for name in norms for n in norm)


def test_every_released_name_is_one_of_ours_and_the_other_way_round():
    backbone = meta_backbone("efficientnet-lite0", (3, 64, 64))
    ours = {name for name in backbone.state_dict() if not name.endswith("num_batches_tracked")}
    assert sorted(map(str, map(backbone.own_name, released_names()))) == sorted(ours)
    assert backbone.own_name("_fc.weight") is None
    assert backbone.own_name("_blocks.16._bn1.bias") == "_blocks.16._bn1.bias"


def test_timm_has_the_same_features_from_the_same_weights():
    timm = pytest.importorskip("timm", reason="needs the timm extra")
    theirs = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=0).eval()
    generator = torch.Generator().manual_seed(0)
    for name, tensor in theirs.state_dict().items():
        if tensor.ndim == 1:
            positive = re.search(r"(bn\w*\.weight|running_var)$", name)
            tensor.uniform_(0.5 if positive else -0.2, 1.5 if positive else 0.2, generator=generator)
    ours = meta_backbone("efficientnet-lite0", (3, 64, 64)).to_empty(device="cpu").eval()
    # Both list convolutions, norms and blocks in the order of computation; the head comes last here, too.
    pairs = zip(ordered(ours), ordered(theirs), strict=True)
    for mine, other in pairs:
        mine.load_state_dict(other.state_dict())
    x = torch.rand(2, 3, 64, 64, generator=generator)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-3, atol=1e-4)


def ordered(network):
    """Return convolutions and norms in the order in which they compute."""
    layers, handles = [], []
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.BatchNorm2d):
            handles.append(layer.register_forward_hook(lambda made, *_: layers.append(made)))
    with torch.no_grad():
        network(torch.zeros(1, 3, 64, 64))
    for handle in handles:
        handle.remove()
    return layers
