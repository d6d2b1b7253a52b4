"""PODNet: its loss against published numbers, what is frozen and when, first proxies, bytes, returning classes."""

import numpy as np
import pytest
import torch
from torch import nn

import cl_engine
from cl_engine.config.scenario import Scenario
from cl_engine.data.samples import Samples
from cl_engine.memory.ledger import ledger
from cl_engine.models.imprinting import imprinted
from cl_engine.strategies.distillation.podnet import PODNet
from cl_engine.terms.training import Training
from cl_engine.testing import check_strategy
from tests.strategies.fixed import RETURNING, Fixed, copied, digits, equal, learned, rebuilder

BACKBONE = 4 * (64 * 128 + 128 + 128 * 128 + 128)  # of the mlp on digits


class Scored(nn.Module):
    """Features, maps and scores that are given."""

    def __init__(self, features, maps, scores=None, scale=1.0):
        super().__init__()
        self.given, self.maps = (nn.Parameter(torch.tensor(a)) for a in (features, maps))
        if scores is not None:
            self.head = Fixed(scores)
            self.head.scale = torch.tensor(scale, dtype=torch.float64)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize(("form", "nca"), [("paper", 2.09480841), ("released", 1.91572321)])
@pytest.mark.parametrize("factor", [1.0, 2.5])
def test_the_loss_adds_the_published_numbers(form, nca, factor, monkeypatch):
    draw = np.random.default_rng(13)
    a, b = draw.standard_normal((2, 3, 4, 4)), draw.standard_normal((2, 3, 4, 4))
    f, before = unit(draw.standard_normal((4, 6))), unit(draw.standard_normal((4, 6)))
    scores, y = draw.uniform(-1, 1, (4, 5)), draw.integers(0, 5, 4)
    monkeypatch.setattr(PODNet, "stages", lambda self, network, x: (network.given, [network.maps]))
    strategy, teacher = PODNet(margin_form=form), Scored(before, b)
    strategy.network = Scored(f, a, scores)
    batch = Samples(torch.zeros(4, 1), torch.tensor(y))
    loss = strategy.distilled(batch, teacher, factor)
    assert float(loss.detach()) == pytest.approx(nca + factor * (1.24300664 + 3 * 0.77048351), abs=1e-7)
    loss.backward()
    assert strategy.network.maps.grad.abs().sum() > 0
    assert teacher.maps.grad is None
    assert teacher.given.grad is None
    assert float(strategy.distilled(batch).detach()) == pytest.approx(nca, abs=1e-8)


def test_the_margin_is_one_of_similarities_before_the_scale():
    strategy, s = PODNet(margin_form="paper"), np.array([[0.5, 0.2, -0.1]])
    strategy.network = Scored(s, s, 4 * s, scale=4.0)
    expected = np.log(np.exp(4 * 0.2) + np.exp(4 * -0.1)) - 4 * (0.5 - 0.6)
    assert float(strategy.classification(torch.zeros(1, 1), torch.tensor([0])).detach()) == pytest.approx(expected)


def test_distillation_counts_for_more_the_fewer_of_the_seen_classes_come(monkeypatch):
    factors, distilled = [], PODNet.distilled

    def watched(self, batch, teacher, factor):
        factors.append(factor)
        return distilled(self, batch, teacher, factor)

    monkeypatch.setattr(PODNet, "distilled", watched)
    for experience, ratio in [(1, 4 / 2), (2, 5 / 3), (3, 5 / 2)]:  # the last ones have classes that return
        learned(rebuilder(PODNet, epochs=1, total=10, fine_tuning=1), experience + 1)
        assert factors[-1] == pytest.approx(ratio**0.5)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_old_proxies_move_only_at_the_end_and_then_nothing_else_but_the_head(optimizer):
    made = rebuilder(PODNet, total=20, fine_tuning=2)
    strategy, _ = learned(made, 2)
    task = made.terms.task(2)
    task.training = Training(epochs=2, batch_size=32, optimizer=optimizer, weight_decay=0.1)
    strategy.begin(task)
    old, new = strategy.head.old.detach().clone(), strategy.head.new.detach().clone()
    strategy.learn(task, digits(*RETURNING[2]))
    assert torch.equal(old, strategy.head.old)
    assert not torch.equal(new, strategy.head.new)
    backbone, new = copied(strategy.network.backbone), strategy.head.new.detach().clone()
    strategy.end(task)
    assert equal(backbone, copied(strategy.network.backbone))
    assert not torch.equal(old, strategy.head.old)
    assert not torch.equal(new, strategy.head.new)
    assert [p.requires_grad for p in strategy.head.parameters()] == [False, True, True]


