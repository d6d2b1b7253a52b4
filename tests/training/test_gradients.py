"""Gradients beside those of a step: right, without traces, and charged."""

import numpy as np
import pytest
import torch
from torch import nn

from cl_engine.data.samples import Samples
from cl_engine.scenarios.exposure import Exposure
from cl_engine.terms.task import Task
from cl_engine.training.gradients import gradients


def task():
    return Task(0, Exposure((0, 1), (0, 1), 2), shape=(5,))


def case():
    draw = np.random.default_rng(1)
    x, w, y = draw.standard_normal((8, 5)), draw.standard_normal((3, 5)), draw.integers(0, 3, 8)
    layer = nn.Linear(5, 3, bias=False).double()
    layer.weight.data = torch.tensor(w)
    p = np.exp(x @ w.T)
    p /= p.sum(1, keepdims=True)
    return layer, Samples(torch.tensor(x), torch.tensor(y)), (p - np.eye(3)[y]).T @ x / 8


def test_the_gradient_is_that_of_the_loss_and_that_of_the_step_stays():
    layer, samples, expected = case()
    layer.weight.grad = torch.full_like(layer.weight, 7.0)

    def loss(batch):
        return nn.functional.cross_entropy(layer(batch.x), batch.y)

    (found,) = gradients(loss, samples, [layer.weight], task(), "reference")
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)
    assert not found.requires_grad
    assert (layer.weight.grad == 7).all()


def test_a_parameter_that_has_no_part_in_the_loss_has_gradient_0():
    layer, samples, _ = case()
    lone = nn.Parameter(torch.ones(4, 2))
    _, found = gradients(lambda batch: layer(batch.x).sum(), samples, [layer.weight, lone], task(), "reference")
    assert torch.equal(found, torch.zeros(4, 2))


def test_gradients_batch_and_activations_are_charged_under_the_name():
    layer, samples, _ = case()
    where = task()
    gradients(lambda batch: layer(batch.x).square().sum(), samples, [layer.weight], where, "reference")
    assert where.transient == {
        "reference gradients": 8 * 3 * 5,
        "reference batch": 8 * 8 * 5 + 8 * 8,
        "reference activations": 8 * 8 * 5 + 8 * 8 * 3,  # what the layer took, and what was squared
    }


def test_a_loss_that_depends_on_nothing_is_an_error():
    layer, samples, _ = case()
    with pytest.raises(RuntimeError, match="does not require grad"):
        gradients(lambda batch: batch.x.sum(), samples, [layer.weight], task(), "reference")
