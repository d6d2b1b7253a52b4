"""PRD against closed forms, published checks of its losses, and runs on digits."""

import numpy as np
import pytest
import torch
from torch import nn

import cl_engine
from cl_engine.config.scenario import Scenario
from cl_engine.data.samples import Samples
from cl_engine.memory.ledger import ledger
from cl_engine.models.prototypes import Prototypes, projection_head
from cl_engine.running.planner import plan_memory
from cl_engine.scenarios.exposure import Exposure
from cl_engine.strategies.prototypes.prd import PRD
from cl_engine.strategies.rebuilding import Rebuilder
from cl_engine.terms.terms import Terms
from cl_engine.terms.training import Training
from cl_engine.testing import KINDS, check_strategy

ONLINE = {"delivery": "online", "micro_batch": 32}
CPU = torch.device("cpu")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def rebuilder(shape=(1, 8, 8), training=None, **options):
    exposures = (Exposure((0, 1), (0, 1), 2), Exposure((2, 3), (2, 3), 4))
    return Rebuilder(PRD, options, Terms(exposures, shape, training or Training(epochs=2), seed=5))


def images(*classes, each=12, seed=0):
    y = torch.tensor(classes).repeat_interleave(each)
    return Samples(torch.randint(0, 256, (len(y), 1, 8, 8), generator=generator(seed)).to(torch.uint8), y)


class Fixed(nn.Module):
    """An encoder that returns the features it was given, whatever it sees."""

    def __init__(self, features):
        super().__init__()
        self.features = nn.Parameter(torch.tensor(features))

    def forward(self, x):
        return self.features


def fixed(features, prototypes):
    model = Prototypes("identity", (len(features[0]),), generator(), CPU)
    model.encoder, model.rows = Fixed(features), nn.Parameter(torch.tensor(prototypes))
    return model


Z = [[1.0, 0], [1, 0.2], [0, 1], [0.1, 1], [1, 0.1], [0.9, 0], [0.2, 1], [0, 0.9]]
Y = [0, 0, 1, 1, 0, 0, 1, 1]


def test_the_contrast_has_the_scale_of_the_released_code():
    strategy = PRD(attraction=0.0, temperature=0.1)
    strategy.model, strategy.project = fixed(Z, [[1.0, 0], [0, 1]]), nn.Identity()
    found = strategy.loss(Samples(torch.zeros(8, 2), torch.tensor(Y)))
    assert found.item() == pytest.approx(1.573510, abs=2e-6)


def test_relations_are_over_the_samples_of_the_batch_and_summed_over_old_prototypes():
    old = fixed([[2.0, 0, 0], [0, 1, 1], [1, 1, 1], [0, 0, 3]], [[1.0, 0, 0], [0, 1, 0], [9, 9, 9]])
    new = fixed([[2, 0.2, 0], [0, 1, 0.8], [1, 1.2, 1], [0.3, 0, 3]], [[1, 0.1, 0], [0, 1, 0.2], [1, 1, 1]])
    batch, losses = Samples(torch.zeros(4, 3), torch.tensor([2, 2, 2, 2])), {}
    for relation in (0.0, 1.0, 4.0):
        strategy = PRD(attraction=0.0, relation=relation, temperature=0.1)
        strategy.model, strategy.project = new, nn.Identity()
        losses[relation] = strategy.loss(batch, old, torch.tensor([0, 1])).item()
    assert losses[1.0] - losses[0.0] == pytest.approx(0.00328202, abs=1e-6)
    assert losses[4.0] - losses[0.0] == pytest.approx(4 * 0.00328202, abs=4e-6)


RELEASED = {
    "relation_axis": "prototypes",
    "direction": "old_new",
    "normalise_features": False,
    "reduction": "mean",
    "relation_temperature": 1.0,
}


@pytest.mark.parametrize(("groups", "expected"), [([0, 0], 0.00520830), ([0, 1], 0.0)])
def test_the_released_code_relates_the_prototypes_of_an_experience_to_each_other(groups, expected):
    """A lone prototype has nothing to be related to."""
    old = fixed([[2.0, 0, 0], [0, 1, 1], [1, 1, 1], [0, 0, 3]], [[1.0, 0, 0], [0, 1, 0], [9, 9, 9]])
    new = fixed([[2, 0.2, 0], [0, 1, 0.8], [1, 1.2, 1], [0.3, 0, 3]], [[1, 0.1, 0], [0, 1, 0.2], [1, 1, 1]])
    batch, losses = Samples(torch.zeros(4, 3), torch.tensor([2, 2, 2, 2])), []
    for relation in (0.0, 1.0):
        strategy = PRD(attraction=0.0, relation=relation, **RELEASED)
        strategy.model, strategy.project = new, nn.Identity()
        losses.append(strategy.loss(batch, old, torch.tensor(groups)).item())
    assert losses[1] - losses[0] == pytest.approx(expected, abs=1e-6)


