"""ER-ACE and ER-AML: what new samples compete with, what exemplars teach, whom a sample is paired with."""

import numpy as np
import pytest
import torch

import cl_engine
from cl_engine.data.samples import Samples
from cl_engine.memory.exemplars import Exemplars
from cl_engine.strategies.rehearsal.er_ace import ERACE
from cl_engine.strategies.rehearsal.er_aml import ERAML, partners
from tests.strategies.fixed import RETURNING, Fixed, digits, learned, rebuilder

Y_MEMORY = [0, 1, 2, 3, 0, 1, 2, 4]


def scores():
    draw = np.random.default_rng(6)
    return draw.standard_normal((4, 6)), draw.standard_normal((8, 6))


def answering(kind, new, memory):
    """Return a strategy whose network gives these scores, new samples first."""
    strategy = kind()
    strategy.memory, strategy.network = Exemplars(), Fixed(np.concatenate([new, memory]))
    return strategy


def batch(y_new, y_memory):
    mark = torch.arange(len(y_new) + len(y_memory)) >= len(y_new)
    return Samples(torch.zeros(len(mark), 1), torch.tensor([*y_new, *y_memory])).with_columns(rehearsed=mark)


def softmax(z):
    return np.exp(z) / np.exp(z).sum(1, keepdims=True)


def test_the_loss_is_the_sum_of_both_means_and_its_gradient_leaves_absent_classes_alone():
    new, memory = scores()
    strategy = answering(ERACE, new, memory)
    loss = strategy.loss(batch([3, 4, 3, 4], Y_MEMORY))
    assert float(loss.detach()) == pytest.approx(3.07550961, abs=5e-9)  # halved: 1.53775480
    loss.backward()
    expected = np.zeros((4, 6))
    expected[:, [3, 4]] = softmax(new[:, [3, 4]]) / 4
    expected -= np.eye(6)[[3, 4, 3, 4]] / 4
    gradient = strategy.network.scores.grad.numpy()
    np.testing.assert_allclose(gradient[:4], expected, atol=1e-12)
    np.testing.assert_allclose(gradient[4:], (softmax(memory) - np.eye(6)[Y_MEMORY]) / 8, atol=1e-12)


def test_returning_classes_compete_among_themselves_whatever_their_ids():
    new, memory = scores()
    strategy = answering(ERACE, new, memory)
    loss = strategy.loss(batch([0, 1, 0, 1], Y_MEMORY))  # the largest class seen is 4: released code opens 4 and 5
    recalled = strategy.cross_entropy(strategy.network.scores[4:], torch.tensor(Y_MEMORY))
    assert float((loss - recalled).detach()) == pytest.approx(0.79467782, abs=5e-9)
    loss.backward()
    gradient = strategy.network.scores.grad[:4]
    assert (gradient[:, 2:] == 0).all()
    assert (gradient[:, :2] != 0).all()


def test_without_exemplars_a_batch_is_its_own_contest():
    new, memory = scores()
    strategy = answering(ERACE, new, memory[:0])
    plain = Samples(torch.zeros(4, 1), torch.tensor([3, 4, 3, 4]))
    assert float(strategy.loss(plain).detach()) == pytest.approx(0.84212052, abs=5e-9)


@pytest.mark.parametrize("kind", [ERACE, ERAML])
def test_offline_the_samples_have_their_share_among_what_is_rehearsed_but_not_yet_among_what_is_held(kind):
    made = rebuilder(kind, total=50, selection="class-balanced")
    strategy, first = learned(made, 1)
    assert strategy.rehearsed(first, digits(0, 1)) is strategy.memory
    task = made.terms.task(1)
    strategy.begin(task)
    rehearsed = strategy.rehearsed(task, digits(2, 3))
    assert torch.bincount(rehearsed.y).tolist() == [13, 13, 12, 12]
    assert torch.bincount(strategy.memory.y).tolist() == [25, 25]
    assert task.transient["exemplars in training"] == 50 * (64 + 4) + 8 * 4  # counts of 4 classes


def test_offline_new_classes_win_against_old_ones():
    scenario = {"data": "digits", "stream": {"kind": "class-incremental", "step": 5}, "training": {"epochs": 10}}
    for kind in ("er-ace", "er-aml"):
        record = cl_engine.run({**scenario, "strategy": {"kind": kind, "total": 200}})
        assert record.metrics["last_accuracy"] > 0.85  # about 0.6 where only old exemplars are rehearsed


