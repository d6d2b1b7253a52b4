"""BiC: both stages against published numbers, what is set aside for the second, and what is held."""

import numpy as np
import pytest
import torch

import cl_engine
from cl_engine.data.samples import Samples
from cl_engine.memory.ledger import ledger
from cl_engine.strategies.distillation.bic import BiC, bias_loss, some_of_each
from cl_engine.testing import KINDS, check_strategy
from tests.strategies.fixed import RETURNING, Fixed, copied, digits, equal, learned, rebuilder


def test_the_second_stage_has_the_published_loss_and_gradient():
    draw = np.random.default_rng(12)
    z, y = torch.tensor(2 * draw.standard_normal((6, 5))), torch.tensor(draw.integers(0, 5, 6))
    alpha, beta = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (1.1, -0.2))
    loss = bias_loss(z, y, 3, alpha, beta)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(1.95333356, abs=1e-8)
    assert float(loss.detach()) - 0.1 * 0.2**2 / 2 == pytest.approx(1.95133356, abs=1e-8)
    assert float(alpha.grad) == pytest.approx(0.41160366, abs=1e-8)
    assert float(beta.grad) - 0.1 * -0.2 == pytest.approx(-0.34308965, abs=1e-8)


def test_the_teacher_is_softened_over_classes():
    draw = np.random.default_rng(19)
    z, before = draw.standard_normal((4, 5)), draw.standard_normal((4, 5))
    strategy = rebuilder(BiC, [(0, 1, 2, 3, 4)]).begun(1)
    strategy.network, batch = Fixed(z), Samples(torch.zeros(4, 1), torch.tensor([0, 1, 2, 3]))
    loss = strategy.distilled(batch, 1.0, Fixed(before), old=5)
    assert float(loss.detach()) == pytest.approx(1.68151387, abs=1e-8)


@pytest.mark.parametrize("corrections", ["newest", "all"])
def test_the_teacher_is_corrected_and_the_student_only_where_all_corrections_stay(corrections):
    strategy = rebuilder(BiC, corrections=corrections).begun(2)  # groups 0 1 | 2 3
    strategy.pairs = torch.tensor([[2.0, 0.5], [1.0, 0.0]])
    z = np.arange(8.0).reshape(2, 4)
    strategy.network, x = Fixed(z), torch.zeros(2, 1)
    corrected = np.concatenate([2 * z[:, :2] + 0.5, z[:, 2:]], 1)
    np.testing.assert_allclose(strategy.teacher_scores(Fixed(z), x).detach(), corrected)
    np.testing.assert_allclose(strategy.predict(x).detach(), corrected)
    student = corrected if corrections == "all" else z
    np.testing.assert_allclose(strategy.student_scores(x).detach(), student)


@pytest.mark.parametrize("corrections", ["newest", "all"])
def test_every_group_holds_a_pair_and_a_class_that_returns_makes_no_second_one(corrections):
    strategy, _ = learned(rebuilder(BiC, total=40, corrections=corrections), len(RETURNING))
    (entry,) = (e for e in ledger(strategy) if e.kind == "corrections")
    assert strategy.groups == [2, 2, 1]
    assert (entry.shape, entry.bytes) == ((3, 2), 8 * 3)
    corrected = (strategy.pairs != torch.tensor([1.0, 0.0])).any(1).tolist()
    assert corrected == [False, corrections == "all", True]


def test_the_second_stage_lowers_its_loss_and_leaves_the_network_alone():
    made = rebuilder(BiC, [(0, 1), (2, 3)], total=40, epochs=5)
    strategy, _ = learned(made, 1)
    task = made.terms.task(1)
    strategy.begin(task)
    strategy.learn(task, digits(2, 3))
    network, part = copied(strategy.network), task.keep("validation", lambda: None)
    strategy.end(task)
    assert equal(network, copied(strategy.network))
    with torch.no_grad():
        scores = strategy.network(part.x)
        identity, fitted = (
            float(bias_loss(scores, part.y, 2, *pair)) for pair in (torch.tensor([1.0, 0.0]), strategy.pairs[1])
        )
    assert fitted < identity


def test_the_validation_part_is_balanced_out_of_the_budget_and_unseen_by_the_first_stage(monkeypatch):
    trained, distilled = [], BiC.distilled

    def watched(self, batch, *args, **others):
        trained.append(batch.x)
        return distilled(self, batch, *args, **others)

    monkeypatch.setattr(BiC, "distilled", watched)
    made = rebuilder(BiC, [(0, 1), (2, 3)], total=60, epochs=1)
    strategy, _ = learned(made, 1)
    trained.clear()
    task = made.terms.task(1)
    strategy.begin(task)
    held = strategy.memory.samples()
    strategy.learn(task, new := digits(2, 3))
    part = task.keep("validation", lambda: None)
    assert part.y.bincount().tolist() == [3, 3, 3, 3]
    seen = {x.numpy().tobytes() for x in torch.cat(trained)}
    everything = {x.numpy().tobytes() for x in torch.cat([held.x, new.x])}
    validation = {x.numpy().tobytes() for x in part.x}
    assert not seen & validation
    assert seen | validation == everything
    assert {x.numpy().tobytes() for x in part.x[part.y < 2]} <= {x.numpy().tobytes() for x in held.x}
    strategy.end(task)
    assert len(strategy.memory) == 60
    assert task.transient["validation"] == 12 * (64 + 8)


def test_of_each_class_some_are_drawn_and_some_left():
    y = torch.tensor([2] * 9 + [0] * 3 + [5])
    drawn = some_of_each(y, 4, torch.Generator().manual_seed(0))
    assert y[drawn].bincount(minlength=6).tolist() == [2, 0, 4, 0, 0, 0]
    assert some_of_each(y[:0], 4, torch.Generator()).tolist() == []


def test_without_exemplars_to_validate_with_nothing_is_corrected():
    strategy, _ = learned(rebuilder(BiC, [(0, 1), (2, 3)], total=1), 2)
    assert len(strategy.memory) == 0
    assert strategy.predict(digits(0).x[:3]).isfinite().all()


def test_the_contract_is_kept_on_every_kind_of_stream():
    check_strategy(BiC, on=KINDS)


def test_the_contract_is_kept_where_all_corrections_stay():
    check_strategy(BiC, on=("repeating-classes",), corrections="all")


def test_it_learns_where_classes_return():
    stream = {"kind": "repetition-slots", "experiences": 5, "classes_per_experience": 4}
    run = cl_engine.run({"data": "digits", "stream": stream, "strategy": {"kind": "bic", "total": 100}})
    assert run.metrics["last_accuracy"] > 0.8
