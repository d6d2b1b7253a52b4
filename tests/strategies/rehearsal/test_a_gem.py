"""A-GEM: which steps are projected, onto what, and what a projected step leaves as it is."""

import numpy as np
import pytest
import torch
from torch import nn

from cl_engine.data.samples import Samples
from cl_engine.memory.exemplars import Exemplars
from cl_engine.scenarios.exposure import Exposure
from cl_engine.strategies.rehearsal.a_gem import AGEM, projected
from cl_engine.terms.task import Task
from cl_engine.terms.training import Training
from tests.strategies.fixed import digits, learned, rebuilder


def oracle():
    draw = np.random.default_rng(4)
    return draw.standard_normal(6), draw.standard_normal(6)


def parts(vector):
    """Cut a vector into tensors of several shapes, as the parameters of a network are."""
    return [torch.tensor(vector[:4]).view(2, 2), torch.tensor(vector[4:])]


def whole(tensors):
    return torch.cat([t.flatten() for t in tensors])


def test_a_gradient_that_disagrees_loses_its_part_along_the_reference():
    g, r = oracle()
    assert g @ r == pytest.approx(-2.53036956, abs=5e-9)
    found = whole(projected(parts(g), parts(r)))
    expected = [-0.93383059, -0.1074801, 0.93621997, 0.76851931, -1.53491684, 0.70757064]
    np.testing.assert_allclose(found.numpy(), expected, atol=5e-9)
    assert found.norm().item() == pytest.approx(2.28196127, abs=5e-9)
    assert abs(found.numpy() @ r) < 1e-14


@pytest.mark.parametrize("reference", ["agrees", "is nothing", "is right-angled"])
def test_a_gradient_that_does_not_disagree_stays(reference):
    g, r = oracle()
    r = {"agrees": -r, "is nothing": 0 * r, "is right-angled": r - (g @ r) / (g @ g) * g}[reference]
    if reference == "is right-angled":
        r = r + 1e-12 * g  # rounding may have left it on either side
    np.testing.assert_allclose(whole(projected(parts(g), parts(r))).numpy(), g, rtol=1e-12)


def task(index=1, classes=(0, 1, 2), seen=3, **options):
    training = Training(epochs=1, lr=0.1, schedule="constant", **options)
    return Task(index, Exposure(classes, (), seen), shape=(5,), training=training)


