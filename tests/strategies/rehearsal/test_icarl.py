"""iCaRL: its loss, its classifier, its teacher, its memory, and that it remembers."""

import numpy as np
import pytest
import torch

import cl_engine
from cl_engine.config.scenario import Scenario
from cl_engine.data.samples import Samples
from cl_engine.running.planner import plan_memory
from cl_engine.scenarios.exposure import Exposure
from cl_engine.strategies.rehearsal.icarl import ICaRL, distilled_bce
from cl_engine.terms.task import Task
from cl_engine.terms.training import Training
from cl_engine.testing import KINDS, check_strategy

ONLINE = {"delivery": "online", "micro_batch": 16}


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def written_out(z, old, y):
    """Equation 1, term by term, in float64."""
    total = 0.0
    for i, label in enumerate(y):
        for c in range(z.shape[1]):
            target = sigmoid(old[i, c]) if c < old.shape[1] else float(c == label)
            total -= target * np.log(sigmoid(z[i, c])) + (1 - target) * np.log(1 - sigmoid(z[i, c]))
    return total / len(y)


def oracle():
    draw = np.random.default_rng(10)
    return draw.standard_normal((4, 6)), draw.standard_normal((4, 6))[:, :4], np.array([4, 5, 0, 2])


def test_the_loss_is_equation_1_summed_over_classes_and_averaged_over_the_batch():
    z, old, y = oracle()
    loss = float(distilled_bce(torch.tensor(z), torch.tensor(y), torch.tensor(old)))
    assert loss == pytest.approx(4.47681153, abs=1e-8)
    assert loss == pytest.approx(written_out(z, old, y), rel=1e-12)
    assert float(distilled_bce(torch.tensor(z), torch.tensor(y), None)) == pytest.approx(
        written_out(z, old[:, :0], y), rel=1e-12
    )


def test_the_gradient_pulls_old_outputs_to_the_teacher_even_for_samples_of_old_classes():
    z, old, y = oracle()
    scores, teacher = torch.tensor(z, requires_grad=True), torch.tensor(old, requires_grad=True)
    distilled_bce(scores, torch.tensor(y), teacher).backward()
    targets = np.eye(6)[y]
    targets[:, :4] = sigmoid(old)
    np.testing.assert_allclose(scores.grad.numpy(), (sigmoid(z) - targets) / 4, rtol=1e-12)
    assert teacher.grad is None


def test_label_smoothing_smooths_the_targets_of_new_classes_only():
    z, old, y = oracle()
    smooth = 0.9 * np.eye(6)[y] + 0.1 / 6
    smooth[:, :4] = sigmoid(old)
    expected = (np.logaddexp(0, z) - smooth * z).sum(1).mean()
    found = distilled_bce(torch.tensor(z), torch.tensor(y), torch.tensor(old), 0.1)
    assert float(found) == pytest.approx(expected, rel=1e-12)


def task(index, classes, new, seen, **options):
    training = Training(epochs=1, batch_size=8, **options.pop("training", {}))
    return Task(index, Exposure(classes, new, seen), shape=(6,), training=training, **options)


def samples(*classes, each=10):
    y = torch.tensor(classes).repeat_interleave(each)
    noise = torch.randn(len(y), 6, generator=torch.Generator().manual_seed(0))
    return Samples(noise + 3 * torch.eye(6)[y], y)


def after(*tasks, **options):
    strategy = ICaRL(total=9, **options)
    for each, learned in tasks:
        strategy.begin(each)
        if learned is not None:
            strategy.learn(each, learned)
    return strategy


def test_the_old_targets_are_those_of_the_network_before_the_experience_whatever_it_becomes():
    strategy = after((task(0, (0, 1), (0, 1), 2), samples(0, 1)), (second := task(1, (1, 2), (2,), 3), None))
    batch = samples(1, 2)
    old = strategy.network(batch.x).detach().double().numpy()[:, :2]
    teacher = second.teacher(strategy.network)
    with torch.no_grad():
        for parameter in strategy.network.parameters():
            parameter.mul_(1.5)
    z = strategy.network(batch.x).detach().double().numpy()
    loss = float(strategy.loss(batch, teacher, second.old_classes).detach())
    assert loss == pytest.approx(written_out(z, old, batch.y.tolist()), rel=1e-5)