def test_the_classes_of_an_experience_are_a_group_and_one_that_returns_stays_in_its_own():
    exposures = (Exposure((0, 1), (0, 1), 2), Exposure((0, 1), (), 2), Exposure((1, 2, 3), (2, 3), 4))
    made = Rebuilder(PRD, {}, Terms(exposures, (4,), Training()))
    assert made.begun(3).groups == [0, 0, 1, 1]


def test_attraction_is_one_minus_the_cosine_of_each_sample_and_its_prototype():
    prototypes, losses = [[0.3, 0.4], [-1.0, 2.0]], {}
    for attraction in (0.0, 2.0):
        strategy = PRD(attraction=attraction)
        strategy.model, strategy.project = fixed(Z, prototypes), nn.Identity()
        losses[attraction] = strategy.loss(Samples(torch.zeros(8, 2), torch.tensor(Y))).item()
    z, p = np.array(Z), np.array(prototypes)[Y]
    cosines = (z * p).sum(1) / np.linalg.norm(z, axis=1) / np.linalg.norm(p, axis=1)
    assert losses[2.0] - losses[0.0] == pytest.approx(2 * (1 - cosines).mean(), abs=1e-5)


def gradients(attraction, relation, moved=False, **options):
    """Return a strategy and its teacher after the backward pass of what ``attraction`` and ``relation`` weigh."""
    found = []
    for weights in ((attraction, relation), (0.0, 0.0)):
        made = rebuilder(attraction=weights[0], relation=weights[1], **options)
        strategy, task = made.begun(1), made.terms.task(1)
        strategy.begin(task)
        teacher = strategy.teacher(task)
        if moved:
            with torch.no_grad():
                for parameter in strategy.model.parameters():
                    parameter.mul_(1 + 0.2 * torch.rand(parameter.shape, generator=generator(1)))
        strategy.loss(images(2, 3), teacher, torch.tensor(strategy.groups[:2])).backward()
        found.append({n: p.grad for n, p in strategy.model.named_parameters()})
        assert all(p.grad is None and not p.requires_grad for p in teacher.parameters())
    weighed, contrast = found
    zeros = torch.zeros(4, 128)
    rows = (weighed.pop("rows"), contrast.pop("rows"))
    before, after = (zeros if g is None else g for g in rows)
    encoder = {n: weighed[n] - contrast[n] for n in weighed}
    return before - after, sum(float(g.abs().sum()) for g in encoder.values())


def test_attraction_moves_the_prototypes_of_the_batch_and_nothing_else():
    rows, encoder = gradients(attraction=2.0, relation=0.0)
    assert encoder == 0
    assert rows[:2].abs().sum() == 0
    assert (rows[2:].abs().sum(1) > 0).all()


@pytest.mark.parametrize("options", [{}, RELEASED], ids=["paper", "released"])
def test_relation_distillation_moves_encoder_and_old_prototypes_not_the_teacher(options):
    rows, encoder = gradients(attraction=0.0, relation=40.0, moved=True, **options)
    assert encoder > 1
    assert (rows[:2].abs().sum(1) > 0).all()
    assert rows[2:].abs().sum() == 0


def test_nothing_is_distilled_while_the_student_is_the_teacher():
    rows, encoder = gradients(attraction=0.0, relation=4.0)
    assert encoder < 1e-2  # the sum over 25,000 parameters, in float32
    assert rows.abs().max() < 1e-6


@pytest.mark.parametrize(("mode", "distils"), [("training", False), ("evaluation", True)])
def test_with_batch_norm_the_teachers_mode_decides_whether_the_first_step_distils(mode, distils):
    made = rebuilder(backbone="convnet2", attraction=0.0, teacher_mode=mode)
    strategy, task = made.begun(1), made.terms.task(1)
    strategy.begin(task)
    strategy.model.train()
    teacher, batch, losses = strategy.teacher(task), images(2, 3), []
    for relation in (0.0, 1.0):
        strategy.relation = relation
        losses.append(strategy.loss(batch, teacher, torch.tensor([0, 0])).item())
    assert (losses[1] - losses[0] > 1e-2) == distils
    assert distils or losses[1] == pytest.approx(losses[0], abs=1e-5)


