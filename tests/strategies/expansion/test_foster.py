"""FOSTER: both stages against published numbers and NumPy, what each curve holds, and returning classes."""

import numpy as np
import pytest
import torch
from torch import nn

import cl_engine
from cl_engine.config.scenario import Scenario
from cl_engine.data.samples import Samples
from cl_engine.losses import effective_number_weights
from cl_engine.memory.ledger import ledger
from cl_engine.running.planner import plan_memory
from cl_engine.strategies.expansion import foster
from cl_engine.strategies.expansion.foster import FOSTER
from cl_engine.testing import check_strategy
from tests.strategies.fixed import RETURNING, Fixed, copied, digits, equal, learned, rebuilder

Y = [0, 5, 4, 2]
BACKBONE = 4 * (64 * 128 + 128 + 128 * 128 + 128)  # of the mlp on digits


class Both(nn.Module):
    """Two branches of one feature each whose head answers with given scores."""

    width = 1

    def __init__(self, scores):
        super().__init__()
        self.head = Fixed(scores)

    def features(self, x):
        return torch.zeros(len(x), 2)

    def forward(self, x):
        return self.head(x)


def published():
    draw = np.random.default_rng(14)
    z, fe, old, student = (draw.standard_normal(shape) for shape in [(4, 6), (4, 6), (4, 4), (4, 6)])
    return z, fe, old, student, effective_number_weights(torch.tensor([20] * 4 + [500] * 2), 0.97)


def softmax(z):
    e = np.exp(z)
    return e / e.sum(1, keepdims=True)


def test_boosting_has_the_published_loss_and_moves_neither_the_old_head_nor_columns_by_others_weights():
    z, fe, old, _, w = published()
    both, head, old_head = Both(z), Fixed(fe), Fixed(old).requires_grad_(False)
    batch = Samples(torch.zeros(4, 1), torch.tensor(Y))
    loss = FOSTER().boosting_loss(batch, both, head, old_head, 4, w)
    assert float(loss.detach()) == pytest.approx(3.18087625 + 1.86163325 + 1.50506757, abs=2e-8)
    loss.backward()
    expected = (softmax(z / w.numpy()) - np.eye(6)[Y]) / w.numpy() / 4
    expected[:, :4] += (softmax(z[:, :4] / 2) - softmax(old / 2)) / 2 / 4
    np.testing.assert_allclose(both.head.scores.grad, expected, atol=1e-12)
    np.testing.assert_allclose(head.scores.grad, (softmax(fe) - np.eye(6)[Y]) / 4, atol=1e-12)


def test_compression_has_the_published_loss_and_moves_the_student_alone():
    z, _, _, student, w = published()
    strategy, both = FOSTER(), Both(z)
    strategy.network = Fixed(student)
    loss = strategy.compression_loss(Samples(torch.zeros(4, 1), torch.tensor(Y)), both, w)
    assert float(loss.detach()) == pytest.approx(1.91589164, abs=1e-8)
    loss.backward()
    q = softmax(z / 2) * w.numpy()
    expected = (softmax(student / 2) - q / q.sum(1, keepdims=True)) / 2 / 4
    np.testing.assert_allclose(strategy.network.scores.grad, expected, atol=1e-12)
    assert both.head.scores.grad is None


@pytest.mark.parametrize("curve", ["compressed", "boosted"])
def test_a_curve_is_of_what_is_held_to_the_byte(curve):
    made = rebuilder(FOSTER, curve=curve, total=20)
    for t, classes in enumerate([2, 4, 5, 5], start=1):
        network = BACKBONE + 4 * classes * (128 + 1)
        both = 2 * BACKBONE + 4 * classes * (2 * 128 + 1) if curve == "boosted" and t > 1 else 0
        assert sum(e.bytes for e in ledger(made.begun(t))) == network + both  # no exemplar was seen


def test_both_curves_come_from_the_same_training():
    strategies = {c: learned(rebuilder(FOSTER, curve=c, total=20), 3)[0] for c in ("compressed", "boosted")}
    held = {curve: copied(strategy) for curve, strategy in strategies.items()}
    both = {name: held["boosted"].pop(name) for name in list(held["boosted"]) if name.startswith("boosted.")}
    assert equal(held["compressed"], held["boosted"])
    assert sum(tensor.numel() * 4 for tensor in both.values()) == 2 * BACKBONE + 4 * 5 * 257
    x = digits(0, 3).x[:9]
    for curve, network in (("compressed", "network"), ("boosted", "boosted")):
        strategy = strategies[curve]
        assert torch.equal(strategy.predict(x), getattr(strategy, network)(x))
    assert not torch.equal(*(strategy.predict(x) for strategy in strategies.values()))


