"""LwF: its loss against published numbers and NumPy, its teacher, and streams in which classes return."""

import numpy as np
import pytest
import torch

import cl_engine
from cl_engine.data.samples import Samples
from cl_engine.memory.ledger import ledger
from cl_engine.strategies.coming import coming
from cl_engine.strategies.distillation.lwf import LwF
from cl_engine.strategies.references.finetune import Finetune
from cl_engine.testing import KINDS, check_strategy
from tests.strategies.fixed import Fixed, copied, digits, equal, learned, rebuilder


def log_softmax(z):
    return z - np.log(np.exp(z).sum(1, keepdims=True))


def oracle():
    draw = np.random.default_rng(0)
    return draw.standard_normal((4, 6)), draw.standard_normal((4, 6))


def distilled(y, coming, old, smoothing=0.0, **options):
    """Return the loss of the oracle's scores and its gradient."""
    z, before = oracle()
    strategy = LwF(**options)
    strategy.network, strategy.label_smoothing = Fixed(z), smoothing
    batch = Samples(torch.zeros(4, 1), torch.tensor(y))
    loss = strategy.distilled(batch, torch.isin(torch.arange(6), torch.tensor(coming)), Fixed(before), old)
    loss.backward()
    return float(loss.detach()), strategy.network.scores.grad.numpy()


def test_the_distillation_has_the_published_value_and_gradient():
    without, by_ce = distilled([0, 1, 2, 3], range(6), 6, strength=0.0)
    for strength in (1.0, 4.0):  # 4 = T squared
        loss, gradient = distilled([0, 1, 2, 3], range(6), 6, strength=strength)
        assert (loss - without) / strength == pytest.approx(1.87191413, abs=1e-8)
        assert np.linalg.norm(gradient - by_ce) / strength == pytest.approx(0.05589549, abs=1e-8)
    q = np.exp(log_softmax(oracle()[1] / 2))
    entropy = -(q * np.log(q)).sum(1).mean()
    assert loss - without - 4 * entropy == pytest.approx(0.58483446, abs=1e-8)


def test_old_classes_are_distilled_and_those_of_the_experience_learned_also_where_they_are_both():
    """Old are 0 to 3; of the experience are 5, 2 and 4, so that 2 returns."""
    z, before = oracle()
    y, here = [5, 2, 4, 2], [2, 4, 5]
    q, p = np.exp(log_softmax(before[:, :4] / 3)), log_softmax(z[:, :4] / 3)
    expected = -log_softmax(z[:, here])[range(4), [here.index(c) for c in y]].mean() - 0.5 * (q * p).sum(1).mean()
    loss, gradient = distilled(y, here, 4, strength=0.5, temperature=3.0)
    assert loss == pytest.approx(expected, rel=1e-12)
    ce = np.zeros((4, 6))
    ce[:, here] = np.exp(log_softmax(z[:, here])) - np.eye(6)[y][:, here]
    kd = np.zeros((4, 6))
    kd[:, :4] = 0.5 * (np.exp(p) - q) / 3
    np.testing.assert_allclose(gradient, (ce + kd) / 4, rtol=1e-10, atol=1e-14)


def test_label_smoothing_spreads_over_the_classes_of_the_experience():
    z, y, here = oracle()[0], [5, 2, 4, 2], [2, 4, 5]
    log_p = log_softmax(z[:, here])
    expected = -0.9 * log_p[range(4), [here.index(c) for c in y]].mean() - 0.1 * log_p.mean()
    assert distilled(y, here, 4, smoothing=0.1, strength=0.0)[0] == pytest.approx(expected, rel=1e-12)


def test_classes_of_an_experience_are_the_new_ones_and_those_that_came_by_now():
    task = rebuilder(LwF, online=True).terms.task(2)  # 0 to 3 are old, 4 is new
    assert coming(task, digits(3)).tolist() == [False, False, False, True, True]
    assert coming(task, digits(0, 4)).tolist() == [True, False, False, True, True]


def test_without_old_classes_it_is_finetune():
    lwf, finetune = (learned(rebuilder(strategy), 1)[0] for strategy in (LwF, Finetune))
    assert equal(copied(lwf), copied(finetune))


def test_the_teacher_is_there_while_training_and_charged_as_the_network_it_copies():
    strategy, task = learned(rebuilder(LwF), 2)
    assert task.transient["teacher"] == sum(4 * p.numel() for p in strategy.parameters())
    assert {e.kind for e in ledger(strategy)} == {"parameters", "head"}


def test_the_contract_is_kept_on_every_kind_of_stream():
    check_strategy(LwF, on=KINDS)


def test_it_learns_where_classes_return():
    stream = {"kind": "repetition-slots", "experiences": 5, "classes_per_experience": 4}
    run = cl_engine.run({"data": "digits", "stream": stream, "strategy": "lwf"})
    assert run.metrics["last_accuracy"] > 0.5


def test_it_keeps_more_than_finetune_and_knows_every_task_apart():
    scenario = {"data": "digits", "stream": {"kind": "task-incremental", "step": 2}}
    lwf, finetune = (cl_engine.run(scenario, strategy=s).metrics for s in ("lwf", "finetune"))
    assert lwf["forgetting"] < finetune["forgetting"]
    assert lwf["last_accuracy"] > 0.9
