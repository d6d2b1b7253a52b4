"""Gradients and shifts of blocks against backpropagation by hand."""

import numpy as np
import pytest
import torch

import cl_engine
from cl_engine.evaluation.observer import Gradients, shift
from cl_engine.strategies.references.finetune import Finetune

N, D, WIDTH, LR = 12, 6, 5, 0.25


def data():
    x = torch.randn(N, D, generator=torch.Generator().manual_seed(3))
    samples = cl_engine.Samples(x, torch.arange(N) % 4)
    return cl_engine.DataSet(samples, samples)


def scenario(**training):
    options = {"epochs": 1, "batch_size": N, "lr": LR, "schedule": "constant", **training}
    return {
        "data": data(),
        "stream": {"step": 2, "class_order": "natural"},
        "strategy": {"kind": "finetune", "backbone": {"kind": "mlp", "width": WIDTH, "depth": 2}},
        "training": options,
        "analyses": ["gradient-norms", "weight-shift"],
    }


def weights_at_the_start(given):
    loaded = cl_engine.Scenario.load(given)
    network = loaded.rebuilder(loaded.terms()).begun(1).network
    layers = [network.backbone.stages[0][1], network.backbone.stages[1][1], network.head]
    return [(layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()) for layer in layers]


def by_hand(weights, x, y):
    """Return the gradients (of weight and bias) of both hidden layers under mean cross-entropy."""
    (w1, b1), (w2, b2), (w3, b3) = weights
    h1 = np.maximum(x @ w1.T + b1, 0)
    h2 = np.maximum(h1 @ w2.T + b2, 0)
    scores = h2 @ w3.T + b3
    p = np.exp(scores - scores.max(1, keepdims=True))
    d3 = (p / p.sum(1, keepdims=True) - np.eye(scores.shape[1])[y]) / len(y)
    d2 = (d3 @ w3) * (h2 > 0)
    d1 = (d2 @ w2) * (h1 > 0)
    return [(d1.T @ x, d1.sum(0)), (d2.T @ h1, d2.sum(0))]


def norm(pair):
    return np.sqrt(sum((part**2).sum() for part in pair))


def first_experience():
    whole = data().train
    old = whole.y < 2
    return whole.x[old].double().numpy(), whole.y[old].numpy()


@pytest.mark.parametrize("training", [{}, {"clip": 0.01}], ids=["plain", "clipped"])
def test_the_norm_is_that_of_the_loss_and_the_shift_that_of_the_step(training):
    weights = weights_at_the_start(scenario(**training))
    gradients = by_hand(weights, *first_experience())
    found = cl_engine.run(scenario(**training)).to_dict()["analyses"]
    norms, shifts = found["gradient-norms"], found["weight-shift"]
    assert norms["blocks"] == shifts["blocks"] == ["stage 1", "stage 2"]
    assert norms["steps"] == [[1, 1], [1, 1]]
    assert norms["norm"][0] == pytest.approx([norm(pair) for pair in gradients], rel=1e-4)
    assert len(shifts["shift"]) == 2
    if not training:  # one step of momentum SGD is the rate times the gradient
        expected = [LR * norm(g) / norm(w) for g, w in zip(gradients, weights, strict=False)]
        assert shifts["shift"][0] == pytest.approx(expected, rel=1e-3)
        mse = [(LR * norm(g)) ** 2 / sum(part.size for part in g) for g in gradients]
        assert shifts["mse"][0] == pytest.approx(mse, rel=1e-3)
    else:
        assert (
            sum((s * norm(w)) ** 2 for s, w in zip(shifts["shift"][0], weights, strict=False)) < (LR * 0.011) ** 2
        )


def test_accumulated_batches_are_one_step_with_their_mean():
    whole = cl_engine.run(scenario()).to_dict()["analyses"]["gradient-norms"]
    parts = cl_engine.run(scenario(batch_size=3, accumulate=2)).to_dict()["analyses"]["gradient-norms"]
    assert parts["steps"][0] == [1, 1]
    assert parts["norm"][0] == pytest.approx(whole["norm"][0], rel=1e-4)


def test_many_steps_are_averaged_over_and_a_step_of_other_weights_counts_for_none():
    layers = [torch.nn.Linear(1, 1, bias=False) for _ in range(3)]
    own = [layer.weight for layer in layers]
    seen = Gradients(lambda: {"a": own[:1], "b": own[1:2]})
    both, alone = own[:2], own[2:]
    for step in range(1300):
        own[0].grad, own[1].grad = torch.full((1, 1), float(step)), None if step % 2 else torch.ones(1, 1)
        own[2].grad = torch.full((1, 1), 9.0)
        seen.add(both)
        seen.add(alone)
    found = seen.mean()
    assert found["a"] == {"norm": pytest.approx(1299 / 2), "steps": 1300}
    assert found["b"] == {"norm": 1.0, "steps": 650}
    assert Gradients(lambda: {"a": own[:1]}).mean() == {"a": {"norm": None, "steps": 0}}


def test_a_block_that_is_gone_or_was_nothing_has_no_relative_shift():
    assert shift([torch.ones(2)], [torch.ones(3)]) == {"relative": None, "mse": None}
    assert shift([torch.zeros(2)], [torch.ones(2)]) == {"relative": None, "mse": 1.0}
    assert shift([torch.ones(2)], []) == {"relative": None, "mse": None}
    assert shift([torch.ones(2)], [torch.tensor([1.0, torch.inf])]) == {"relative": None, "mse": None}


class Frozen(Finetune):
    """Freezes its first layer after the first experience."""

    def extend(self, task):
        super().extend(task)
        self.network.backbone.stages[0].requires_grad_(task.index == 0)


def test_a_block_is_recorded_while_it_learns():
    given = {**scenario(), "strategy": Frozen(backbone={"kind": "mlp", "width": WIDTH, "depth": 2})}
    found = cl_engine.run(given).to_dict()["analyses"]
    for name, key in (("gradient-norms", "norm"), ("weight-shift", "shift")):
        first, second = found[name][key]
        assert None not in first
        assert second[0] is None
        assert second[1] > 0


def test_a_network_made_anew_while_learning_is_followed():
    given = {**scenario(), "strategy": {"kind": "gdumb", "total": 8, "passes": 3}}
    norms = cl_engine.run(given).to_dict()["analyses"]["gradient-norms"]
    assert norms["steps"] == [[3, 3], [3, 3]]
    assert all(value > 0 for row in norms["norm"] for value in row)