def test_the_end_is_trained_at_half_the_rate_on_the_exemplars_alone_and_only_where_asked(monkeypatch):
    seen, made = [], rebuilder(PODNet, [(0, 1), (2, 3)], total=8, epochs=1, fine_tuning=3)
    strategy, _ = learned(made, 1)
    first = copied(strategy)
    strategy.end(made.terms.task(0))  # no class is old: nothing to balance
    assert equal(first, copied(strategy))
    task = made.terms.task(1)
    strategy.begin(task)
    strategy.learn(task, digits(2, 3))
    classification = PODNet.classification
    monkeypatch.setattr(
        PODNet, "classification", lambda self, f, y: (seen.append(y), classification(self, f, y))[1]
    )
    before = strategy.head.scale.item()
    strategy.end(task)
    assert [y.bincount().tolist() for y in seen] == [[2, 2, 2, 2]] * 3
    assert strategy.head.scale.item() != before
    strategy.fine_tuning, after = 0, copied(strategy)
    strategy.end(task)
    assert equal(after, copied(strategy))


def test_first_proxies_of_a_class_are_clusters_of_its_own_features_as_long_as_old_ones():
    made = rebuilder(PODNet, [(0, 1, 2), (5, 3, 4)], total=20, proxies=3)
    strategy, _ = learned(made, 1)
    task = made.terms.task(1)
    strategy.begin(task)
    samples = digits(5, 3, 4)
    strategy.imprint(task, samples)
    length, generator = strategy.head.old.norm(dim=2).mean(), made.terms.task(1).generator("imprinting")
    for place, label in enumerate((3, 4, 5)):
        rows = imprinted(strategy.features(samples[samples.y == label].x), 3, generator)
        torch.testing.assert_close(strategy.head.new[place], length * rows)


def test_what_is_held_is_a_backbone_proxies_and_their_scale_and_the_teacher_is_as_large():
    made = rebuilder(PODNet, total=20)
    for t, classes in enumerate([2, 4, 5, 5], start=1):
        assert sum(e.bytes for e in ledger(made.begun(t))) == BACKBONE + 4 * (10 * 128 * classes + 1)
    _, task = learned(made, 2)
    assert task.transient["teacher"] == BACKBONE + 4 * (10 * 128 * 4 + 1)
    network = rebuilder(PODNet, [range(100)], (3, 32, 32), backbone="resnet32").begun(1).network
    kinds = {kind: sum(e.bytes for e in ledger(network) if e.kind == kind) for kind in ("parameters", "head")}
    assert kinds == {"parameters": 4 * 463_504, "head": 2560 * 100 + 4}


@pytest.mark.parametrize(
    "options",
    [{"backbone": "convnet2", "total": 12}, {"proxies": 1, "margin_form": "paper", "codec": "jpeg", "total": 9}],
    ids=str,
)
def test_the_contract_is_kept_with_batch_norm_and_with_encoded_exemplars(options):
    check_strategy(PODNet, on=("repeating-classes",), **options)


def test_it_learns_where_classes_return_at_the_rate_of_the_paper():
    stream = {"kind": "repetition-slots", "experiences": 4, "classes_per_experience": 5}
    scenario = {"data": "digits", "stream": stream, "strategy": {"kind": "podnet", "total": 100}}
    run = cl_engine.run({**scenario, "training": {"lr": 0.1, "epochs": 10}})
    assert run.metrics["last_accuracy"] > 0.8


@pytest.mark.parametrize("option", [{"margin_form": "code"}, {"proxies": 0}, {"margin": -1}, {"fine_tuning": 0.5}])
def test_options_are_checked(option):
    with pytest.raises(cl_engine.ConfigError, match=next(iter(option))):
        Scenario.load({"data": "digits", "strategy": {"kind": "podnet", **option}})
