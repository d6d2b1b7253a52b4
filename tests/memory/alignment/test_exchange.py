"""Memory alignment: the paper's exchange of parameters for exemplars, in whole numbers."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_engine.memory.alignment.exchange import (
    align,
    expandable_parameters,
    experiences,
    memo_parameters,
    model_bytes,
    worth_in_exemplars,
)
from cl_engine.memory.alignment.sizes import backbone_sizes

CIFAR, IMAGENET = 3 * 32 * 32, 3 * 224 * 224
RESNET32 = 463_504

# kind, image size, what it is worth in exemplars before rounding down
WORTH = [
    ("convnet2", 32, 50.75), ("resnet14", 32, 223.8), ("resnet20", 32, 350.4), ("resnet26", 32, 476.9),
    ("resnet32", 32, 603.5), ("convnet4", 224, 24.1), ("resnet10", 224, 130.4), ("resnet18", 224, 297.0),
    ("resnet26-bottleneck", 224, 370.6), ("resnet34", 224, 565.6), ("resnet50", 224, 624.7),
]  # fmt: skip


def test_463504_parameters_are_worth_603_exemplars():
    assert worth_in_exemplars(463_504, CIFAR) == 603


def test_rounded_down_once_and_not_backbone_by_backbone():
    aligned = align({"single": RESNET32, "der-expandable": 10 * RESNET32}, 2000, CIFAR)
    assert aligned["single"].exemplars == 7431
    assert 2000 + 9 * worth_in_exemplars(RESNET32, CIFAR) == 7427


def test_a_resnet18_is_worth_296_exemplars_and_nearly_297():
    assert worth_in_exemplars(11_176_512, IMAGENET) == 296
    assert model_bytes(11_176_512) == 44_706_048


@pytest.mark.parametrize(("kind", "size", "worth"), WORTH)
def test_what_each_backbone_is_worth(kind, size, worth):
    parameters, image = backbone_sizes(kind, (3, size, size)).parameters, 3 * size * size
    assert model_bytes(parameters) / image == pytest.approx(worth, abs=0.05)
    assert worth_in_exemplars(parameters, image) == model_bytes(parameters) // image


def test_memory_in_mib():
    assert model_bytes(RESNET32) / 2**20 == pytest.approx(1.76813, abs=1e-5)
    mib = 7431 * CIFAR / 2**20
    assert mib == pytest.approx(21.7705, abs=1e-4)


def test_a_cut_after_the_first_group():
    """MEMO-2 of the paper: ResNet-32 cut one group earlier; MEMO at its size gets 3,033 exemplars."""
    early, late = memo_parameters(RESNET32 - 439_680, 439_680, 10), memo_parameters(112_016, 351_488, 10)
    assert early == 4_420_624
    assert align({"early": early, "late": late}, 2000, CIFAR)["late"].exemplars == 3033


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.integers(1, 30), st.integers(1, 10**6))
def test_aligned_methods_have_equal_memory_up_to_one_image(g, s, t, image):
    models = {"single": g + s, "der": expandable_parameters(g, s, t), "memo": memo_parameters(g, s, t)}
    aligned = align(models, 100, image)
    largest = max(a.bytes for a in aligned.values())
    assert aligned["der"].exemplars == 100
    assert all(largest - image < a.bytes <= largest for a in aligned.values())
    assert aligned["single"].exemplars == 100 + worth_in_exemplars((t - 1) * (g + s), image)
    assert aligned["memo"].exemplars == 100 + worth_in_exemplars((t - 1) * g, image)


@pytest.mark.parametrize(
    ("stream", "expected"), [((100, 10, 10), 10), ((100, 50, 5), 11), ((100, 50, 25), 3), ((10, 10, 3), 1)]
)
def test_experiences(stream, expected):
    assert experiences(*stream) == expected


@pytest.mark.parametrize("stream", [(100, 10, 7), (10, 20, 5)])
def test_classes_that_do_not_divide_are_refused(stream):
    with pytest.raises(ValueError, match="cannot be"):
        experiences(*stream)


def test_the_arithmetic_needs_no_torch():
    code = "import sys, cl_engine.memory.alignment; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