def test_encoder_and_prototypes_step_at_rates_of_their_own():
    moved = {}
    for rates in ((1.0, 1.0), (0.5, 1.0), (1.0, 4.0)):
        training = Training(epochs=1, batch_size=24, lr=1e-3, momentum=0.0, schedule="constant")
        made = rebuilder(training=training, encoder_rate=rates[0], prototype_rate=rates[1])
        strategy, task = made.begun(0), made.terms.task(0)
        strategy.begin(task)
        before = {n: p.detach().clone() for n, p in strategy.named_parameters()}
        strategy.learn(task, images(0, 1))
        moved[rates] = {n: p.detach() - before[n] for n, p in strategy.named_parameters()}
    for (encoder, prototype), found in moved.items():
        for name, step in found.items():
            rate = prototype if name == "model.rows" else encoder
            torch.testing.assert_close(step, rate * moved[1.0, 1.0][name], rtol=2e-2, atol=1e-7)


def test_prototypes_have_neither_momentum_nor_weight_decay():
    training = Training(epochs=3, batch_size=24, lr=0.1, momentum=0.9, weight_decay=0.1, schedule="constant")
    made = rebuilder(training=training, attraction=0.0)
    strategy, task = made.begun(0), made.terms.task(0)
    strategy.begin(task)
    before = strategy.model.rows.detach().clone()
    strategy.learn(task, images(0, 1))
    assert torch.equal(strategy.model.rows.detach(), before)  # no loss, no decay
    trained = [*strategy.model.encoder.parameters(), *strategy.project.parameters()]
    assert task.transient["optimizer"] == sum(4 * p.numel() for p in trained)


@pytest.mark.parametrize("augmentation", [None, "prd"])
def test_every_sample_is_seen_twice_augmented_as_the_scenario_says(augmentation):
    made, seen = rebuilder(training=Training(epochs=1, augmentation=augmentation)), []

    class Watching(PRD):
        def loss(self, batch, teacher=None, old=None):
            seen.append(batch)
            return super().loss(batch, teacher, old)

    strategy, task = Watching(), made.terms.task(0)
    strategy.begin(task)
    strategy.learn(task, images(0, 1))
    (batch,) = seen
    assert len(batch) == 48
    assert batch.y[:24].tolist() == batch.y[24:].tolist()
    assert torch.equal(batch.x[:24], batch.x[24:]) == (augmentation is None)


def test_what_is_held_is_encoder_projection_and_a_prototype_a_class():
    made = rebuilder(projection=32)
    entries = [e for e in ledger(made.begun(2)) if e.bytes]
    assert [(e.name, e.shape) for e in entries if e.kind == "prototypes"] == [("model.rows", (4, 128))]
    held = sum(e.bytes for e in entries if e.kind == "parameters")
    encoder = 64 * 128 + 128 + 128 * 128 + 128
    assert held == 4 * (encoder + 2 * (128 * 128 + 128) + 128 * 32 + 32)


def test_the_projection_has_the_released_size():
    assert sum(p.numel() for p in projection_head(512, 128, generator()).parameters()) == 590_976


def test_the_teacher_is_charged_without_the_projection():
    made = rebuilder()
    strategy, task = made.begun(1), made.terms.task(1)
    strategy.begin(task)
    strategy.learn(task, images(2, 3))
    assert task.transient["teacher"] == 4 * sum(p.numel() for p in strategy.model.parameters())


def test_old_prototypes_stay_as_they_are_when_new_ones_come():
    made = rebuilder()
    strategy = made.begun(1)
    before = strategy.model.rows.detach().clone()
    strategy.begin(made.terms.task(1))
    assert torch.equal(strategy.model.rows[:2].detach(), before)
    assert strategy.model.rows[2:].abs().max() <= 128**-0.5
    with pytest.raises(ValueError, match="4 prototypes cannot become 3"):
        strategy.model.grow(3, generator())


