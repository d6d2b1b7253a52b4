"""Heads: how they grow, what they score, what they cost."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from cl_engine.memory.ledger import held_bytes, ledger
from cl_engine.models import weight_alignment
from cl_engine.models.heads import CosineHead, Head, ProxyHead, SimplexHead
from cl_engine.models.network import Head as HeadOfNetwork
from cl_engine.models.network import Network
from cl_engine.models.simplex import simplex
from cl_engine.strategies.references.finetune import Finetune
from cl_engine.testing import check_strategy


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def grown(head, classes, seed=0, **options):
    head.grow(classes, generator(seed), **options)
    return head


def features(count, width, seed=1):
    return torch.randn(count, width, generator=generator(seed))


# linear


def test_the_head_of_a_network_is_this_head():
    assert HeadOfNetwork is Head


def test_a_head_of_one_width_draws_bias_and_weights_of_each_new_row_together():
    head, g = Head(3), generator(5)
    head.grow(2, generator(5))
    first = torch.empty(2, 4).uniform_(-1 / math.sqrt(3), 1 / math.sqrt(3), generator=g)
    assert torch.equal(head.weight, first[:, 1:])
    assert torch.equal(head.bias, first[:, 0])
    head.grow(5, generator(6), features=3)
    second = torch.empty(3, 4).uniform_(-1 / math.sqrt(3), 1 / math.sqrt(3), generator=generator(6))
    assert torch.equal(head.weight, torch.cat([first, second])[:, 1:])
    assert torch.equal(head.bias, torch.cat([first, second])[:, 0])


def test_a_head_that_grows_both_ways_keeps_the_old_block_and_draws_all_the_rest():
    head = grown(Head(4), 3)
    weight, bias = head.weight.detach().clone(), head.bias.detach().clone()
    grown(head, 5, seed=7, features=400)
    assert torch.equal(head.weight[:3, :4], weight)
    assert torch.equal(head.bias[:3], bias)
    bound = 1 / math.sqrt(400)
    for drawn in (head.weight[:3, 4:], head.weight[3:], head.bias[3:]):
        assert (drawn != 0).all()
        assert drawn.abs().max() <= bound
    for large in (head.weight[:3, 4:], head.weight[3:]):  # uniform: variance bound^2 / 3
        assert large.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1)
        assert large.mean().item() == pytest.approx(0, abs=0.1 * bound)
    again = copy.deepcopy(grown(grown(Head(4), 3), 5, seed=7, features=400))
    assert torch.equal(again.weight, head.weight)


def test_old_scores_move_only_by_the_new_columns():
    head, f = grown(Head(4), 3), features(6, 9)
    before = head(f[:, :4])
    grown(head, 5, features=9)
    torch.testing.assert_close(head(f)[:, :3], before + f[:, 4:] @ head.weight[:3, 4:].T)


def test_a_head_grows_to_the_sizes_that_memo_trains():
    head, sizes = Head(64), {}
    for t in range(1, 11):
        grown(head, 10 * t, seed=t, features=64 * t)
        sizes[t] = sum(p.numel() for p in head.parameters())
    assert head.weight.shape == (100, 640)
    assert {t: sizes[t] for t in (1, 2, 5, 10)} == {1: 650, 2: 2_580, 5: 16_050, 10: 64_100}


@pytest.mark.parametrize(
    ("classes", "width", "message"), [(2, 4, "3 classes .* 2; allowed: 3"), (3, 3, "4 features")]
)
def test_a_head_cannot_shrink(classes, width, message):
    head = grown(Head(4), 3)
    with pytest.raises(ValueError, match=message):
        grown(head, classes, features=width)
    assert head.weight.shape == (3, 4)


def test_a_linear_head_is_linear():
    head, f = grown(Head(4), 3), features(6, 4)
    w, b = (p.detach().double().numpy() for p in (head.weight, head.bias))
    np.testing.assert_allclose(head(f).detach().numpy(), f.numpy() @ w.T + b, atol=1e-6)


# proxies


def test_scores_of_proxies_are_cosines_weighted_by_their_own_softmax():
    head, f = grown(ProxyHead(4, proxies=3), 2).double(), features(5, 4).double()
    grown(head, 5, seed=3)
    head.double().scale.data.fill_(2.5)
    found, w = head(f).detach().numpy(), head.weight.detach().numpy()
    assert w.shape == (5, 3, 4)
    for i, row in enumerate(f.numpy()):
        for c, proxies in enumerate(w):
            cosines = proxies @ row / np.linalg.norm(proxies, axis=1) / np.linalg.norm(row)
            share = np.exp(cosines) / np.exp(cosines).sum()
            assert found[i, c] == pytest.approx(2.5 * (share * cosines).sum(), rel=1e-12)


def test_scores_of_proxies_are_the_published_ones():
    r = np.random.default_rng(13)
    r.standard_normal((2, 2, 3, 4, 4))
    f = r.standard_normal((4, 6))
    r.standard_normal((4, 6)), r.uniform(-1, 1, (4, 5)), r.integers(0, 5, 4)
    head = grown(ProxyHead(6, proxies=3), 5).double()
    head.new.data = torch.tensor(r.standard_normal((5, 3, 6)))
    scores = head(torch.tensor(f)).detach().numpy()
    np.testing.assert_allclose(scores[0], [0.26571147, 0.21510616, -0.08318752, 0.44380056, 0.21536355], atol=5e-9)


def test_proxies_of_old_classes_stay_and_stand_apart_and_all_are_charged_to_the_head():
    head = grown(ProxyHead(64), 4)
    before = head.weight.detach().clone()
    grown(head, 10, seed=3)
    assert torch.equal(head.old, before)
    assert (head.new.shape, head.new.abs().max() <= 1 / 8) == ((6, 10, 64), True)
    assert {e.kind for e in ledger(head)} == {"head"}
    assert held_bytes(ledger(head)) == 2560 * 10 + 4
    with pytest.raises(ValueError, match="10 classes cannot have 9; allowed: 10 or more"):
        grown(head, 9)


# weight alignment


def test_weight_alignment_equals_the_published_factor():
    w = torch.tensor(np.random.default_rng(11).standard_normal((6, 4)))
    w[4:] *= 2
    aligned = weight_alignment(w, 4)
    assert torch.equal(aligned[:4], w[:4])
    torch.testing.assert_close(aligned[4:], 0.51311118 * w[4:], rtol=2e-8, atol=0)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 6), st.integers(1, 5))
def test_alignment_gives_new_rows_the_mean_norm_of_the_old_ones_and_keeps_their_ratios(seed, old, new, d):
    w = np.random.default_rng(seed).standard_normal((old + new, d))
    before = w.copy()
    aligned = weight_alignment(torch.tensor(w), old).numpy()
    norms = np.linalg.norm(aligned, axis=1)
    gamma = np.linalg.norm(w[:old], axis=1).mean() / np.linalg.norm(w[old:], axis=1).mean()
    np.testing.assert_allclose(aligned[old:], gamma * w[old:], rtol=1e-12)
    assert norms[old:].mean() == pytest.approx(norms[:old].mean())
    np.testing.assert_allclose(weight_alignment(torch.tensor(aligned), old).numpy(), aligned, rtol=1e-12)
    np.testing.assert_array_equal(w, before)


def test_shrink_aligns_only_rows_that_are_longer_and_never_none():
    w = torch.tensor([[3.0, 4], [0, 1], [6, 8]])  # norms 5, 1, 10
    assert torch.equal(weight_alignment(w, 1, "never"), w)
    assert torch.equal(weight_alignment(w, 2, "shrink"), weight_alignment(w, 2, "always"))
    np.testing.assert_allclose(weight_alignment(w, 2, "shrink")[2], [1.8, 2.4], rtol=1e-6)
    assert torch.equal(weight_alignment(w.flip(0), 1, "shrink"), w.flip(0))
    np.testing.assert_allclose(weight_alignment(w.flip(0), 1, "always")[1], [0, 10 / 3], rtol=1e-6)


@pytest.mark.parametrize(("rows", "old"), [(4, 0), (4, 4), (0, 0)])
def test_without_old_or_without_new_rows_alignment_changes_nothing(rows, old):
    w = features(rows, 3)
    aligned = weight_alignment(w, old)
    assert torch.equal(aligned, w)
    assert rows == 0 or aligned.data_ptr() != w.data_ptr()


def test_new_rows_of_0_stay_0_without_nan_and_without_nan_in_the_gradient():
    w = torch.tensor([[3.0, 4], [0, 0]], requires_grad=True)
    aligned = weight_alignment(w, 1)
    assert torch.equal(aligned, w)
    aligned.sum().backward()
    assert w.grad.isfinite().all()


@pytest.mark.parametrize(("shape", "old"), [((3, 2), 4), ((3, 2), -1), ((3,), 1)])
def test_alignment_says_what_it_can_take(shape, old):
    with pytest.raises(ValueError, match=r"allowed: \[C, D\] and 0 to C"):
        weight_alignment(torch.ones(shape), old)


def test_a_head_aligns_in_place_under_the_optimizer_and_leaves_its_biases():
    head = grown(Head(4), 5)
    weight, expected, bias = head.weight, weight_alignment(head.weight.detach(), 3), head.bias.detach().clone()
    head.align(3)
    assert head.weight is weight
    assert torch.equal(weight, expected)
    assert torch.equal(head.bias, bias)
    assert weight.requires_grad
    assert weight.is_leaf
    assert weight.grad is None
    head.align(3)
    torch.testing.assert_close(weight, expected)


# cosine


def test_a_cosine_head_scores_cosines_times_its_learned_scale():
    head, f = grown(CosineHead(4), 3), features(6, 4)
    assert head.scale == 1
    with torch.no_grad():
        head.scale.fill_(2.5)
    w, x = head.weight.detach().double().numpy(), f.double().numpy()
    cosines = (x @ w.T) / np.linalg.norm(x, axis=1)[:, None] / np.linalg.norm(w, axis=1)
    scores = head(f)
    np.testing.assert_allclose(scores.detach().numpy(), 2.5 * cosines, atol=1e-6)
    torch.testing.assert_close(head(100 * f), scores)
    scores.sum().backward()
    assert head.scale.grad.item() == pytest.approx(cosines.sum(), abs=1e-5)
    assert (head.weight.grad * head.weight).sum(1).abs().max() < 1e-6  # the length of a row does not matter
    assert head(torch.zeros(1, 4)).isfinite().all()


def test_a_cosine_head_grows_by_rows_and_keeps_rows_and_scale():
    head = grown(CosineHead(400), 3)
    weight = head.weight.detach().clone()
    with torch.no_grad():
        head.scale.fill_(7)
    grown(head, 5, seed=2)
    assert head.weight.shape == (5, 400)
    assert torch.equal(head.weight[:3], weight)
    assert 0.9 / 20 < head.weight[3:].abs().max() <= 1 / 20
    assert head.scale == 7
    with pytest.raises(ValueError, match="5 classes cannot have 4; allowed: 5 or more"):
        grown(head, 4)


# simplex


def test_a_simplex_head_scores_its_vertices_after_a_projection_without_bias():
    head, f = grown(SimplexHead(6, reserved=5), 3), features(8, 6)
    z = f.double().numpy() @ head.weight.detach().double().numpy().T
    assert z.shape == (8, 4)
    np.testing.assert_allclose(head.project(f).detach().numpy(), z, atol=1e-6)
    expected = z @ simplex(5).double().numpy().T
    np.testing.assert_allclose(head.reserved_scores(f).detach().numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(head(f).detach().numpy(), expected[:, :3], atol=1e-6)


def test_from_the_end_class_c_has_the_vertex_that_is_so_far_from_the_last_and_all_vertices_are_in_the_softmax():
    head, f = SimplexHead(4, reserved=5, from_end=True), features(8, 4)
    head.grow(2, torch.Generator())
    torch.testing.assert_close(head(f), f @ simplex(5)[[4, 3]].T)
    first = grown(SimplexHead(4, reserved=5), 2)
    torch.testing.assert_close(head.reserved_scores(f).logsumexp(1), first.reserved_scores(f).logsumexp(1))


def test_a_simplex_head_for_features_of_its_width_has_nothing_to_learn():
    head, f = grown(SimplexHead(4, reserved=5), 3), features(8, 4)
    assert list(head.parameters()) == []
    assert torch.equal(head.project(f), f)
    torch.testing.assert_close(head(f), f @ simplex(5)[:3].T)


def test_a_class_keeps_its_direction_when_others_arrive():
    head, f = grown(SimplexHead(6, reserved=5), 2), features(8, 6)
    before, weight = head(f), head.weight
    grown(head, 5, seed=9)
    assert torch.equal(head(f)[:, :2], before)
    assert head.weight is weight
    with pytest.raises(ValueError, match="6 classes; allowed: as many as are reserved, 5"):
        grown(head, 6)
    with pytest.raises(ValueError, match="5 classes cannot have 4; allowed: 5 or more"):
        grown(head, 4)


def test_training_moves_the_projection_and_never_the_vertices():
    head, f = grown(SimplexHead(6, reserved=5), 3), features(8, 6).requires_grad_()
    nn.functional.cross_entropy(head.reserved_scores(f), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])).backward()
    assert head.weight.grad.norm() > 0
    assert f.grad.norm() > 0
    assert not head.vertices.requires_grad
    assert [name for name, _ in head.named_parameters()] == ["weight"]


def test_the_projection_is_drawn_from_the_generator_and_from_no_other():
    state = torch.get_rng_state()
    head = grown(SimplexHead(100, reserved=5), 3, seed=4)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(head.weight, torch.empty(4, 100).uniform_(-0.1, 0.1, generator=generator(4)))


# the ledger


def test_what_each_head_costs_is_of_kind_head_and_vertices_are_regenerable():
    def listed(head):
        return {(e.kind, e.name, e.shape, e.bytes) for e in ledger(head)}

    assert listed(grown(Head(4), 3)) == {("head", "weight", (3, 4), 48), ("head", "bias", (3,), 12)}
    assert listed(grown(CosineHead(4), 3)) == {("head", "weight", (3, 4), 48), ("head", "scale", (), 4)}
    head = grown(SimplexHead(512, reserved=1024), 10)
    vertices = ("regenerable", "vertices", (1024, 1023), 0)
    assert listed(head) == {("head", "weight", (1023, 512), 4 * 523_776), vertices}
    assert held_bytes(ledger(head), "paper") == 0
    assert list(head.state_dict()) == ["weight"]
    assert listed(grown(SimplexHead(4, reserved=5), 3)) == {("regenerable", "vertices", (5, 4), 0)}


class WithCosine(Finetune):
    """Finetune with a cosine head."""

    def begin(self, task):
        if task.index == 0:
            self.network = Network(self.backbone, task.shape, task.generator("backbone"), task.device)
            self.network.head = CosineHead(self.network.backbone.features).to(task.device)
        self.network.head.grow(task.seen_classes, task.generator("head"))


class WithSimplex(Finetune):
    """Finetune with a simplex head."""

    def begin(self, task):
        if task.index == 0:
            self.network = Network(self.backbone, task.shape, task.generator("backbone"), task.device)
            self.network.head = SimplexHead(self.network.backbone.features, reserved=8).to(task.device)
        self.network.head.grow(task.seen_classes, task.generator("head"))


@pytest.mark.parametrize("strategy", [WithCosine, WithSimplex])
def test_a_strategy_with_such_a_head_keeps_the_contract(strategy):
    check_strategy(strategy)
