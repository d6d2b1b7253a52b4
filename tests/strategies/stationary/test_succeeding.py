"""What is learned from the model before: BCT's contrast, LCE, MixBCT; published numbers and float64 NumPy."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from cl_engine.data.samples import Samples
from cl_engine.losses import backward_contrastive
from cl_engine.strategies.stationary.bct import BCT
from cl_engine.strategies.stationary.er import ER
from cl_engine.strategies.stationary.lce import LCE, lce_terms
from cl_engine.strategies.stationary.mixbct import MixBCT, chosen
from cl_engine.strategies.stationary.succeeding import class_bounds
from tests.numeric import numeric
from tests.strategies.fixed import digits, learned, rebuilder

WIDTH = 128  # of the default backbone


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def cross_entropies(scores, y):
    return np.log(np.exp(scores).sum(1)) - scores[np.arange(len(y)), y]


def contrast(new, old, y, temperature, among_new):
    """Row by row, as it is defined."""
    new, old, losses = unit(new), unit(old), []
    for i in range(len(y)):
        others = [j for j in range(len(y)) if y[j] != y[i]]
        scores = [new[i] @ old[i], *(new[i] @ old[j] for j in others)]
        if among_new:
            scores += [new[i] @ new[j] for j in others]
        top = max(scores)
        losses.append(
            (top - scores[0]) / temperature + math.log(sum(math.exp((s - top) / temperature) for s in scores))
        )
    return np.mean(losses)


def contrast_case():
    r = np.random.default_rng(1)
    return r.standard_normal((5, 8)), r.standard_normal((5, 8)), np.array([0, 0, 1, 2, 2])


@pytest.mark.parametrize(
    ("temperature", "among_new", "published"),
    [(0.05, False, 7.99558107), (0.05, True, 8.78066449), (0.01, True, 43.37747370)],
)
def test_the_contrast_of_bct_and_that_of_ract_have_the_published_values_and_their_gradients(
    temperature, among_new, published
):
    new, old, y = contrast_case()
    leaf, before = torch.tensor(new, requires_grad=True), torch.tensor(old, requires_grad=True)
    loss = backward_contrastive(leaf, before, torch.tensor(y), temperature, among_new)
    loss.backward()
    assert loss.item() == pytest.approx(published, abs=5e-9)
    assert loss.item() == pytest.approx(contrast(new, old, y, temperature, among_new), abs=1e-12)
    expected = numeric(lambda x: contrast(x, old, y, temperature, among_new), new)
    np.testing.assert_allclose(leaf.grad.numpy(), expected, atol=1e-6)
    assert before.grad is None


def test_without_another_class_in_the_batch_the_contrast_is_0():
    new, old, _ = contrast_case()
    for among_new in (False, True):
        loss = backward_contrastive(
            torch.tensor(new), torch.tensor(old), torch.zeros(5, dtype=torch.int64), 0.1, among_new
        )
        assert loss.item() == 0


def lce_case():
    r = np.random.default_rng(2)
    h, w, c = (unit(r.standard_normal(shape)) for shape in ((6, 4), (3, 4), (3, 4)))
    return h, w, c, r.uniform(0.2, 0.8, 3), np.array([0, 1, 2, 0, 1, 2])


def test_lce_has_the_published_values_whatever_the_lengths_of_features_and_classifier():
    h, w, c, b, y = lce_case()
    for scale in (1.0, 3.0):
        align, bound = lce_terms(*(torch.tensor(x) for x in (scale * h, scale * w, c, b, y)))
        assert align.item() == pytest.approx(0.61870943, abs=5e-9)
        assert bound.item() == pytest.approx(0.50921045, abs=5e-9)


def test_the_loss_of_lce_is_that_of_numpy_and_so_are_its_gradients():
    h, w, c, b, y = lce_case()

    def oracle(h, w):
        inside = (unit(h) * c[y]).sum(1)
        bound = np.maximum(b[y] - inside, 0).mean()
        return cross_entropies(h @ w.T, y).mean() + 100 * ((unit(w) - c) ** 2).mean() + bound

    strategy = with_network(LCE(), h, w)
    loss = strategy.aligned(batch(y), torch.tensor(c), torch.tensor(b))
    loss.backward()
    plain = cross_entropies(h @ w.T, y).mean()
    assert loss.item() == pytest.approx(plain + 62.38015350, abs=5e-8)
    np.testing.assert_allclose(strategy.network.h.grad.numpy(), numeric(lambda x: oracle(x, w), h), atol=1e-6)
    np.testing.assert_allclose(
        strategy.network.head.weight.grad.numpy(), numeric(lambda x: oracle(h, x), w), atol=1e-6
    )


def test_a_class_that_has_no_old_centre_has_no_part_in_the_terms_of_lce():
    h, w, c, b, y = lce_case()
    align, bound = lce_terms(*(torch.tensor(x) for x in (h, w, c, np.array([b[0], b[1], np.inf]), y)))
    assert align.item() == pytest.approx(((w[:2] - c[:2]) ** 2).mean())
    kept = y < 2
    assert bound.item() == pytest.approx(np.maximum(b[y] - (h * c[y]).sum(1), 0)[kept].mean())


class Given(nn.Module):
    """Features that are given, float64, under a linear classifier."""

    def __init__(self, h, w=None):
        super().__init__()
        self.h = nn.Parameter(torch.tensor(h))
        self.head = nn.Linear(h.shape[1], 1, bias=False)
        if w is not None:
            self.head.weight = nn.Parameter(torch.tensor(w))

    def features(self, x):
        return self.h[x[:, 0].long()]


class Raw:
    class codec:
        of_features = False


def with_network(strategy, h, w):
    strategy.__dict__["memory"] = Raw()
    strategy.network = Given(h, w)
    return strategy


def batch(y):
    return Samples(torch.arange(len(y))[:, None], torch.from_numpy(y))


def test_the_contrast_of_bct_stands_beside_the_cross_entropy_with_its_weight():
    h, old, y = contrast_case()
    w = np.random.default_rng(9).standard_normal((3, 8))
    for form in ("contrastive", "ract"):
        strategy = with_network(BCT(form=form, influence=0.5), h, w)
        loss = strategy.contrasted(batch(y), Given(old))
        expected = cross_entropies(h @ w.T, y).mean() + 0.5 * contrast(h, old, y, 0.01, form == "ract")
        assert loss.item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("share", [1.0, 0.9, 0.5])
def test_centres_and_bounds_are_those_that_numpy_sorts_out_class_by_class(share):
    r = np.random.default_rng(3)
    features, y = r.standard_normal((40, 5)), r.integers(0, 4, 40)
    centres, bounds = class_bounds(torch.tensor(features), torch.from_numpy(y), 5, share)
    for label in range(4):
        own = unit(features[y == label])
        centre = unit(own.mean(0))
        np.testing.assert_allclose(centres[label].numpy(), centre, atol=1e-12)
        nearest = np.sort(np.linalg.norm(own - own.mean(0), axis=1))[: math.ceil(share * len(own))]
        within = own @ centre >= bounds[label].item() - 1e-12
        np.testing.assert_allclose(np.sort(np.linalg.norm(own - own.mean(0), axis=1)[within]), nearest)
    assert not centres[4].any()
    assert bounds[4] == math.inf


def test_mixbct_puts_credible_old_features_in_the_place_of_new_ones_and_nothing_flows_into_those():
    r = np.random.default_rng(4)
    h, old, w = (r.standard_normal(shape) for shape in ((8, 5), (8, 5), (3, 5)))
    y = np.array([0, 1, 2, 0, 1, 2, 0, 1])
    centres = unit(r.standard_normal((3, 5)))
    cosines = (unit(old) * centres[y]).sum(1)
    middle = np.sort(cosines[y == 1])[:2].mean()
    bounds = np.array([-1.0, middle, np.inf])  # all of class 0, two of class 1, none of 2
    credible = (y == 0) | ((y == 1) & (cosines >= bounds[1]))
    assert credible.sum() == 5
    mixed = np.where(credible[:, None], old, h)

    strategy = with_network(MixBCT(mix_ratio=1.0), h, w)
    told = [torch.tensor(x) for x in (centres, bounds)]
    loss = strategy.mixed(batch(y), Given(old), *told, torch.Generator())
    loss.backward()
    assert loss.item() == pytest.approx(cross_entropies(mixed @ w.T, y).mean(), abs=1e-12)
    expected = numeric(lambda x: cross_entropies(np.where(credible[:, None], old, x) @ w.T, y).mean(), h)
    np.testing.assert_allclose(strategy.network.h.grad.numpy(), expected, atol=1e-8)
    assert not strategy.network.h.grad[torch.from_numpy(credible)].any()
    expected = numeric(lambda x: cross_entropies(mixed @ x.T, y).mean(), w)  # the classifier sees both
    np.testing.assert_allclose(strategy.network.head.weight.grad.numpy(), expected, atol=1e-8)


def test_as_many_rows_are_mixed_as_asked_for_each_allowed_one_as_often_as_any_other():
    allowed, draw = torch.tensor([True, True, False, True, True]), torch.Generator().manual_seed(0)
    drawn = torch.stack([chosen(allowed, 2, draw) for _ in range(2000)])
    assert (drawn.sum(1) == 2).all()
    assert not drawn[:, 2].any()
    np.testing.assert_allclose(drawn.float().mean(0)[allowed].numpy(), 0.5, atol=0.05)
    assert chosen(allowed, 5, draw).tolist() == allowed.tolist()
    assert not chosen(allowed, 0, draw).any()


@pytest.mark.parametrize("kind", [BCT, LCE, MixBCT])
def test_in_the_first_experience_each_learns_as_er_does(kind):
    states = [learned(rebuilder(k), 1)[0].state_dict() for k in (kind, ER)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_what_comes_from_the_model_before_is_charged_while_training_and_not_held():
    charged = {}
    for kind, options in ((BCT, {"form": "ract"}), (LCE, {}), (MixBCT, {})):
        strategy, task = learned(rebuilder(kind, **options), 2)
        charged[kind] = task.transient
        backbone = sum(4 * p.numel() for p in strategy.network.backbone.parameters())
        assert not any("centre" in name or "teacher" in name for name in strategy.state_dict())
        if kind is not LCE:
            assert charged[kind]["teacher"] == backbone
    rows = len(digits(2, 3)) + len(digits(0, 1)[:200])
    for kind in (LCE, MixBCT):
        assert charged[kind]["class centres"] == 4 * 4 * (WIDTH + 1)
        assert charged[kind]["old features"] == 4 * rows * WIDTH
    assert "teacher" not in charged[LCE]


def test_the_centres_of_lce_are_those_of_samples_and_exemplars_by_the_model_before():
    made = rebuilder(LCE)
    strategy, _ = learned(made, 1)
    task, samples = made.terms.task(1), digits(2, 3)
    strategy.begin(task)
    kept = strategy.memory.samples()
    x, y = torch.cat([samples.x, kept.x]), torch.cat([samples.y, kept.y])
    with torch.no_grad():
        features = strategy.network.features(x)
    expected = class_bounds(features, y, 4)
    strategy.learn(task, samples)
    found = task.keep("class centres", lambda: None)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(("share", "within"), [(0.3, 15), (0.31, 16), (0.58, 29), (0.02, 1), (1.0, 50)])
def test_the_bound_of_a_share_is_the_cosine_of_the_last_sample_within_it(share, within):
    angles = torch.linspace(-1.0, 1.0, 51)[:50]  # around the centre the nearer half lies on both sides
    features = torch.stack([angles.cos(), angles.sin()], 1)
    centres, bounds = class_bounds(features, torch.zeros(50, dtype=torch.int64), 1, share)
    cosines = (features @ centres[0]).sort(descending=True).values
    assert bounds[0] == pytest.approx(float(cosines[within - 1]))