def conflict(backbone=None, reference=256):
    """Return a strategy in float64 whose new sample asks for the opposite of what its exemplars say."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 4), backbone or nn.Tanh(), nn.Linear(4, 3), nn.Linear(3, 3)).double()
    network.eval()
    with torch.no_grad():
        network[3].weight.mul_(0.1)  # all classes about as likely
        network[3].bias.zero_()
    x = torch.tensor(np.random.default_rng(0).standard_normal((8, 5)))
    strategy = AGEM(reference=reference)
    strategy.memory, strategy.network = Exemplars(shape=(5,)), network
    exemplars, new = Samples(x, torch.zeros(8, dtype=torch.int64)), Samples(x, torch.ones(8, dtype=torch.int64))
    return strategy, new, exemplars


def gradient(strategy, samples):
    strategy.network.zero_grad()
    nn.functional.cross_entropy(strategy.network(samples.x), samples.y).backward()
    return whole([p.grad for p in strategy.network.parameters()])


def test_a_projected_step_leaves_the_loss_of_the_exemplars_as_it_is_to_first_order():
    strategy, new, exemplars = conflict()
    r, g = gradient(strategy, exemplars), gradient(strategy, new)
    assert g @ r < -0.1 * g.norm() * r.norm()
    strategy.project(task(), exemplars)
    step = whole([p.grad for p in strategy.network.parameters()])
    torch.testing.assert_close(step, g - (g @ r) / (r @ r) * r)
    start = nn.utils.parameters_to_vector(strategy.network.parameters()).detach()

    def rise(direction, length):
        losses = []
        for weights in (start - length * direction, start):
            nn.utils.vector_to_parameters(weights, strategy.network.parameters())
            losses.append(float(strategy.loss(exemplars).detach()))
        return losses[0] - losses[1]

    assert rise(g, 1e-3) / rise(g, 5e-4) == pytest.approx(2, rel=0.02)  # as it was: of first order
    assert rise(step, 1e-3) / rise(step, 5e-4) == pytest.approx(4, rel=0.02)  # of second order
    assert abs(rise(step, 1e-3)) < 0.02 * rise(g, 1e-3)


def test_a_head_that_the_new_samples_leave_alone_still_counts():
    strategy, _, exemplars = conflict()
    reference = gradient(strategy, exemplars)
    strategy.network.zero_grad()
    first = strategy.network[0]
    (4 * (first.weight * -torch.autograd.grad(strategy.loss(exemplars), first.weight)[0]).sum()).backward()
    assert strategy.network[2].weight.grad is None
    g = whole([torch.zeros_like(p) if p.grad is None else p.grad for p in strategy.network.parameters()])
    strategy.project(task(), exemplars)
    found = whole([p.grad for p in strategy.network.parameters()])
    torch.testing.assert_close(found, g - (g @ reference) / (reference @ reference) * reference)


def test_exemplars_move_no_running_statistics_and_leave_the_network_in_training_mode():
    strategy, _, exemplars = conflict(nn.BatchNorm1d(4))
    expected = gradient(strategy, exemplars)  # in evaluation mode
    strategy.network.zero_grad()
    strategy.network.train()
    (-nn.utils.parameters_to_vector(strategy.network.parameters()) @ expected).backward()
    strategy.project(task(), exemplars)
    assert int(strategy.network[1].num_batches_tracked) == 0
    assert strategy.network[1].training
    assert (
        whole([p.grad for p in strategy.network.parameters()]).abs().max() < 1e-12
    )  # the opposite: nothing is left


@pytest.mark.parametrize(("reference", "rows"), [(256, 8), (8, 8), (3, 3)])
def test_so_many_exemplars_are_asked_and_all_where_there_are_no_more(reference, rows):
    strategy, new, exemplars = conflict(reference=reference)
    asked, loss = [], strategy.loss
    strategy.loss = lambda batch: asked.append(batch) or loss(batch)
    gradient(strategy, new)
    strategy.project(task(), exemplars)
    (batch,) = asked
    assert len(batch) == rows
    if rows == 8:
        assert torch.equal(batch.x, exemplars.x)


def test_old_is_what_is_in_the_memory_so_a_class_that_returns_is_on_both_sides(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "cl_engine.strategies.rehearsal.a_gem.projected", lambda g, r: seen.append((g, r)) or list(g)
    )
    made = rebuilder(AGEM, epochs=1, total=50)
    strategy, _ = learned(made, 2)
    seen.clear()
    task = made.terms.task(2)  # classes 3, 0 and 4
    strategy.begin(task)
    strategy.learn(task, digits(3, 0, 4))
    for g, r in seen:  # by the bias of the head: p - y on average, so that only a class's own samples pull it up
        assert len(g[-1]) == len(r[-1]) == 5
    assert (torch.stack([r[-1] for _, r in seen]).min(0).values[:4] < 0).all()  # all of 0, 1, 2 and 3 are asked
    assert torch.bincount(strategy.memory.y).tolist() == [10] * 5


def test_it_trains_on_new_samples_only_and_without_momentum():
    made = rebuilder(AGEM, epochs=1, total=50)
    _, task = learned(made, 2)
    assert task.training.momentum == 0.9
    assert "optimizer" not in task.transient or task.transient["optimizer"] == 0
    _, task = learned(rebuilder(AGEM, epochs=1, total=50, momentum=0.9), 2)
    assert task.transient["optimizer"] == task.transient["gradients"]
    assert task.transient["batch"] == 32 * (64 + 8)
    assert task.transient["reference batch"] == 50 * (64 + 8)


@pytest.mark.parametrize("backbone", ["mlp", "identity"])
def test_it_keeps_more_than_steps_that_one_exemplar_is_asked_about(backbone):
    accuracy = {}
    for name, options in (("a-gem", {}), ("plain", {"total": 1, "reference": 1})):
        codec = "features" if backbone == "identity" else "raw"
        made = rebuilder(AGEM, epochs=10, backbone=backbone, codec=codec, **{"total": 200, **options})
        strategy, _ = learned(made, 2)
        old = digits(0, 1)
        accuracy[name] = (strategy.predict(old.x).argmax(1) == old.y).float().mean()
    assert accuracy["a-gem"] > accuracy["plain"] + 0.2
