"""Outputs of stages: those that hooks see, the last one before it is pooled."""

import pytest
import torch
from torch import nn

from cl_engine.models.network import Network
from cl_engine.models.stage_maps import features_and_maps


def made(backbone, shape=(1, 8, 8)):
    return Network(backbone, shape, torch.Generator().manual_seed(0), torch.device("cpu"))


@pytest.mark.parametrize(
    ("backbone", "shapes"),
    [
        ("resnet14", [(16, 8, 8), (16, 8, 8), (32, 4, 4), (64, 2, 2)]),
        ("convnet2", [(64, 4, 4), (64, 2, 2)]),
        ("mlp", [(128,), (128,)]),
        ("identity", [(64,)]),
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_features_are_the_networks_and_maps_what_its_stages_put_out(backbone, shapes, training):
    network, x, seen = made(backbone).train(training), torch.randint(0, 255, (3, 1, 8, 8), dtype=torch.uint8), []
    for stage in list(network.backbone.stages)[:-1]:
        stage.register_forward_hook(lambda *call: seen.append(call[-1]))
    expected = network.backbone(network.inputs(x))
    features, maps = features_and_maps(network, x)
    assert [m.shape[1:] for m in maps] == shapes
    assert torch.equal(features, expected)
    assert all(torch.equal(m, s) for m, s in zip(maps[:-1], seen, strict=False))
    pooled = maps[-1].mean((2, 3)) if maps[-1].ndim == 4 else maps[-1]
    torch.testing.assert_close(pooled, features)


class Doubling(nn.Sequential):
    def forward(self, x):
        return 2 * super().forward(x)


def test_a_stage_with_a_forward_of_its_own_is_not_walked_through():
    network = made("mlp")
    network.backbone.stages[-1] = Doubling(nn.Linear(128, 128))
    x = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    assert torch.equal(features_and_maps(network, x)[0], network.backbone(network.inputs(x)))