def test_the_new_branch_starts_as_the_network_and_the_old_one_and_its_statistics_do_not_move():
    made = rebuilder(FOSTER, backbone="convnet2", curve="boosted", total=20, epochs=1)
    strategy, _ = learned(made, 2)  # the branches of one experience are gone in the next
    student, rows = copied(strategy.network.blocks[0]), strategy.network.head.weight.detach().clone()
    task = made.terms.task(2)
    strategy.begin(task)
    old, new = strategy.boosted.blocks
    assert equal(student, old.state_dict())
    assert equal(student, new.state_dict())
    assert torch.equal(strategy.boosted.head.weight[:4, :64], rows)
    assert strategy.boosted.head.weight.shape == (5, 128)
    strategy.learn(task, digits(*RETURNING[2]))
    assert equal(student, old.state_dict())
    assert not equal(student, new.state_dict())
    assert not equal(student, strategy.network.blocks[0].state_dict())


def test_weights_are_by_samples_and_exemplars_as_counted_also_of_classes_that_return(monkeypatch):
    seen, boosting = [], FOSTER.boosting_loss

    def watched(self, batch, **options):
        seen.append(options)
        return boosting(self, batch, **options)

    monkeypatch.setattr(FOSTER, "boosting_loss", watched)
    made = rebuilder(FOSTER, total=20, epochs=1)
    strategy, _ = learned(made, 2)
    exemplars = strategy.memory.y.bincount(minlength=5)
    assert exemplars.tolist() == [5, 5, 5, 5, 0]
    task = made.terms.task(2)
    strategy.begin(task)
    strategy.learn(task, samples := digits(3, 0, 4))
    counts = exemplars.numpy() + np.bincount(samples.y, minlength=5)
    weights = 0.04 / (1 - 0.96**counts)
    np.testing.assert_allclose(seen[-1]["weights"], weights / weights.mean(), rtol=1e-6)
    assert seen[-1]["weights"].argmax() in (1, 2)
    assert seen[-1]["old"] == 4


def test_the_student_is_compressed_without_weight_decay_in_as_many_epochs(monkeypatch):
    calls, fit = [], foster.fit

    def watched(module, samples, task, loss, **options):
        calls.append(options)
        fit(module, samples, task, loss, **options)

    monkeypatch.setattr(foster, "fit", watched)
    made = rebuilder(FOSTER, total=20, epochs=1)
    strategy, _ = learned(made, 1)
    task = made.terms.task(1)
    task.training = cl_engine.terms.training.Training(epochs=1, weight_decay=0.3)
    strategy.begin(task)
    strategy.learn(task, digits(2, 3))
    boosting, compression = calls[-2:]
    assert "training" not in boosting
    assert (compression["training"].weight_decay, compression["training"].epochs) == (0, 1)


def test_an_experience_without_new_classes_boosts_and_holds_no_byte_more():
    made = rebuilder(FOSTER, total=20)
    strategy, _ = learned(made, 3)
    before, held = copied(strategy.network), sum(e.bytes for e in ledger(strategy))
    task = made.terms.task(3)
    strategy.begin(task)
    strategy.learn(task, digits(*RETURNING[3]))
    assert not equal(before, copied(strategy.network))
    assert sum(e.bytes for e in ledger(strategy)) == held
    assert task.transient["boosted"] == 2 * BACKBONE + 4 * 5 * 257
    assert task.transient["feature head"] == task.transient["old head"] == 4 * 5 * 129
    assert task.transient["class counts"] == 8 * 5


def test_online_the_plan_equals_the_ledger_also_of_both_branches():
    stream = {"kind": "repetition-slots", "experiences": 3, "classes_per_experience": 5}
    stream |= {"delivery": "online", "micro_batch": 60}
    scenario = {"data": "digits", "stream": stream, "strategy": {"kind": "foster", "curve": "boosted"}}
    scenario |= {"training": {"updates_per_sample": 0.05}, "memory": {"budget": "500 KiB"}}
    planned, run = plan_memory(Scenario.load(scenario))["experiences"], cl_engine.run(scenario)
    assert [e["entries"] for e in planned] == run.memory["entries"]
    peaks = run.memory["training_peak"]
    assert {name: max(e["training"].get(name, 0) for e in planned) for name in peaks} == peaks


@pytest.mark.parametrize("options", [{"curve": "boosted"}, {"backbone": "convnet2", "total": 12}], ids=str)
def test_the_contract_is_kept_by_both_curves_and_with_batch_norm(options):
    check_strategy(FOSTER, on=("repeating-classes",), **options)


@pytest.mark.parametrize("curve", ["compressed", "boosted"])
def test_it_learns_where_classes_return(curve):
    stream = {"kind": "repetition-slots", "experiences": 4, "classes_per_experience": 5}
    strategy, training = {"kind": "foster", "total": 100, "curve": curve}, {"lr": 0.1, "epochs": 10}
    run = cl_engine.run({"data": "digits", "stream": stream, "strategy": strategy, "training": training})
    assert run.metrics["last_accuracy"] > 0.8


@pytest.mark.parametrize("option", [{"curve": "teacher"}, {"beta_boosting": 1}])
def test_options_are_checked(option):
    with pytest.raises(cl_engine.ConfigError, match=next(iter(option))):
        Scenario.load({"data": "digits", "strategy": {"kind": "foster", **option}})
