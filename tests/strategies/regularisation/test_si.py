"""SI: the path integral against paths followed in float64, what it leaves out, and what the importance becomes."""

import numpy as np
import pytest
import torch
from torch import nn

from cl_engine.data.samples import Samples
from cl_engine.scenarios.exposure import Exposure
from cl_engine.strategies.regularisation.si import SI, Path
from cl_engine.terms.task import Task
from cl_engine.terms.training import Training
from cl_engine.testing import check_strategy
from tests.strategies.fixed import RETURNING, digits, rebuilder


def test_the_published_path_importance_and_penalty():
    draw = np.random.default_rng(2)
    weights = {"w": nn.Parameter(torch.tensor(draw.standard_normal(4)))}
    path = Path(weights)
    for _ in range(5):
        slope = draw.standard_normal(4)
        step = -0.1 * slope + 0.02 * draw.standard_normal(4)
        path.leave(weights, {"w": torch.tensor(slope)})
        weights["w"].data += torch.tensor(step)
        path.arrive(weights)
    expected = [0.75607904, 0.48963287, 0.21144193, 0.10381859]
    np.testing.assert_allclose(path.fell["w"].numpy(), expected, atol=5e-9)
    strategy = SI(strength=0.1, damping=0.1)
    strategy.network = nn.Module()
    strategy.network.w = weights["w"]
    strategy.importance.grow(strategy.network)
    strategy.anchor.grow(strategy.network)
    strategy._path = lambda _: path
    strategy.end(None)
    found = strategy.importance["w"].numpy()
    np.testing.assert_allclose(found, [7.53478699, 4.76473937, 2.08889006, 0.84350116], atol=1e-8)
    assert strategy.penalty().item() == 0
    weights["w"].data += 0.5
    assert 0.1 * strategy.penalty().item() == pytest.approx(0.38079794, abs=5e-9)
    (gradient,) = torch.autograd.grad(0.1 * strategy.penalty(), weights["w"])
    np.testing.assert_allclose(gradient.numpy(), 2 * 0.1 * found * 0.5, rtol=1e-12)
    np.testing.assert_allclose(strategy.pull("w", weights["w"]).detach(), gradient, rtol=1e-12)


CURVES, GOALS, START = np.array([4.0, 1.0, 0.25]), np.array([1.0, -2.0, 3.0]), np.array([0.0, 1.0, 2.5])


class Quadratic(SI):
    """Minimises ``sum c (w - goal)^2 / 2`` in place of a cross-entropy."""

    def loss(self, batch):
        curves, goals = torch.tensor(CURVES), torch.tensor(GOALS)
        return (curves * (self.network.w - goals).square()).sum() / 2 + self.strength * self.penalty()


def quadratic(importance=0.0, **options):
    strategy = Quadratic(**options)
    strategy.network = nn.Module()
    strategy.network.w = nn.Parameter(torch.tensor(START))
    for beside, value in ((strategy.importance, importance), (strategy.anchor, -1.0)):
        beside.grow(strategy.network)["w"].fill_(value)
    return strategy


def task(online=False, **options):
    training = Training(**{"epochs": 12, "batch_size": 4, "lr": 0.05, "schedule": "constant", **options})
    return Task(0, Exposure((0,), (0,), 1), shape=(1,), training=training, online=online)


ONE_BATCH = Samples(torch.zeros(4, 1), torch.zeros(4, dtype=torch.int64))


