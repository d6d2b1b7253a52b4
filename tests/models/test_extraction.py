"""Features in batches are the features."""

import pytest
import torch
from torch import nn

from cl_engine.models.backbone import Backbone, build_backbone
from cl_engine.models.extraction import VALUES, WORTH_FOLDING, features_of
from cl_engine.models.freezing import freeze
from cl_engine.models.inputs import Inputs
from tests.models.weights import randomised


def images(count):
    return torch.randint(0, 256, (count, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def backbone(kind):
    return randomised(build_backbone(kind, (3, 32, 32), torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("count", [0, 1, WORTH_FOLDING + 3])
@pytest.mark.parametrize("kind", ["resnet14", "efficientnet-lite0", "resnet10", "convnet2"])
@pytest.mark.parametrize("frozen", ["no", "parameters", "buffers"])
def test_batches_and_folded_norms_change_nothing(kind, count, frozen):
    made, x = backbone(kind), images(count)
    if frozen == "buffers":
        freeze(made, available=True)
    made.requires_grad_(frozen == "no")
    before = [t.clone() for t in (*made.parameters(), *made.buffers())]
    with torch.no_grad():
        expected = made(Inputs()(x))
    found = features_of(made, Inputs(), x, batch_size=100)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().amax()) if count else 0)
    assert not found.is_inference()  # so that a head can be trained on it
    assert all(torch.equal(a, b) for a, b in zip(before, (*made.parameters(), *made.buffers()), strict=True))


class Odd(Backbone):
    """Looks like convolution and norm, and computes something else."""

    def __init__(self, shape, /):
        super().__init__()
        self.features = 4
        self.stages = nn.Sequential(
            nn.Sequential(Twice(3, 4, 3), nn.BatchNorm2d(4)), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )


class Twice(nn.Conv2d):
    def forward(self, x):
        return 2 * super().forward(x)


def test_norms_after_a_convolution_of_the_users_own_are_left_alone():
    made, x = randomised(Odd((3, 32, 32))).requires_grad_(False), images(WORTH_FOLDING)
    torch.testing.assert_close(features_of(made, Inputs(), x), made(Inputs()(x)), rtol=1e-4, atol=1e-4)


def test_large_images_go_through_a_few_at_a_time():
    made, seen = backbone("resnet14").requires_grad_(False), []
    made.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape))
    features_of(made, Inputs(((0.5,) * 3, (0.5,) * 3), 64), images(50))
    assert sum(shape[0] for shape in seen) == 50
    assert all(shape.numel() <= VALUES for shape in seen)


def test_bfloat16_is_near_and_comes_back_as_float32():
    made, x = backbone("resnet14").requires_grad_(False), images(8)
    exact, near = features_of(made, Inputs(), x), features_of(made, Inputs(), x, precision="bf16")
    assert near.dtype == torch.float32
    assert 0 < float((near - exact).norm() / exact.norm()) < 0.1