def test_an_online_experience_has_one_teacher(monkeypatch):
    teachers, loss = [], ICaRL.loss

    def watched(self, batch, teacher=None, old=0):
        teachers.append((teacher, old))
        return loss(self, batch, teacher, old)

    monkeypatch.setattr(ICaRL, "loss", watched)
    after((first := task(0, (0, 1), (0, 1), 2, online=True), None), (first, samples(0, 1)))
    assert set(teachers) == {(None, 0)}
    teachers.clear()
    strategy = after((task(0, (0, 1), (0, 1), 2), samples(0, 1)))
    second = task(1, (0, 2), (2,), 3, online=True, boundaries=False)
    strategy.begin(second)
    teachers.clear()
    before = strategy.network.head.weight.clone()
    for micro_batch in samples(0, 2).batches(5):
        strategy.learn(second, micro_batch)
    assert len(teachers) >= 4
    assert len({id(teacher) for teacher, _ in teachers}) == 1
    assert {old for _, old in teachers} == {2}
    assert torch.equal(teachers[0][0].head.weight, before)
    assert not torch.equal(strategy.network.head.weight, before)


def test_the_nearest_mean_of_normalised_exemplars_wins():
    strategy = after((task(0, (0, 1, 2), (0, 1, 2), 3), samples(0, 1, 2)))
    x = samples(2, 0, 1, each=7).x
    unit = lambda rows: rows / np.linalg.norm(rows, axis=-1, keepdims=True)  # noqa: E731
    kept, y = strategy.memory.x, strategy.memory.y.numpy()
    exemplars = unit(strategy.network.features(kept).detach().double().numpy())
    means = np.stack([unit(exemplars[y == c].mean(0)) for c in range(3)])
    queries = unit(strategy.network.features(x).detach().double().numpy())
    distance = np.linalg.norm(queries[:, None] - means, axis=2)
    scores = strategy.predict(x).numpy()
    assert (scores.argmax(1) == distance.argmin(1)).all()
    np.testing.assert_allclose(scores, 1 - distance**2 / 2, atol=1e-5)


def test_a_class_without_exemplars_is_below_all_others_and_no_nan():
    strategy = after((task(0, (0, 1), (0, 1), 2), samples(0, 1)), (task(1, (2, 3), (2, 3), 4), samples(3)))
    scores = strategy.predict(samples(0, 1, 3).x)
    assert torch.isfinite(scores).all()
    assert (scores.argsort(1)[:, 0] == 2).all()
    nothing = after((task(0, (0, 1), (0, 1), 2), None))
    assert torch.isfinite(nothing.predict(samples(0).x)).all()


def test_the_means_follow_what_is_learned():
    strategy = after((task(0, (0, 1), (0, 1), 2), samples(0, 1)))
    x = samples(0, 1, 2, each=20).x
    assert strategy.predict(x).shape == (60, 2)
    second = task(1, (2,), (2,), 3)
    strategy.begin(second)
    assert strategy.predict(x).shape == (60, 3)
    strategy.learn(second, samples(2))
    assert (strategy.predict(x)[40:].argmax(1) == 2).float().mean() > 0.9


def test_each_class_has_the_papers_share_of_exemplars_and_a_class_that_returns_no_second_one():
    strategy = after((task(0, (0, 1), (0, 1), 2), samples(0, 1)), (task(1, (0, 2, 3), (2, 3), 4), samples(0, 2, 3)))
    assert torch.bincount(strategy.memory.y.long()).tolist() == [2, 2, 2, 2]  # floor(9 / 4)


@pytest.mark.parametrize(
    "options", [{}, {"classifier": "linear"}, {"codec": "features", "backbone": "identity"}], ids=str
)
def test_the_contract_is_kept_on_every_kind_of_stream(options):
    check_strategy(ICaRL, on=KINDS, total=20, **{"backbone": {"kind": "mlp", "width": 8}, **options})


@pytest.mark.parametrize("delivery", [{}, ONLINE], ids=["offline", "online"])
def test_it_holds_and_takes_what_was_planned(delivery):
    scenario = {
        "data": "digits",
        "stream": {"kind": "class-incremental", **delivery},
        "strategy": "icarl",
        "training": {"epochs": 1, "updates_per_sample": 0.1},
        "memory": {"budget": "118 KiB"},
    }
    planned, measured = plan_memory(Scenario.load(scenario))["experiences"], cl_engine.run(scenario).memory
    assert [e["entries"] for e in planned] == measured["entries"]
    peak = measured["training_peak"]
    assert {name: max(e["training"].get(name, 0) for e in planned) for name in peak} == peak
    assert peak["teacher"] > 0


def last_accuracy(strategy, stream, epochs=10):
    scenario = {"data": "digits", "strategy": strategy, "stream": stream, "training": {"epochs": epochs}}
    return cl_engine.run(scenario).metrics["last_accuracy"]


def test_it_forgets_less_than_finetune_on_digits():
    stream = {"kind": "class-incremental", "step": 2}
    assert last_accuracy("icarl", stream) > last_accuracy("finetune", stream) + 0.3


@pytest.mark.parametrize("delivery", [{}, ONLINE], ids=["offline", "online"])
def test_it_learns_a_stream_in_which_classes_return(delivery):
    stream = {"kind": "blurry", "blur": 20, **delivery}
    assert last_accuracy("icarl", stream, epochs=5) > 0.6