def followed(steps, importance=0.0, lr=0.05, momentum=0.0, weight_decay=0.0, clip=None, strength=0.1):
    """Return omega and the last weights of SGD on the quadratic, in NumPy."""
    w, v, omega = START.copy(), np.zeros(3), np.zeros(3)
    for _ in range(steps):
        slope = CURVES * (w - GOALS)
        g = slope + 2 * strength * importance * (w + 1)
        if clip is not None:
            g = g * min(1, clip / np.linalg.norm(g))
        v = momentum * v + g + weight_decay * w
        omega += slope * lr * v
        w = w - lr * v
    return omega, w


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"momentum": 0.9},
        {"momentum": 0.9, "weight_decay": 0.1, "clip": 0.5},
        {"momentum": 0.5, "importance": 3.0, "strength": 0.7, "clip": 1.0},
    ],
    ids=str,
)
def test_omega_is_the_slope_of_the_plain_loss_times_the_step_that_was_taken(options):
    mine = {name: options[name] for name in ("importance", "strength") if name in options}
    training = {name: options.get(name) for name in ("momentum", "weight_decay", "clip") if name in options}
    strategy, where = quadratic(**mine), task(**{"momentum": 0.0, **training})
    strategy.learn(where, ONE_BATCH)
    omega, end = followed(12, **options)
    np.testing.assert_allclose(strategy.network.w.detach(), end, rtol=1e-5)  # clipping adds 1e-6 to the norm
    np.testing.assert_allclose(strategy._path(where).fell["w"], omega, rtol=1e-5)
    strategy.end(where)
    expected = mine.get("importance", 0.0) + np.maximum(omega, 0) / ((end - START) ** 2 + 0.1)
    np.testing.assert_allclose(strategy.importance["w"], expected, rtol=1e-5)
    np.testing.assert_allclose(strategy.anchor["w"], end, rtol=1e-5)


def test_along_small_steps_omega_adds_up_to_what_the_loss_fell_by():
    strategy, where = quadratic(), task(lr=1e-4, epochs=800, momentum=0.0)
    strategy.learn(where, ONE_BATCH)
    end = strategy.network.w.detach().numpy()
    fell = CURVES / 2 * ((START - GOALS) ** 2 - (end - GOALS) ** 2)
    np.testing.assert_allclose(strategy._path(where).fell["w"], fell, rtol=1e-3)


def test_a_weight_that_went_up_the_slope_gains_no_importance_and_loses_none():
    strategy, where = quadratic(importance=2.0, strength=50.0), task(momentum=0.0, lr=1e-3, epochs=5)
    strategy.learn(where, ONE_BATCH)  # the anchor at -1 pulls the first weight away from its goal
    assert strategy._path(where).fell["w"][0] < 0
    strategy.end(where)
    assert strategy.importance["w"][0] == 2.0


def test_accumulated_steps_and_micro_batches_follow_the_same_path():
    paths = []
    for options, online in (({}, False), ({"accumulate": 2, "batch_size": 2}, False), ({}, True)):
        strategy, where = quadratic(), task(online=online, updates_per_sample=1.0, **options)
        if online:
            for _ in range(3):
                strategy.learn(where, ONE_BATCH)
        else:
            strategy.learn(where, ONE_BATCH)
        paths.append(strategy._path(where).fell["w"])
    np.testing.assert_allclose(paths[1], paths[0], rtol=1e-12)
    np.testing.assert_allclose(paths[2], paths[0], rtol=1e-12)


def test_what_exists_while_training_is_charged_and_an_experience_without_samples_changes_no_importance():
    strategy, where = quadratic(importance=1.0), task()
    strategy.learn(where, ONE_BATCH)
    assert where.transient["path"] == 4 * 3 * 8
    strategy.end(where)
    before = strategy.importance["w"].clone()
    strategy.end(task())
    assert torch.equal(strategy.importance["w"], before)


def test_rows_of_classes_that_return_gain_importance_and_new_rows_start_without():
    made = rebuilder(SI)
    strategy, rows = made.begun(0), []
    for index, classes in enumerate(RETURNING):
        task = made.terms.task(index)
        strategy.begin(task)
        before = strategy.importance["head.bias"].clone()
        assert (before[task.old_classes :] == 0).all()
        strategy.learn(task, digits(*classes))
        strategy.end(task)
        rows.append(strategy.importance["head.bias"] - before)
    assert (rows[2][[0, 3, 4]] > 0).all()
    assert (rows[3][[4, 1]] > 0).all()


def test_the_contract_is_kept_where_classes_return():
    check_strategy(SI, on=("repeating-classes",), backbone={"kind": "mlp", "width": 8})