def test_scores_are_cosines_and_the_largest_wins():
    model = fixed([[3.0, 0], [-0.1, 5]], [[1.0, 0], [0, 0.01], [-7, -7]])
    expected = [[1, 0, -(0.5**0.5)], [-0.1 / 25.01**0.5, 5 / 25.01**0.5, -4.9 / 50.02**0.5]]
    np.testing.assert_allclose(model(torch.zeros(2, 2)).detach(), expected, atol=1e-6)


def test_the_contract_is_kept_on_every_kind_of_stream():
    check_strategy(PRD, on=KINDS)


def test_the_contract_is_kept_with_batch_norm():
    check_strategy(PRD, on=("offline",), backbone="convnet2")


def same_as_planned(scenario):
    planned, run = plan_memory(Scenario.load(scenario))["experiences"], cl_engine.run(scenario)
    assert [e["entries"] for e in planned] == run.memory["entries"]
    peaks = run.memory["training_peak"]
    assert {name: max(e["training"].get(name, 0) for e in planned) for name in peaks} == peaks
    return run


@pytest.mark.parametrize("delivery", [{}, ONLINE], ids=["offline", "online"])
def test_the_plan_equals_the_ledger_of_the_run(delivery):
    stream = {"kind": "class-incremental", "first": 2, "step": 2, **delivery}
    training = {"epochs": 1, "updates_per_sample": 0.05, "augmentation": "prd"}
    same_as_planned({"data": "digits", "stream": stream, "strategy": "prd", "training": training})


def test_relation_distillation_keeps_earlier_classes():
    last = {}
    for relation in (0.0, 4.0):
        stream = {"kind": "class-incremental", "step": 2}
        strategy = {"kind": "prd", "relation": relation}
        run = cl_engine.run({"data": "digits", "stream": stream, "strategy": strategy, "training": {"epochs": 12}})
        last[relation] = run.metrics["last_accuracy"]
    assert last[4.0] > last[0.0] + 0.1
    assert last[4.0] > 0.6


def test_task_and_class_incremental_accuracy_are_of_the_same_training(tmp_path):
    held, runs = [], []
    for kind in ("task-incremental", "class-incremental"):
        scenario = {"data": "digits", "stream": {"kind": kind, "step": 5}, "strategy": "prd"}
        runs.append(cl_engine.run({**scenario, "training": {"epochs": 8}}, out=tmp_path / kind))
        (folder,) = (path.parent for path in (tmp_path / kind).rglob("result.json"))
        held.append(cl_engine.load(folder).state_dict())
    assert held[0].keys() == held[1].keys()
    assert all(torch.equal(held[0][name], held[1][name]) for name in held[0])
    task, classes = (run.metrics for run in runs)
    assert classes["last_task_incremental_accuracy"] == task["last_accuracy"] > classes["last_accuracy"] > 0.5


def test_a_class_that_returns_keeps_its_prototype_and_moves_it():
    stream = {"kind": "repetition-slots", "experiences": 5, "classes_per_experience": 4}
    run = same_as_planned({"data": "digits", "stream": stream, "strategy": "prd", "training": {"epochs": 15}})
    assert run.metrics["last_accuracy"] > 0.5
    rows = [e for e in run.memory["entries"][-1] if e["kind"] == "prototypes"]
    assert [e["shape"] for e in rows] == [[10, 128]]


def test_no_exemplar_is_held_and_the_teacher_is_no_more_than_a_peak_of_training():
    run = cl_engine.run(
        {
            "data": "digits",
            "stream": {"kind": "class-incremental", "step": 5},
            "strategy": "prd",
            "training": {"epochs": 1},
        }
    )
    kinds = {e["kind"]: e["bytes"] for e in run.memory["entries"][-1]}
    assert kinds == {**kinds, "prototypes": 10 * 128 * 4}
    assert not {"exemplars", "labels"} & kinds.keys()
    encoder = 4 * (64 * 128 + 128 + 128 * 128 + 128)
    assert (
        run.memory["training_peak"]["teacher"] == encoder + 8 + 10 * 128 * 4
    )  # normalisation; new classes' rows too


def test_on_features_both_views_are_the_sample_and_it_learns():
    made = rebuilder((24,), training=Training(epochs=40))
    strategy, task = made.begun(0), made.terms.task(0)
    y = torch.arange(60) % 2
    x = torch.randn(60, 24, generator=generator()) + 2 * y[:, None]
    strategy.begin(task)
    strategy.learn(task, Samples(x, y))
    assert (strategy.predict(x).argmax(1) == y).float().mean() > 0.9
