"""PRD: who gets a gradient and who gets none, and what is held."""

import torch

from cl_engine.data.samples import Samples
from cl_engine.models.teacher import frozen_copy
from cl_engine.scenarios.exposure import Exposure
from cl_engine.strategies.prototypes.prd import PRD
from cl_engine.terms.task import Task
from cl_engine.testing import KINDS, check_strategy


def begun(**options):
    strategy = PRD(projection=8, **options)
    strategy.begin(Task(0, Exposure((0, 1), (0, 1), 2), shape=(6,)))
    teacher = frozen_copy(strategy.model)
    strategy.begin(Task(1, Exposure((2,), (2,), 3), shape=(6,)))
    generator = torch.Generator().manual_seed(0)
    batch = Samples(torch.randn(12, 6, generator=generator), torch.arange(12) % 3)
    return strategy, teacher, batch


def moved(strategy, teacher, batch):
    strategy.loss(batch, teacher, 2).backward()
    encoder = sum(p.grad.abs().sum() for p in strategy.model.encoder.parameters() if p.grad is not None)
    rows = strategy.model.prototypes.weight.grad
    return encoder, torch.zeros(3) if rows is None else rows.abs().sum(1)


def test_the_prototype_loss_moves_prototypes_alone():
    strategy, _, batch = begun(relation=0.0)
    _, rows = moved(strategy, None, batch)
    assert (rows > 0).all()
    contrast, _, batch = begun(attraction=0.0, relation=0.0)
    alone, none = moved(contrast, None, batch)
    both, _ = moved(*begun(relation=0.0)[:1], None, batch)
    assert none.sum() == 0
    assert torch.allclose(alone, both)


def test_relations_move_old_prototypes_and_the_encoder_but_no_new_prototype_and_no_teacher():
    torch.manual_seed(0)
    strategy, teacher, batch = begun(attraction=0.0)
    with torch.no_grad():
        for parameter in strategy.model.encoder.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    encoder, rows = moved(strategy, teacher, batch)
    assert encoder > 0
    assert (rows[:2] > 0).all()
    assert rows[2] == 0
    assert all(p.grad is None for p in teacher.parameters())


def test_a_student_that_is_its_teacher_loses_nothing():
    strategy, teacher, batch = begun(attraction=0.0)
    with_teacher, without = (strategy.loss(batch, t, 2).item() for t in (teacher, None))
    assert abs(with_teacher - without) < 1e-6


def test_it_keeps_the_contract_on_every_stream():
    check_strategy(PRD, on=KINDS)
