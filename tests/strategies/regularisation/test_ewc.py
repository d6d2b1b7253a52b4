"""EWC: Fisher of single samples, penalty, what is held, and that it holds on to what it knew."""

import numpy as np
import pytest
import torch
from torch import nn

import cl_engine
from cl_engine.config.scenario import Scenario
from cl_engine.data.samples import Samples
from cl_engine.kinds.problems import OptionError
from cl_engine.running.planner import plan_memory
from cl_engine.scenarios.exposure import Exposure
from cl_engine.strategies.regularisation.ewc import EWC, squared_gradients
from cl_engine.terms.task import Task
from cl_engine.terms.training import Training
from cl_engine.testing import KINDS, check_strategy

ONLINE = {"delivery": "online", "micro_batch": 16}
STILL = Training(epochs=1, batch_size=8, lr=1e-30, momentum=0.0)  # a rate that moves no float32 weight


def oracle():
    draw = np.random.default_rng(1)
    x, w, y = draw.standard_normal((8, 5)), draw.standard_normal((3, 5)), draw.integers(0, 3, 8)
    moved = 0.1 * draw.standard_normal((3, 5))
    p = np.exp(x @ w.T)
    p /= p.sum(1, keepdims=True)
    fisher = (np.einsum("ic,id->icd", p - np.eye(3)[y], x) ** 2).mean(0)
    layer = nn.Linear(5, 3, bias=False).double()
    layer.weight.data = torch.tensor(w)
    return layer, Samples(torch.tensor(x), torch.tensor(y)), fisher, moved


@pytest.mark.parametrize("chunk", [1, 3, 8])
def test_the_fisher_is_of_single_samples_in_whatever_chunks(chunk):
    layer, samples, fisher, _ = oracle()
    found = squared_gradients(layer, samples, chunk)["weight"] / 8
    assert float(found.sum()) == pytest.approx(5.04061055, abs=1e-8)  # squares of the whole batch: 0.65844001
    np.testing.assert_allclose(found.numpy(), fisher, rtol=1e-12)


def test_the_penalty_is_half_the_strength_times_the_squared_distance_by_importance():
    layer, samples, fisher, moved = oracle()
    strategy = EWC(strength=7.0)
    strategy.network, strategy.label_smoothing = layer, 0.0
    strategy.importance.grow(layer)["weight"].copy_(torch.tensor(fisher))
    strategy.anchor.grow(layer)["weight"].copy_(layer.weight.detach())
    assert float(strategy.penalty().detach()) == 0
    layer.weight.data += torch.tensor(moved)
    assert float(strategy.penalty().detach()) == pytest.approx(0.02503411, abs=1e-8)
    plain = nn.functional.cross_entropy(layer(samples.x), samples.y)
    extra = strategy.loss(samples) - plain
    assert float(extra.detach()) == pytest.approx(3.5 * 0.02503411, abs=1e-7)
    (gradient,) = torch.autograd.grad(extra, layer.weight)
    np.testing.assert_allclose(gradient.numpy(), 7 * fisher * moved, rtol=1e-9, atol=1e-12)


def task(index=0, classes=(0, 1), new=(0, 1), seen=2, shape=(1, 8, 8), **options):
    options.setdefault("training", STILL)
    return Task(index, Exposure(classes, new, seen), shape=shape, **options)


