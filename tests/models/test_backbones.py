"""Backbones: their published sizes, their cut, their shapes, and weights that repeat."""

import pytest
import torch
from torch import nn

from cl_engine.kinds.problems import OptionError
from cl_engine.kinds.registry import kinds, load
from cl_engine.memory.alignment.sizes import backbone_sizes
from cl_engine.models.backbone import build_backbone, meta_backbone

# kind, image size, parameters: all, generalised, specialised; map after the generalised part; features;
# bytes of batch-norm buffers: all, generalised, specialised (MEMO, Zhou et al., ICLR 2023)
SIZES = [
    ("convnet2", 32, 38_976, 1_920, 37_056, (64, 16, 16), 64, 1_040, 520, 520),
    ("resnet14", 32, 171_856, 42_320, 129_536, (32, 16, 16), 64, 3_816, 1_736, 2_080),
    ("resnet20", 32, 269_072, 65_552, 203_520, (32, 16, 16), 64, 5_656, 2_536, 3_120),
    ("resnet26", 32, 366_288, 88_784, 277_504, (32, 16, 16), 64, 7_496, 3_336, 4_160),
    ("resnet32", 32, 463_504, 112_016, 351_488, (32, 16, 16), 64, 9_336, 4_136, 5_200),
    ("convnet4", 224, 906_240, 314_880, 591_360, (128, 14, 14), 512, 7_200, 3_096, 4_104),
    ("resnet10", 224, 4_905_792, 1_232_704, 3_673_088, (256, 14, 14), 512, 23_136, 10_824, 12_312),
    ("resnet18", 224, 11_176_512, 2_782_784, 8_393_728, (256, 14, 14), 512, 38_560, 18_040, 20_520),
    ("resnet26-bottleneck", 224, 13_946_176, 3_444_032, 10_502_144, (1024, 14, 14), 2048, 123_624, 58_032, 65_592),
    ("resnet34", 224, 21_284_672, 8_170_304, 13_114_368, (256, 14, 14), 512, 68_384, 39_656, 28_728),
    ("resnet50", 224, 23_508_032, 8_543_296, 14_964_736, (1024, 14, 14), 2048, 212_904, 122_712, 90_192),
]  # fmt: skip
LARGE_IMAGES = {kind for kind, size, *_ in SIZES if size == 224}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("kind", "size", "parameters", "g", "s", "cut_map", "features", "buffers", "g_buffers", "s_buffers"), SIZES
)
def test_published_sizes(kind, size, parameters, g, s, cut_map, features, buffers, g_buffers, s_buffers):
    sizes = backbone_sizes(kind, (3, size, size))
    assert sizes == (features, g, s, g_buffers, s_buffers)
    assert (sizes.parameters, sizes.buffers) == (parameters, buffers)
    backbone = meta_backbone(kind, (3, size, size))
    assert sum(p.numel() for p in backbone.parameters()) == parameters
    x = torch.empty(2, 3, size, size, device="meta")
    assert backbone.stages[:-1](x).shape == (2, *cut_map)
    assert backbone(x).shape == (2, features)


@pytest.mark.parametrize(
    ("kind", "parameters"), [("resnet44", 657_936), ("resnet56", 852_368), ("resnet110", 1_727_312)]
)
def test_sizes_of_the_deeper_cifar_networks(kind, parameters):
    assert backbone_sizes(kind, (3, 32, 32)).parameters == parameters


def test_maps_of_the_cifar_stages():
    x, maps = torch.empty(1, 3, 32, 32, device="meta"), []
    for stage in meta_backbone("resnet20", (3, 32, 32)).stages:
        x = stage(x)
        maps.append(tuple(x.shape[1:]))
    assert maps == [(16, 32, 32), (16, 32, 32), (32, 16, 16), (64,)]


def test_maps_of_the_imagenet_stages():
    x, maps = torch.empty(1, 3, 224, 224, device="meta"), []
    for stage in meta_backbone("resnet50", (3, 224, 224)).stages:
        x = stage(x)
        maps.append(tuple(x.shape[1:]))
    assert maps == [(64, 56, 56), (256, 56, 56), (512, 28, 28), (1024, 14, 14), (2048,)]


@pytest.mark.parametrize(
    "kind", [kind for kind in kinds("backbones") if kind not in ("torchvision", "timm", "pretrained")]
)
def test_every_backbone_maps_small_images_to_its_features_stage_by_stage(kind):
    shape = (1, 32, 32) if kind in LARGE_IMAGES else (1, 8, 8)
    backbone = build_backbone(kind, shape, generator()).eval()
    x = torch.rand(3, *shape, generator=generator(1))
    with torch.no_grad():
        features = backbone(x)
        assert torch.equal(backbone.stages[-1](backbone.stages[:-1](x)), features)
    assert features.shape == (3, backbone.features)
    assert features.isfinite().all()


