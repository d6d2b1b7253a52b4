"""WA: its loss in NumPy, the published gamma, and streams in which classes return."""

import numpy as np
import pytest
import torch

import cl_engine
from cl_engine.data.samples import Samples
from cl_engine.strategies.distillation.wa import WA
from cl_engine.testing import KINDS, check_strategy
from tests.strategies.fixed import Fixed, copied, digits, equal, learned, rebuilder


def log_softmax(z):
    return z - np.log(np.exp(z).sum(1, keepdims=True))


@pytest.mark.parametrize("share", [0.0, 4 / 6, 1.0])
def test_the_loss_weighs_both_parts_by_the_share_of_old_classes(share):
    draw = np.random.default_rng(3)
    z, before, y = draw.standard_normal((5, 6)), draw.standard_normal((5, 6)), [5, 0, 2, 4, 1]
    strategy = learned(rebuilder(WA, total=10), 1)[0]
    strategy.network, batch = Fixed(z), Samples(torch.zeros(5, 1), torch.tensor(y))
    q = np.exp(log_softmax(before[:, :4] / 2))
    kd = -(q * log_softmax(z[:, :4] / 2)).sum(1).mean()
    expected = -(1 - share) * log_softmax(z)[range(5), y].mean() + share * kd
    loss = strategy.distilled(batch, share, Fixed(before), old=4)
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-12)
    loss.backward()
    assert (strategy.network.scores.grad[:, 4:].abs().sum() > 0) == (share < 1)


@pytest.mark.parametrize(("experience", "share"), [(0, 0), (1, 2 / 4), (2, 2 / 5), (3, 3 / 5)])
def test_the_share_counts_classes_that_do_not_come(experience, share, monkeypatch):
    shares, distilled = [], WA.distilled

    def watched(self, batch, share, **others):
        shares.append(share)
        return distilled(self, batch, share, **others)

    monkeypatch.setattr(WA, "distilled", watched)
    learned(rebuilder(WA, epochs=1, total=10), experience + 1)
    assert shares[-1] == pytest.approx(share)


def test_gamma_is_the_published_one_for_the_rows_of_new_classes():
    made = rebuilder(WA, [(0, 1, 2, 3), (4, 5)])
    strategy = made.begun(2)
    w = np.random.default_rng(11).standard_normal((6, 4))
    w[4:] *= 2
    head = strategy.network.head
    head.weight = torch.nn.Parameter(torch.tensor(w))
    bias = head.bias.detach().clone()
    strategy.end(made.terms.task(1))
    np.testing.assert_allclose(head.weight.detach().numpy()[:4], w[:4])
    np.testing.assert_allclose(head.weight.detach().numpy()[4:], 0.51311118 * w[4:], rtol=1e-7)
    assert torch.equal(bias, head.bias)
    strategy.end(made.terms.task(1))
    np.testing.assert_allclose(head.weight.detach().numpy()[4:], 0.51311118 * w[4:], rtol=1e-7)


@pytest.mark.parametrize(("align", "gamma"), [("shrink", 1), ("always", 2), ("never", 1)])
def test_by_default_new_rows_that_are_shorter_stay_so(align, gamma):
    made = rebuilder(WA, [(0, 1), (2, 3)], align=align)
    strategy = made.begun(2)
    rows = torch.randn(2, 128, generator=torch.Generator().manual_seed(0))
    weight = torch.cat([2 * rows, rows])
    strategy.network.head.weight.data = weight.clone()
    strategy.end(made.terms.task(1))
    torch.testing.assert_close(strategy.network.head.weight.detach(), torch.cat([2 * rows, gamma * rows]))
    assert WA().align == "shrink"


def test_an_experience_without_new_classes_learns_and_aligns_nothing():
    made = rebuilder(WA, total=20)
    strategy, _ = learned(made, 3)
    task = made.terms.task(3)
    strategy.begin(task)
    before = copied(strategy.network)
    strategy.learn(task, digits(4, 1))
    after = copied(strategy.network)
    assert not equal(before, after)
    strategy.end(task)
    assert equal(after, copied(strategy.network))


def test_the_contract_is_kept_on_every_kind_of_stream():
    check_strategy(WA, on=KINDS)


def test_the_contract_is_kept_with_batch_norm():
    check_strategy(WA, on=("offline", "repeating-classes"), backbone="convnet2", total=12)


def test_it_learns_where_classes_return():
    stream = {"kind": "repetition-slots", "experiences": 5, "classes_per_experience": 4}
    run = cl_engine.run({"data": "digits", "stream": stream, "strategy": {"kind": "wa", "total": 100}})
    assert run.metrics["last_accuracy"] > 0.8
