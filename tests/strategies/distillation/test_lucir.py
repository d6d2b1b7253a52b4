"""LUCIR: its loss in NumPy and against torch's own losses, what is frozen, first rows, bytes, returning classes."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import cl_engine
from cl_engine.config.scenario import Scenario
from cl_engine.data.samples import Samples
from cl_engine.memory.ledger import ledger
from cl_engine.models.heads import CosineHead
from cl_engine.strategies.distillation.lucir import LUCIR
from cl_engine.terms.training import Training
from cl_engine.testing import check_strategy
from tests.strategies.fixed import RETURNING, digits, learned, rebuilder

BACKBONE = 4 * (64 * 128 + 128 + 128 * 128 + 128)  # of the mlp on digits


class Given(nn.Module):
    """Features that are given."""

    def __init__(self, features):
        super().__init__()
        self.given = nn.Parameter(torch.tensor(features))

    def features(self, x):
        return self.given


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("options", [{}, {"separation": 3.0, "margin": 0.1, "hardest": 1}, {"hardest": 9}], ids=str)
def test_the_loss_is_that_of_the_paper_with_the_mean_over_hardest_classes(options):
    draw = np.random.default_rng(7)
    features, before, rows = (draw.standard_normal((n, 6)) for n in (5, 5, 7))
    y, old, scale, weight = np.array([0, 5, 3, 6, 2]), 4, 2.5, 1.7
    strategy, _ = learned(rebuilder(LUCIR, [(0, 1)], epochs=1, total=4, **options), 1)
    strategy.network, teacher = Given(features), Given(before)
    strategy.network.head = strategy_head(rows, scale)
    margin, hardest, separation = strategy.margin, strategy.hardest, strategy.separation
    cosines = unit(features) @ unit(rows).T
    shifted = np.exp(scale * cosines)
    ce = -np.log(shifted[range(5), y] / shifted.sum(1)).mean()
    forgotten = 1 - (unit(features) * unit(before)).sum(1).mean()
    missed = [
        max(0, margin - cosines[i, y[i]] + s)
        for i in range(5) if y[i] < old
        for s in sorted(cosines[i, old:])[::-1][:hardest]
    ]  # fmt: skip
    loss = strategy.distilled(Samples(torch.zeros(5, 1), torch.tensor(y)), teacher, weight, old)
    assert float(loss.detach()) == pytest.approx(ce + weight * forgotten + separation * np.mean(missed), rel=1e-9)
    loss.backward()
    assert strategy.network.given.grad.abs().sum() > 0
    assert teacher.given.grad is None
    alone = strategy.distilled(Samples(torch.zeros(5, 1), torch.tensor(y)))
    assert float(alone.detach()) == pytest.approx(ce, rel=1e-9)


def strategy_head(rows, scale):
    """A head of given rows, one a class."""
    made = learned(rebuilder(LUCIR, [(0, 1)], epochs=1, total=4), 1)[0].head
    made.old, made.new = (nn.Parameter(torch.tensor(part)[:, None]) for part in (rows[:4], rows[4:]))
    made.scale = nn.Parameter(torch.tensor(scale, dtype=torch.float64))
    return made


def test_its_head_is_a_cosine_classifier_cut_in_two():
    strategy, _ = learned(rebuilder(LUCIR, total=10), 2)
    plain, x = CosineHead(128), torch.randn(5, 128)
    plain.weight = nn.Parameter(strategy.head.weight.detach()[:, 0])
    plain.scale = strategy.head.scale
    torch.testing.assert_close(strategy.head(x), plain(x))


def test_keeping_counts_for_more_the_fewer_of_the_seen_classes_come(monkeypatch):
    weights, distilled = [], LUCIR.distilled

    def watched(self, batch, teacher, weight, old):
        weights.append(weight)
        return distilled(self, batch, teacher, weight, old)

    monkeypatch.setattr(LUCIR, "distilled", watched)
    for experience, ratio in [(0, 0), (1, 2 / 2), (2, 2 / 3), (3, 3 / 2)]:  # classes that return come, too
        learned(rebuilder(LUCIR, epochs=1, total=10, strength=3.0), experience + 1)
        assert weights[-1] == pytest.approx(3 * ratio**0.5)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_rows_of_old_classes_stand_still_and_the_scale_does_not(optimizer):
    made = rebuilder(LUCIR, total=20)
    strategy, _ = learned(made, 2)
    task = made.terms.task(2)
    task.training = Training(epochs=2, batch_size=32, optimizer=optimizer, weight_decay=0.1)
    strategy.begin(task)
    old, new, scale = (p.detach().clone() for p in (strategy.head.old, strategy.head.new, strategy.head.scale))
    strategy.learn(task, digits(*RETURNING[2]))
    assert torch.equal(old, strategy.head.old)
    assert not torch.equal(new, strategy.head.new)
    assert not torch.equal(scale, strategy.head.scale)


def test_a_new_class_starts_from_the_mean_direction_of_its_features_as_long_as_old_rows():
    made = rebuilder(LUCIR, [(0, 1, 2), (4, 3)], total=20)
    strategy, _ = learned(made, 1)
    strategy.begin(made.terms.task(1))
    samples = digits(3, 4)
    strategy.imprint(made.terms.task(1), samples)
    length = strategy.head.old.norm(dim=2).mean()
    for place, label in enumerate((3, 4)):
        directions = F.normalize(strategy.features(samples[samples.y == label].x))
        expected = length * F.normalize(directions.mean(0), dim=0)
        torch.testing.assert_close(strategy.head.new[place, 0], expected)


def test_what_is_held_is_a_backbone_a_row_a_class_and_a_scale():
    made = rebuilder(LUCIR, total=20)
    for t, classes in enumerate([2, 4, 5, 5], start=1):
        assert sum(e.bytes for e in ledger(made.begun(t))) == BACKBONE + 4 * (128 * classes + 1)
    assert learned(made, 2)[1].transient["teacher"] == BACKBONE + 4 * (128 * 4 + 1)


@pytest.mark.parametrize("options", [{"backbone": "convnet2", "total": 12}, {"codec": "jpeg", "total": 9}], ids=str)
def test_the_contract_is_kept_where_classes_return_with_batch_norm_and_with_encoded_exemplars(options):
    check_strategy(LUCIR, on=("repeating-classes",), **options)


def test_the_contract_is_kept_where_boundaries_are_hidden_and_samples_are_features():
    check_strategy(LUCIR, on=("hidden-boundaries", "features"), total=9)


def test_it_learns_where_classes_return():
    stream = {"kind": "repetition-slots", "experiences": 4, "classes_per_experience": 5}
    scenario = {"data": "digits", "stream": stream, "strategy": {"kind": "lucir", "total": 100}}
    run = cl_engine.run({**scenario, "training": {"lr": 0.1, "epochs": 5}})
    assert run.metrics["last_accuracy"] > 0.8


@pytest.mark.parametrize("option", [{"hardest": 0}, {"margin": -1}, {"strength": "much"}, {"separation": -1}])
def test_options_are_checked(option):
    with pytest.raises(cl_engine.ConfigError, match=next(iter(option))):
        Scenario.load({"data": "digits", "strategy": {"kind": "lucir", **option}})