def test_partners_are_of_the_class_and_of_another_that_comes_in_now_and_never_the_row_itself():
    y = torch.tensor([3, 0, 3, 0, 5, 1, 2, 3, 0, 4])
    old = torch.arange(10) >= 5
    same, other, found = partners(y.repeat(50), old.repeat(50), torch.Generator().manual_seed(0))
    assert found.all()
    y, new = y.repeat(50), (~old.repeat(50)).nonzero().flatten()
    assert torch.equal(y[same], y[new])
    assert (y[other] != y[new]).all()
    assert not (same == new).any()
    assert set(y[other].tolist()) == {0, 3, 5}  # 1, 2 and 4 are rehearsed only


def test_partners_are_drawn_evenly_from_new_and_rehearsed_rows():
    y, old = torch.tensor([0, 0, 0, 1, 1]), torch.tensor([False, False, True, False, True])
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([torch.stack(partners(y, old, generator)[:2]) for _ in range(600)])
    first_same, first_other = drawn[:, 0, 0], drawn[:, 1, 0]
    assert [int((first_same == place).sum()) for place in range(5)] == pytest.approx([0, 300, 300, 0, 0], abs=60)
    assert [int((first_other == place).sum()) for place in range(5)] == pytest.approx([0, 0, 0, 300, 300], abs=60)


@pytest.mark.parametrize("y", [[0, 0, 0, 1], [2, 1, 0, 0]], ids=["one class comes in", "no second of any"])
def test_samples_without_a_partner_are_left_out(y):
    _, _, found = partners(
        torch.tensor(y), torch.tensor([False, False, True, True]), torch.Generator().manual_seed(0)
    )
    assert not found.any()


def in_vectors(h, memory_scores):
    """Return ER-AML over a network whose features are the samples."""
    strategy = ERAML(backbone="identity")
    strategy.memory = Exemplars()
    strategy.network = torch.nn.Module()
    strategy.network.features = torch.nn.Identity()
    strategy.network.head = torch.nn.Linear(h.shape[1], memory_scores).double()
    return strategy


@pytest.mark.parametrize(("temperature", "number"), [(0.1, 11.15404545), (0.2, 12.17373486)])
def test_the_metric_term_is_that_of_the_paper_and_exemplars_add_their_cross_entropy(
    temperature, number, monkeypatch
):
    draw = np.random.default_rng(7)
    h, pos, neg = (draw.standard_normal((3, 4)) for _ in range(3))
    rows = torch.tensor(np.concatenate([h, pos, neg]), requires_grad=True)
    y = torch.tensor([3, 3, 4, 3, 3, 4, 4, 4, 3])
    chosen = torch.tensor([3, 4, 5]), torch.tensor([6, 7, 8]), torch.tensor([True] * 3)
    monkeypatch.setattr("cl_engine.strategies.rehearsal.er_aml.partners", lambda *_: chosen)
    strategy = in_vectors(h, 5)
    strategy.temperature = temperature
    whole = Samples(rows, y).with_columns(rehearsed=torch.arange(9) >= 3)
    loss = strategy.paired(torch.Generator(), whole)
    recalled = torch.nn.functional.cross_entropy(strategy.network.head(rows[3:]), y[3:])
    assert float((loss - recalled).detach()) == pytest.approx(number, abs=5e-9)
    head = strategy.network.head.weight
    mine, alone = (torch.autograd.grad(value, head, retain_graph=True)[0] for value in (loss, recalled))
    torch.testing.assert_close(mine, alone)  # new samples move no row of the head
    (gradient,) = torch.autograd.grad(loss - recalled, rows)
    assert (gradient.norm(dim=1) > 0).all()


def test_while_there_is_no_exemplar_samples_are_learned_as_in_er_ace():
    draw = np.random.default_rng(7)
    rows, y = torch.tensor(draw.standard_normal((4, 4))), torch.tensor([3, 1, 3, 1])
    strategy = in_vectors(rows, 5)
    loss = strategy.paired(torch.Generator(), Samples(rows, y))
    inside = torch.nn.functional.cross_entropy(strategy.network.head(rows)[:, [1, 3]], torch.tensor([1, 0, 1, 0]))
    torch.testing.assert_close(loss, inside)


@pytest.mark.parametrize("kind", [ERACE, ERAML])
def test_classes_that_return_are_rehearsed_and_held_with_the_others(kind):
    strategy, _ = learned(rebuilder(kind, epochs=8, total=50, selection="class-balanced"), len(RETURNING))
    assert torch.bincount(strategy.memory.y).tolist() == [10] * 5
    correct = strategy.predict((held_out := digits(0, 1, 2, 3, 4)).x).argmax(1) == held_out.y
    assert correct.float().mean() > 0.8