def images(*classes, each=9):
    y = torch.tensor(classes).repeat_interleave(each)
    x = torch.randint(0, 256, (len(y), 1, 8, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    return Samples(x, y)


def one_by_one(network, samples):
    """The mean squared gradient, sample by sample, through autograd alone."""
    network.eval()
    sums = {n: torch.zeros_like(p) for n, p in network.named_parameters() if p.requires_grad}
    for x, y in zip(samples.x, samples.y, strict=True):
        network.zero_grad()
        nn.functional.cross_entropy(network(x[None]), y[None]).backward()
        for name, parameter in network.named_parameters():
            if parameter.grad is not None:
                sums[name] += parameter.grad**2
    return {n: s / len(samples) for n, s in sums.items()}


@pytest.mark.parametrize("backbone", ["mlp", "convnet2", {"kind": "resnet14"}], ids=str)
def test_the_importance_equals_a_loop_over_samples_batch_norm_or_not(backbone):
    strategy, first, samples = EWC(backbone=backbone), task(training=Training(epochs=1, batch_size=8)), images(0, 1)
    strategy.begin(first)
    strategy.learn(first, samples)
    statistics = {n: b.clone() for n, b in strategy.network.named_buffers()}
    strategy.end(first)
    expected = one_by_one(strategy.network, samples)
    for name, value in expected.items():
        torch.testing.assert_close(strategy.importance[name], value, rtol=1e-3, atol=1e-6)
        assert torch.equal(strategy.anchor[name], dict(strategy.network.named_parameters())[name].detach())
    before = {n: b.clone() for n, b in strategy.network.named_buffers()}
    squared_gradients(strategy.network, samples)
    for name, buffer in strategy.network.named_buffers():
        assert torch.equal(buffer, before[name])
        assert torch.equal(buffer, statistics[name])


def test_micro_batches_add_up_to_the_importance_of_the_whole():
    found = {}
    for online, size in ((False, 18), (True, 5)):
        strategy, first = EWC(), task(online=online)
        strategy.begin(first)
        for part in images(0, 1).batches(size):
            strategy.learn(first, part)
        strategy.end(first)
        found[online] = strategy.importance
    for name, value in one_by_one(strategy.network, images(0, 1)).items():
        torch.testing.assert_close(found[True][name], found[False][name], rtol=1e-4, atol=1e-8)
        torch.testing.assert_close(found[True][name], value, rtol=1e-4, atol=1e-8)


def test_earlier_importance_decays_and_new_rows_have_none():
    strategy, first, again = EWC(decay=0.25), task(), task(1, (0, 2), (2,), 3)
    strategy.begin(first)
    strategy.learn(first, images(0, 1))
    strategy.end(first)
    old = strategy.importance["head.weight"].clone()
    strategy.begin(again)
    assert torch.equal(strategy.importance["head.weight"], torch.cat([old, torch.zeros_like(old[:1])]))
    strategy.learn(again, images(0, 2))
    strategy.end(again)
    new = one_by_one(strategy.network, images(0, 2))["head.weight"]
    expected = 0.25 * torch.cat([old, torch.zeros_like(old[:1])]) + new
    torch.testing.assert_close(strategy.importance["head.weight"], expected, rtol=1e-4, atol=1e-8)


def test_an_experience_without_samples_changes_nothing():
    strategy, first = EWC(decay=0.0), task()
    strategy.begin(first)
    strategy.learn(first, images(0, 1))
    strategy.end(first)
    before = {name: value.clone() for name, value in strategy.state_dict().items()}
    empty = task(1, (), (), 2)
    strategy.begin(empty)
    strategy.end(empty)
    assert all(torch.equal(value, before[name]) for name, value in strategy.state_dict().items())


def test_a_frozen_weight_has_neither_importance_nor_anchor():
    strategy, first = EWC(backbone="mlp"), task()
    strategy.network = strategy.build(first)
    strategy.network.backbone.requires_grad_(False)
    strategy.build = lambda _: strategy.network
    strategy.begin(first)
    strategy.learn(first, images(0, 1))
    strategy.end(first)
    held = {name for name, _ in strategy.named_buffers() if name.startswith(("importance", "anchor"))}
    assert held == {f"{kind}.head/{part}" for kind in ("importance", "anchor") for part in ("weight", "bias")}


def test_separate_penalties_add_up_one_of_each_experience_that_was_learned():
    strategy, earlier = EWC(penalty="separate", strength=3.0), []
    steps = [((0, 1), (0, 1), 2), ((2, 0), (2,), 3), ((1, 3), (3,), 4)]
    for index, (classes, new, seen) in enumerate(steps):
        now = task(index, classes, new, seen, training=Training(epochs=3, batch_size=8))
        strategy.begin(now)
        weights = dict(strategy.network.named_parameters())
        batch = images(*classes)
        expected = 0.0
        for fisher, anchor in earlier:
            for name, f in fisher.items():
                since = weights[name].detach()[tuple(map(slice, f.shape))].double()
                expected += 1.5 * float((f.double() * (since - anchor[name].double()) ** 2).sum())
        extra = strategy.loss(batch) - nn.functional.cross_entropy(strategy.network(batch.x), batch.y)
        assert float(extra.detach()) == pytest.approx(expected, abs=2e-6)
        strategy.learn(now, batch)
        strategy.end(now)
        earlier.append((one_by_one(strategy.network, batch), {n: p.detach().clone() for n, p in weights.items()}))
    with torch.no_grad():
        for parameter in strategy.network.parameters():
            parameter.add_(0.1)
    strategy.begin(task(3, (0,), (), 4))
    now = {n: p.detach() for n, p in strategy.network.named_parameters()}
    expected = sum(
        1.5 * float((f * (now[n][tuple(map(slice, f.shape))] - anchor[n]) ** 2).sum())
        for fisher, anchor in earlier
        for n, f in fisher.items()
    )
    assert float((strategy.strength * strategy.penalty()).detach()) == pytest.approx(expected, rel=1e-4)
    assert expected > 1e-3


def test_separate_penalties_hold_two_networks_of_each_experience_as_large_as_it_was_then():
    scenario = {
        "data": "digits",
        "stream": {"kind": "class-incremental", "step": 5},
        "strategy": {"kind": "ewc", "penalty": "separate", "backbone": "identity"},
        "training": {"epochs": 1},
    }
    entries = cl_engine.run(scenario).memory["entries"][-1]
    assert sum(e["bytes"] for e in entries if e["kind"] in ("importance", "anchor")) == 2 * 4 * 65 * (5 + 10)
    assert [e["entries"] for e in plan_memory(Scenario.load(scenario))["experiences"]][-1] == entries


def test_separate_penalties_do_not_decay():
    with pytest.raises(OptionError, match=r"decay: got 0\.5 with `penalty: separate`; allowed: 1, or"):
        EWC(penalty="separate", decay=0.5)


def test_rows_of_classes_that_return_gain_importance():
    strategy = EWC()
    for index, (classes, new, seen) in enumerate([((0, 1), (0, 1), 2), ((2,), (2,), 3), ((2, 0), (), 3)]):
        now = task(index, classes, new, seen)
        strategy.begin(now)
        before = strategy.importance["head.bias"].clone()
        strategy.learn(now, images(*classes))
        strategy.end(now)
    expected = before + one_by_one(strategy.network, images(2, 0))["head.bias"]
    torch.testing.assert_close(strategy.importance["head.bias"], expected, rtol=1e-4, atol=1e-8)
    assert (strategy.importance["head.bias"][[0, 2]] > before[[0, 2]]).all()


@pytest.mark.parametrize("options", [{}, {"backbone": "identity"}], ids=str)
def test_the_contract_is_kept_on_every_kind_of_stream(options):
    check_strategy(EWC, on=KINDS, **{"backbone": {"kind": "mlp", "width": 8}, **options})


def test_the_contract_is_kept_with_separate_penalties():
    backbone = {"kind": "mlp", "width": 8}
    check_strategy(EWC, on=("repeating-classes",), penalty="separate", backbone=backbone)


@pytest.mark.parametrize("delivery", [{}, ONLINE], ids=["offline", "online"])
def test_it_holds_and_takes_what_was_planned(delivery):
    scenario = {
        "data": "digits",
        "stream": {"kind": "class-incremental", **delivery},
        "strategy": {"kind": "ewc", "backbone": "convnet2"},
        "training": {"epochs": 1, "updates_per_sample": 0.1},
    }
    planned, measured = plan_memory(Scenario.load(scenario))["experiences"], cl_engine.run(scenario).memory
    assert [e["entries"] for e in planned] == measured["entries"]
    peak = measured["training_peak"]
    assert {name: max(e["training"].get(name, 0) for e in planned) for name in peak} == peak
    kinds = {kind: sum(e["bytes"] for e in measured["entries"][-1] if e["kind"] == kind) for kind in
             ("parameters", "head", "importance", "anchor")}  # fmt: skip
    assert (
        kinds["importance"] == kinds["anchor"] == kinds["parameters"] + kinds["head"] == peak["importance so far"]
    )


def last_accuracy(strategy, stream):
    scenario = {"data": "digits", "strategy": strategy, "stream": stream, "training": {"epochs": 10, "lr": 0.05}}
    return cl_engine.run(scenario).metrics["last_accuracy"]


def test_it_forgets_less_than_finetune_where_the_same_classes_return_permuted():
    stream = {"kind": "domain-incremental", "experiences": 3}
    assert last_accuracy({"kind": "ewc", "strength": 100.0}, stream) > last_accuracy("finetune", stream) + 0.2


def test_it_learns_a_blurry_stream_online():
    scenario = {
        "data": "digits",
        "strategy": "ewc",
        "stream": {"kind": "blurry", "blur": 50, **ONLINE},
        "training": {"updates_per_sample": 0.2},
    }
    assert cl_engine.run(scenario).metrics["last_accuracy"] > 0.3
