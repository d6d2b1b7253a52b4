"""Co2L: both losses against published numbers and NumPy, their gradients, its head, and what is held."""

import numpy as np
import pytest
import torch
from torch import nn

from cl_engine.data.samples import Samples
from cl_engine.memory.ledger import ledger
from cl_engine.strategies.rehearsal.co2l import Co2L, instance_relation_distillation
from cl_engine.testing import check_strategy
from tests.strategies.fixed import digits, learned, rebuilder

Y = torch.tensor([0, 1, 1, 0] * 2)


def published():
    r = np.random.default_rng(16)
    return r.standard_normal((8, 5)), r.standard_normal((8, 5))


def oracle(new, old, new_temperature, old_temperature):
    def relations(z, temperature, i):
        z = z / np.linalg.norm(z, axis=1, keepdims=True)
        e = np.exp(np.delete(z @ z[i], i) / temperature)
        return e / e.sum()

    terms = [
        -(relations(old, old_temperature, i) * np.log(relations(new, new_temperature, i))).sum()
        for i in range(len(new))
    ]
    return np.mean(terms)


def test_relations_of_samples_have_the_published_value_and_move_the_new_model_alone():
    new, old = (torch.tensor(z, requires_grad=True) for z in published())
    loss = instance_relation_distillation(new, old, 0.2, 0.01)
    assert loss.item() == pytest.approx(4.85667946, abs=5e-9)
    loss.backward()
    assert (new.grad.norm(dim=1) > 0).all()
    assert old.grad is None


@pytest.mark.parametrize("n", [2, 3, 7])
def test_relations_are_a_softmax_over_the_other_samples(n):
    r = np.random.default_rng(n)
    new, old = r.standard_normal((n, 4)), r.standard_normal((n, 6))
    found = instance_relation_distillation(torch.tensor(new), torch.tensor(old), 0.3, 0.7)
    assert found.item() == pytest.approx(oracle(new, old, 0.3, 0.7), rel=1e-10)


def test_relations_that_are_the_old_ones_have_no_gradient_and_a_lone_sample_has_none():
    z = torch.tensor(published()[0], requires_grad=True)
    instance_relation_distillation(z, z, 0.2, 0.2).backward()
    assert z.grad.abs().max() < 1e-14
    lone = torch.ones(1, 3, requires_grad=True)
    instance_relation_distillation(lone, lone, 0.2, 0.2).backward()
    assert lone.grad.abs().max() == 0


def contrast(y, here, strength=1.0, teacher=True):
    """Return the loss of the published projections, and the gradients of new and old ones."""
    new, old = (torch.tensor(z, requires_grad=True) for z in published())
    strategy = rebuilder(Co2L, strength=strength).begun(1)
    before = rebuilder(Co2L).begun(1).network
    for network, z in ((strategy.network, new), (before, old)):
        network.features, network.projection = (lambda x, z=z: z), nn.Identity()
    batch = Samples(torch.zeros(8, 1), y)
    loss = strategy.contrast(batch, torch.tensor(here), before if teacher else None)
    loss.backward()
    return loss.item(), new.grad, old.grad


def test_anchors_are_the_classes_of_the_experience_and_the_mean_is_over_all():
    loss, new, _ = contrast(Y, [False, True], teacher=False)
    assert loss == pytest.approx(7.63659749, abs=5e-9)
    assert (new.norm(dim=1) > 0).all()  # exemplars are negatives
    with_relations, _, old = contrast(Y, [False, True], strength=2.0)
    assert with_relations - loss == pytest.approx(2 * 4.85667946, abs=1e-8)
    assert old is None
    both, _, _ = contrast(Y, [True, True], teacher=False)  # class 0 returns: it is an anchor too
    other, _, _ = contrast(Y, [True, False], teacher=False)
    assert both == pytest.approx(loss + other, rel=1e-12)


def test_every_class_weighs_the_same_in_the_heads_loss():
    r = np.random.default_rng(0)
    x, y = r.standard_normal((9, 128)).astype("f4"), np.array([0, 0, 0, 0, 0, 0, 1, 1, 2])
    strategy = rebuilder(Co2L).begun(2)
    head = strategy.network.head
    scores = x @ head.weight.detach().numpy().T + head.bias.detach().numpy()
    losses = -(scores - np.log(np.exp(scores).sum(1, keepdims=True)))[range(9), y]
    counts = torch.bincount(torch.tensor(y), minlength=4)
    found = strategy.balanced(Samples(torch.tensor(x), torch.tensor(y)), 1 / counts.clamp(min=1))
    assert found.item() == pytest.approx(np.mean([losses[y == c].mean() for c in range(3)]), rel=1e-4)


@pytest.mark.parametrize("online", [False, True])
def test_contrast_leaves_the_head_alone_and_the_head_leaves_the_encoder_alone(online):
    made = rebuilder(Co2L, total=20, online=online)
    strategy, task = made.begun(0), made.terms.task(0)
    strategy.begin(task)
    changed = []

    class Watched(type(strategy)):
        def train_head(self, task, samples):
            changed.append({n: p.detach().clone() for n, p in self.network.named_parameters()})
            super().train_head(task, samples)

    strategy.__class__ = Watched
    before = {n: p.detach().clone() for n, p in strategy.network.named_parameters()}
    strategy.learn(task, digits(0, 1)[:60])
    (between,) = changed
    for name, parameter in strategy.network.named_parameters():
        in_head = name.startswith("head")
        assert torch.equal(before[name], between[name]) == in_head
        assert torch.equal(between[name], parameter) == (not in_head)


def test_it_learns_new_classes_and_keeps_old_ones():
    strategy, _ = learned(rebuilder(Co2L, total=60, epochs=10), 3)
    for classes in ((0, 3, 4), (1, 2)):
        x = digits(*classes)
        assert (strategy.predict(x.x).argmax(1) == x.y).float().mean() > 0.6


def test_exemplars_projection_and_head_are_held_and_the_teacher_has_all_three():
    strategy, task = learned(rebuilder(Co2L, total=20, epochs=1), 2)
    held = {}
    for e in ledger(strategy):
        held[e.kind] = held.get(e.kind, 0) + e.bytes
    assert held["exemplars"] == 20 * 64
    assert held["head"] == 4 * 4 * 129
    encoder, projection = 64 * 128 + 128 + 128 * 128 + 128, 3 * (128 * 128 + 128)
    assert held["parameters"] == 4 * (encoder + projection)
    assert task.transient["teacher"] == held["parameters"] + held["head"]


def test_the_contract_is_kept():
    check_strategy(Co2L, on=("features", "hidden-boundaries", "repeating-classes"), total=12)
