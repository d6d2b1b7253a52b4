"""What growing networks will hold, against the published traces and against real networks."""

import pytest
import torch

from cl_engine.memory.alignment.growth import (
    expandable_growth,
    head_parameters,
    memo_growth,
    single_growth,
)
from cl_engine.memory.alignment.sizes import backbone_sizes
from cl_engine.memory.ledger import held_bytes, ledger
from cl_engine.models.network import Network

IMAGE = 3 * 32 * 32
INC10, INC5 = [10] * 10, [5] * 20


@pytest.fixture(scope="module")
def resnet32():
    return backbone_sizes("resnet32", (3, 32, 32))


@pytest.mark.parametrize(
    ("t", "parameters", "head", "buffers"),
    [
        (1, 463_504, 650, 9_336),
        (2, 814_992, 2_580, 14_536),
        (5, 1_869_456, 16_050, 30_136),
        (10, 3_626_896, 64_100, 56_136),
    ],
)
def test_trace_of_memo(resnet32, t, parameters, head, buffers):
    """ResNet-32, ten experiences of ten classes; the head is [10 t, 64 t] with biases."""
    held = memo_growth(resnet32, INC10)[t - 1]
    assert held == (4 * parameters, 4 * head, buffers)
    assert head_parameters(10 * t, 64 * t) == head
    assert held.under("paper") == 4 * parameters
    assert held.under("full") == 4 * (parameters + head) + buffers


def test_trace_of_der(resnet32):
    for t, held in enumerate(expandable_growth(resnet32, INC10), start=1):
        assert held == (4 * t * 463_504, 4 * (10 * t * 64 * t + 10 * t), t * 9_336)


def test_heads_that_the_paper_does_not_count(resnet32):
    for growth in (memo_growth, expandable_growth):
        ten, twenty = growth(resnet32, INC10)[-1].head, growth(resnet32, INC5)[-1].head
        assert (ten, ten // IMAGE) == (256_400, 83)
        assert (twenty, round(twenty / IMAGE)) == (4 * 128_100, 167)
    single = single_growth(resnet32, INC10)[-1].head
    assert (single, round(single / IMAGE, 1)) == (4 * 6_500, 8.5)


@pytest.mark.parametrize(
    ("growth", "buffers", "exemplars"),
    [(memo_growth, 56_136, 18), (expandable_growth, 93_360, 30), (single_growth, 9_336, 3)],
)
def test_batch_norm_statistics_that_the_paper_does_not_count(resnet32, growth, buffers, exemplars):
    assert growth(resnet32, INC10)[-1].buffers == buffers
    assert buffers // IMAGE == exemplars


def test_a_teacher_that_the_paper_does_not_count(resnet32):
    last = single_growth(resnet32, INC10)[-1]
    teacher = last.parameters + last.head
    assert teacher == 1_880_016
    assert teacher / IMAGE == pytest.approx(612, abs=0.5)


def test_experiences_need_not_be_equal(resnet32):
    held = memo_growth(resnet32, [50, 5, 0])
    assert [h.head for h in held] == [4 * 50 * 65, 4 * 55 * 129, 4 * 55 * 193]
    assert len({h.under("paper") for h in held}) == 3


def test_no_backbone_is_added_where_no_class_is_new(resnet32):
    held = expandable_growth(resnet32, [50, 0, 5, 0])
    assert [h.parameters for h in held] == [4 * t * 463_504 for t in (1, 1, 2, 2)]
    assert [h.head for h in held] == [4 * 50 * 65, 4 * 50 * 65, 4 * 55 * 129, 4 * 55 * 129]


@pytest.mark.parametrize("policy", ["full", "paper"])
def test_the_ledger_of_a_real_network_says_the_same(policy):
    network = Network("resnet14", (1, 8, 8), torch.Generator().manual_seed(0), torch.device("cpu"))
    for planned, seen in zip(single_growth(backbone_sizes("resnet14", (1, 8, 8)), [2, 3]), (2, 5), strict=True):
        network.head.grow(seen, torch.Generator().manual_seed(0))
        assert held_bytes(ledger(network), policy) == planned.under(policy)