@pytest.mark.parametrize(
    ("kind", "shape"), [("resnet14", (2, 7, 11)), ("resnet10", (5, 33, 40)), ("convnet4", (1, 45, 32))]
)
def test_images_need_not_be_square_even_or_coloured(kind, shape):
    backbone = build_backbone(kind, shape, generator()).eval()
    assert backbone(torch.rand(2, *shape)).shape == (2, backbone.features)


@pytest.mark.parametrize("kind", ["resnet14", "resnet10", "convnet4", "mlp"])
def test_weights_repeat_from_a_generator_and_draw_from_nothing_else(kind):
    shape = (3, 32, 32)
    before = torch.get_rng_state()
    a, b, other = (build_backbone(kind, shape, generator(seed)).state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert any(not torch.equal(a[name], other[name]) for name in a)


@pytest.mark.parametrize("kind", ["resnet14", "resnet26-bottleneck", "convnet2"])
def test_the_state_goes_round(kind):
    shape = (3, 32, 32)
    trained, fresh = (build_backbone(kind, shape, generator(seed)) for seed in (0, 1))
    x = torch.rand(4, *shape, generator=generator(2))
    trained.train()(x)  # moves the batch-norm statistics
    fresh.load_state_dict(trained.state_dict(), strict=True)
    assert torch.equal(fresh.eval()(x), trained.eval()(x))


@pytest.mark.parametrize("kind", ["resnet32", "resnet18"])
def test_initial_weights(kind):
    backbone = build_backbone(kind, (3, 32, 32), generator())
    for layer in backbone.modules():
        if isinstance(layer, nn.Conv2d) and layer.weight.numel() > 5_000:
            deviation = (2 / (layer.kernel_size[0] ** 2 * layer.out_channels)) ** 0.5
            assert float(layer.weight.detach().std()) == pytest.approx(deviation, rel=0.05)
        if isinstance(layer, nn.BatchNorm2d):
            assert bool((layer.weight == 1).all())
            assert bool((layer.bias == 0).all())


def test_the_parameter_free_shortcut_appends_channels_of_zeros():
    group = build_backbone("resnet14", (1, 8, 8), generator()).eval().stages[2]
    block = group[0]
    for parameter in block.parameters():
        nn.init.zeros_(parameter)  # leaves relu(shortcut)
    x = torch.rand(2, 16, 7, 8, generator=generator(1))
    out = block(x)
    assert torch.equal(out[:, :16], x[:, :, ::2, ::2])
    assert not out[:, 16:].any()


@pytest.mark.parametrize("kind", [kind for kind, *_ in SIZES])
def test_features_are_refused_in_one_line(kind):
    with pytest.raises(
        OptionError, match=rf"^backbone: {kind} cannot take samples of shape \[64\]; allowed: images of"
    ):
        meta_backbone(kind, (64,))


@pytest.mark.parametrize(
    ("kind", "shape", "least"),
    [("resnet20", (3, 3, 8), 4), ("resnet18", (3, 31, 32), 32), ("convnet4", (3, 32, 31), 32)],
)
def test_images_that_the_strides_use_up_are_refused(kind, shape, least):
    with pytest.raises(OptionError, match=f"allowed: images of {least}x{least} or more"):
        meta_backbone(kind, shape)
    meta_backbone(kind, (3, least, least))


def test_vectors_go_through_an_mlp_stage_by_stage():
    backbone = build_backbone({"kind": "mlp", "width": 5, "depth": 3}, (7,), generator())
    assert [stage(torch.zeros(2, n)).shape for stage, n in zip(backbone.stages, (7, 5, 5), strict=True)] == [
        (2, 5)
    ] * 3
    sizes = backbone_sizes({"kind": "mlp", "width": 5, "depth": 3}, (7,))
    assert sizes == (5, 70, 30, 0, 0)
    assert backbone_sizes("identity", (7,)) == (7, 0, 0, 0, 0)


@pytest.mark.parametrize(("kind", "parameters"), [(kind, parameters) for kind, _, parameters, *_ in SIZES])
def test_what_a_backbone_says_about_itself_is_its_size(kind, parameters):
    assert f"{parameters:,} parameters" in load("backbones", kind).__doc__
