"""iCaRL against its equations."""

import numpy as np
import pytest
import torch

from cl_engine.data.samples import Samples
from cl_engine.scenarios.exposure import Exposure
from cl_engine.strategies.rehearsal.icarl import ICaRL, distilled_bce
from cl_engine.terms.task import Task
from cl_engine.testing import KINDS, check_strategy


def test_the_loss_has_the_value_and_gradient_of_an_independent_computation():
    r = np.random.default_rng(10)
    z, old = (torch.tensor(r.standard_normal((4, 6))) for _ in range(2))
    y = torch.tensor([4, 5, 0, 2])
    z.requires_grad_()
    old.requires_grad_()
    value = distilled_bce(z, y, old[:, :4])
    assert value.item() == pytest.approx(4.47681153, abs=1e-8)
    value.backward()
    target = torch.nn.functional.one_hot(y, 6).double()
    target[:, :4] = old[:, :4].sigmoid()
    assert torch.allclose(z.grad, (z.detach().sigmoid() - target) / 4)
    assert old.grad is None


def test_without_old_classes_it_is_plain_binary_cross_entropy():
    assert distilled_bce(torch.zeros(3, 5), torch.tensor([0, 1, 4]), None).item() == pytest.approx(5 * np.log(2))


def test_a_class_without_exemplars_is_never_predicted():
    strategy = ICaRL(total=10)
    task = Task(0, Exposure((0, 1, 2), (0, 1, 2), 3), shape=(4,))
    strategy.begin(task)
    strategy.learn(task, Samples(torch.randn(20, 4), torch.arange(20) % 2))
    scores = strategy.eval().predict(torch.randn(50, 4))
    assert torch.isfinite(scores).all()
    assert (scores.argmax(1) != 2).all()


@pytest.mark.parametrize("classifier", ["nearest-mean", "linear"])
def test_it_keeps_the_contract_on_every_stream(classifier):
    check_strategy(ICaRL, on=KINDS, total=15, classifier=classifier)
