"""MEMO against its published trace, closed forms in NumPy, and runs on digits."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import cl_engine
from cl_engine.config.scenario import Scenario
from cl_engine.data.digits import Digits
from cl_engine.data.samples import Samples
from cl_engine.memory.alignment.growth import memo_growth
from cl_engine.memory.alignment.sizes import backbone_sizes
from cl_engine.memory.ledger import ledger
from cl_engine.models.heads import Head
from cl_engine.running.planner import plan_memory
from cl_engine.scenarios.exposure import Exposure
from cl_engine.strategies.expansion.memo import MEMO
from cl_engine.strategies.rebuilding import Rebuilder
from cl_engine.terms.terms import Terms
from cl_engine.terms.training import Training
from cl_engine.testing import KINDS, check_strategy

TRACE = {1: (463_504, 650, 9_336), 2: (814_992, 2_580, 14_536), 5: (1_869_456, 16_050, 30_136),
         10: (3_626_896, 64_100, 56_136)}  # fmt: skip
ONLINE = {"delivery": "online", "micro_batch": 32}


def rebuilder(steps=((0, 1), (2, 3), (4,)), shape=(1, 8, 8), normalisation=None, **options):
    exposures, seen = [], 0
    for classes in steps:
        new = tuple(c for c in classes if c >= seen)
        seen += len(new)
        exposures.append(Exposure(tuple(classes), new, seen))
    terms = Terms(tuple(exposures), shape, Training(epochs=2, batch_size=32), seed=5, normalisation=normalisation)
    return Rebuilder(MEMO, options, terms)


def digits(*classes):
    train = Digits().load().train
    return train[torch.isin(train.y, torch.tensor(classes))]


def learned(made, experiences):
    """Return the strategy after so many experiences, live, and the last task."""
    strategy = made.begun(0)
    for index in range(experiences):
        task = made.terms.task(index)
        strategy.begin(task)
        strategy.learn(task, digits(*made.terms.exposures[index].classes))
        strategy.end(task)
    return strategy.eval(), task


def copied(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def by_kind(entries):
    kinds = {}
    for entry in entries:
        kinds[entry["kind"]] = kinds.get(entry["kind"], 0) + entry["bytes"]
    return kinds


@pytest.mark.parametrize("backbone", ["resnet20", "mlp", "convnet2", {"kind": "mlp", "depth": 1, "width": 9}])
def test_what_is_held_is_what_growth_predicts(backbone):
    strategy = {"kind": "memo", "backbone": backbone, "total": 20}
    stream = {"kind": "class-incremental", "first": 6, "step": 2}
    scenario = {"data": "digits", "stream": stream, "strategy": strategy, "training": {"epochs": 1}}
    planned = plan_memory(Scenario.load(scenario))["experiences"]
    growth = memo_growth(backbone_sizes(backbone, (1, 8, 8)), [6, 2, 2])
    for found, expected in zip(planned, growth, strict=True):
        kinds = {kind: n for kind, n in by_kind(found["entries"]).items() if kind in expected._fields}
        assert kinds == {kind: n for kind, n in expected._asdict().items() if n}
    width = backbone_sizes(backbone, (1, 8, 8)).features
    assert [e["training"].get("auxiliary head") for e in planned] == [
        None,
        4 * 3 * (width + 1),
        4 * 3 * (width + 1),
    ]


@pytest.mark.parametrize("delivery", [{}, ONLINE], ids=["offline", "online"])
@pytest.mark.parametrize("memory", [{}, {"budget": "600 KiB"}], ids=["total", "budget"])
def test_the_plan_equals_the_ledger_of_the_run(delivery, memory):
    stream = {"kind": "class-incremental", "first": 2, "step": 2, **delivery}
    training = {"epochs": 1, "updates_per_sample": 0.05}
    scenario = {"data": "digits", "stream": stream, "strategy": "memo", "training": training, "memory": memory}
    planned, run = plan_memory(Scenario.load(scenario))["experiences"], cl_engine.run(scenario)
    assert [e["entries"] for e in planned] == run.memory["entries"]
    peaks = run.memory["training_peak"]
    assert {name: max(e["training"].get(name, 0) for e in planned) for name in peaks} == peaks


def test_the_contract_is_kept_on_every_kind_of_stream():
    check_strategy(MEMO, on=KINDS)


@pytest.mark.parametrize("options", [{"train_base": False}, {"backbone": {"kind": "mlp", "depth": 1}}], ids=str)
def test_the_contract_is_kept_with_a_generalised_part_that_is_frozen_or_empty(options):
    check_strategy(MEMO, on=("repeating-classes",), **options)


def test_the_contract_is_kept_with_batch_norm():
    check_strategy(MEMO, on=("repeating-classes",), backbone="convnet2", total=12)


def test_a_new_block_is_the_newest_one_bit_for_bit():
    made = rebuilder(backbone="convnet2")
    strategy, _ = learned(made, 1)
    before = copied(strategy.network.blocks[0])
    strategy.begin(made.terms.task(1))
    assert equal(before, strategy.network.blocks[0].state_dict())
    assert equal(before, strategy.network.blocks[1].state_dict())
    assert before["1.running_mean"].abs().sum() > 0
    assert strategy.network.blocks[1][0].weight.requires_grad


def test_growing_moves_old_scores_by_the_new_columns_alone():
    made, x = rebuilder(), digits(0, 1, 2, 3).x[:50]
    strategy, _ = learned(made, 1)
    with torch.no_grad():
        before = strategy.predict(x)
        strategy.begin(made.terms.task(1))
        strategy.eval()
        after, network = strategy.predict(x), strategy.network
        newest = network.features(x)[:, -network.width :]
        added = newest @ network.head.weight[:2, -network.width :].T
    assert after.shape == (50, 4)
    assert added.abs().max() > 1e-3  # nothing starts at zero
    torch.testing.assert_close(after[:, :2] - added, before)


@pytest.mark.parametrize("train_base", [True, False])
def test_frozen_parts_and_their_statistics_do_not_move(train_base):
    made = rebuilder(backbone="convnet2", train_base=train_base)
    strategy, _ = learned(made, 2)
    task = made.terms.task(2)
    strategy.begin(task)
    network = strategy.network
    old, general, newest = (copied(m) for m in (network.blocks[:2], network.general, network.blocks[2]))
    strategy.learn(task, digits(4))
    assert equal(old, network.blocks[:2].state_dict())
    assert equal(general, network.general.state_dict()) == (not train_base)
    assert not equal(newest, network.blocks[2].state_dict())
    network.train()
    assert [part.training for part in (*network.blocks, network.general[0])] == [False, False, True, train_base]


@pytest.mark.parametrize(("first", "trained"), [(20, True), (21, False)])
@pytest.mark.parametrize("rebuilt", [False, True])
def test_the_first_experience_decides_whether_the_generalised_part_learns_on(first, trained, rebuilt):
    made = rebuilder([range(first), (first,), (first + 1,)])
    strategy = made.begun(2) if rebuilt else made.begun(0)
    for index in [2] if rebuilt else [0, 1, 2]:
        strategy.begin(made.terms.task(index))
    assert all(p.requires_grad == trained for p in strategy.network.general.parameters())
    assert all(p.requires_grad for p in made.begun(1).network.parameters())


def test_gradients_reach_the_generalised_part_through_frozen_blocks():
    network = rebuilder().begun(2).network
    network.head.weight.data[:, -network.width :] = 0  # nothing comes through the newest block
    network(digits(0).x[:8]).square().sum().backward()
    assert network.general[0][1].weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in network.blocks[0].parameters())


def test_the_generalised_part_is_evaluated_once_a_batch():
    network, calls = rebuilder().begun(3).network, []
    network.backbone.stages[0].register_forward_hook(lambda *_: calls.append(1))
    network(digits(0).x[:8])
    assert len(calls) == 1


def log_softmax(scores):
    shifted = scores - scores.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


@pytest.mark.parametrize("alpha", [0.0, 1.0, 2.5])
def test_the_loss_is_both_cross_entropies_with_all_old_classes_as_one(alpha):
    made = rebuilder([(0, 1, 2), (3, 4)], auxiliary=alpha)
    strategy = made.begun(2)
    batch = Samples(digits(0, 1).x[:6], torch.tensor([0, 1, 2, 3, 4, 4]))
    head = Head(strategy.network.width)
    head.grow(3, torch.Generator().manual_seed(1))
    found = strategy.both_losses(batch, head, old=3)
    with torch.no_grad():
        features = strategy.network.features(batch.x).double().numpy()
    every, own = (
        f @ h.weight.detach().double().numpy().T + h.bias.detach().double().numpy()
        for f, h in ((features, strategy.network.head), (features[:, 128:], head))
    )
    rows = np.arange(6)
    expected = -log_softmax(every)[rows, [0, 1, 2, 3, 4, 4]].mean()
    expected -= alpha * log_softmax(own)[rows, [0, 0, 0, 1, 2, 2]].mean()
    assert float(found.detach()) == pytest.approx(expected, rel=1e-5)


def test_aligning_gives_new_rows_the_mean_norm_of_old_ones_once_and_for_all():
    made = rebuilder(align="always")
    strategy, _ = learned(made, 1)
    task = made.terms.task(1)
    strategy.begin(task)
    strategy.learn(task, digits(2, 3))
    before = strategy.network.head.weight.detach().double().numpy().copy()
    bias = strategy.network.head.bias.detach().clone()
    strategy.end(task)
    norms = np.linalg.norm(before, axis=1)
    gamma = norms[:2].mean() / norms[2:].mean()
    assert gamma != pytest.approx(1, abs=1e-3)
    once = strategy.network.head.weight.detach().clone()
    np.testing.assert_allclose(once, np.concatenate([before[:2], gamma * before[2:]]), rtol=1e-5)
    assert torch.equal(bias, strategy.network.head.bias)
    strategy.end(task)
    torch.testing.assert_close(once, strategy.network.head.weight.detach())


def test_exemplars_are_floor_shares_and_old_classes_keep_their_first_ones():
    made = rebuilder(total=33)
    strategy, _ = learned(made, 1)
    first = strategy.memory.samples()
    task = made.terms.task(1)
    strategy.begin(task)
    strategy.learn(task, digits(2, 3))
    second = strategy.memory.samples()
    assert first.y.bincount().tolist() == [16, 16]
    assert second.y.bincount().tolist() == [8, 8, 8, 8]
    for label in (0, 1):
        assert torch.equal(second.x[second.y == label], first.x[first.y == label][:8])
        assert len(first.x[first.y == label].flatten(1).unique(dim=0)) == 16


def test_pixels_are_standardised_as_the_scenario_says():
    plain, standardised = rebuilder(), rebuilder(normalisation=((0.5,), (0.25,)))
    x = digits(0).x[:4]
    network = standardised.begun(2).network
    expected = plain.begun(2).network.features((x.double() / 255 - 0.5).div(0.25).float())
    torch.testing.assert_close(network.features(x), expected)


def test_an_experience_without_a_new_class_still_branches_and_has_no_auxiliary_head():
    made = rebuilder([(0, 1), (2,), (0, 2)])
    strategy, task = learned(made, 3)
    assert len(strategy.network.blocks) == 3
    assert strategy.network.head.weight.shape == (3, 3 * strategy.network.width)
    assert "auxiliary head" not in task.transient


def last_accuracy(strategy, **stream):
    stream = {"kind": "class-incremental", "first": 2, "step": 2, **stream}
    return cl_engine.run({"data": "digits", "stream": stream, "strategy": strategy}).metrics["last_accuracy"]


def test_a_hundred_exemplars_and_five_blocks_are_far_above_finetuning():
    assert last_accuracy({"kind": "memo", "total": 100}) > last_accuracy("finetune") + 0.3


def test_it_learns_where_classes_return():
    stream = {"kind": "repetition-slots", "experiences": 5, "classes_per_experience": 4}
    scenario = {"data": "digits", "stream": stream, "strategy": {"kind": "memo", "total": 100}}
    run = cl_engine.run(scenario)
    assert run.metrics["last_accuracy"] > 0.7
    assert [e["entries"] for e in plan_memory(Scenario.load(scenario))["experiences"]] == run.memory["entries"]


@pytest.mark.parametrize("train_base", ["true", "yes", 1, None])
def test_train_base_is_auto_true_or_false(train_base):
    with pytest.raises(cl_engine.ConfigError, match="train_base"):
        Scenario.load({"data": "digits", "strategy": {"kind": "memo", "train_base": train_base}})


@pytest.mark.parametrize(("cut", "parameters"), [(2, 4_420_624), (3, 3_626_896), (0, 4_635_040)])
def test_the_cut_decides_what_is_repeated(cut, parameters):
    """Ten experiences of ResNet-32, cut before its second group, before its third one, and before everything."""
    made = rebuilder([range(10 * t, 10 * t + 10) for t in range(10)], (3, 32, 32), backbone="resnet32", cut=cut)
    network = made.begun(10).network
    assert sum(e.bytes for e in ledger(network) if e.kind == "parameters") == 4 * parameters
    assert len(network.general) == cut


def test_a_cut_moves_no_score_before_there_are_branches():
    x = digits(0, 1).x[:4]
    scores = [rebuilder(backbone="resnet14", cut=cut).begun(1).eval().predict(x) for cut in (0, 1, 2, 3, None)]
    assert all(torch.equal(scores[0], others) for others in scores[1:])


def test_a_cut_that_leaves_nothing_to_repeat_is_named():
    strategy = {"kind": "memo", "backbone": "convnet2", "cut": 2}
    with pytest.raises(cl_engine.ConfigError, match="2, but the backbone has 2 stages; allowed: 0 to 1"):
        cl_engine.run({"data": "digits", "strategy": strategy})


def test_the_contract_is_kept_with_another_cut():
    check_strategy(
        MEMO, on=("repeating-classes",), backbone={"kind": "mlp", "depth": 3, "width": 8}, cut=1, total=12
    )


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """A hundred classes of two images in colour, 8 x 8 pixels: parameters do not depend on the size."""
    file = tmp_path_factory.mktemp("noise") / "noise.npz"
    x, y = np.random.default_rng(0).integers(0, 256, (300, 8, 8, 3), np.uint8), np.arange(300) % 100
    np.savez(file, x_train=x[:200], y_train=y[:200], x_test=x[200:], y_test=y[200:])
    return {"kind": "npz", "path": str(file)}


def test_a_run_with_resnet32_through_ten_experiences_holds_the_published_trace(noise):
    scenario = {
        "data": noise,
        "stream": {"kind": "class-incremental", "step": 10},
        "strategy": {"kind": "memo", "backbone": "resnet32", "total": 100},
        "training": {"epochs": 1, "batch_size": 128},
    }
    memory = cl_engine.run(scenario).memory
    for t, (parameters, head, buffers) in TRACE.items():
        entries = memory["entries"][t - 1]
        held = by_kind(entries)
        assert (held["parameters"], held["head"], held["buffers"]) == (4 * parameters, 4 * head, buffers)
        assert [10 * t, 64 * t] in [entry["shape"] for entry in entries if entry["kind"] == "head"]
        assert held["exemplars"] == min(100 // (10 * t), 2) * 10 * t * 192
    assert memory["training_peak"]["auxiliary head"] == 4 * (11 * 64 + 11)


# Exemplars of MEMO in the tables of Zhou et al., ICLR 2023, at the size of another method with 2,000
PRINTED = [
    ("resnet32", 10, 10, "der-expandable", 3312),
    ("resnet32", 5, 5, "der-expandable", 4771),
    ("resnet32", 20, 20, "der-expandable", 2583),
    ("resnet32", 50, 25, "der-expandable", 2291),
    ("resnet14", 10, 10, "der-expandable", 2495),
    ("convnet2", 10, 10, "single", 2118),
]


@pytest.mark.parametrize(("backbone", "first", "step", "aligned_to", "exemplars"), PRINTED)
def test_the_bytes_of_another_method_leave_the_published_number_of_exemplars(
    noise, backbone, first, step, aligned_to, exemplars
):
    reference = {"aligned_to": aligned_to, "backbone": "resnet32" if aligned_to == "single" else backbone}
    scenario = {
        "data": noise,
        "stream": {"kind": "class-incremental", "first": first, "step": step},
        "strategy": {"kind": "memo", "backbone": backbone},
        "memory": {"budget": {**reference, "exemplars": 32_000}, "policy": "paper", "exemplars": "fixed"},
    }  # 32,000 images of 8 x 8 pixels take what 2,000 of 32 x 32 take
    budget = Scenario.load(scenario).terms(dry=True).budget
    assert budget.fixed // (3 * 32 * 32) == exemplars


def greedy(features, count):
    """Herd as iCaRL does, in float64 and one candidate at a time."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    picks = []
    for k in range(1, count + 1):
        means = (unit[picks].sum(0) + unit) / k
        distance = np.linalg.norm(unit.mean(0) - means, axis=1)
        distance[picks] = np.inf
        picks.append(int(distance.argmin()))
    return picks


def test_exemplars_are_herded_by_the_features_of_all_blocks_together():
    made = rebuilder(total=40)
    strategy, _ = learned(made, 2)
    held = strategy.memory.samples()
    for label in (2, 3):
        x = digits(label).x
        with torch.no_grad():
            features = strategy.network.features(x).double().numpy()
        assert features.shape[1] == 2 * strategy.network.width
        assert torch.equal(held.x[held.y == label], x[greedy(features, 10)])


@pytest.mark.parametrize("total", [7, 33, 1000])
def test_no_more_exemplars_are_held_than_asked_for_and_than_a_class_has(total):
    made = rebuilder(((0, 1), (2, 3), (4,)), total=total)
    strategy, seen = made.begun(0), 0
    for index, exposure in enumerate(made.terms.exposures):
        task = made.terms.task(index)
        strategy.begin(task)
        strategy.learn(task, digits(*exposure.classes))
        strategy.end(task)
        seen += len(exposure.new_classes)
        counts = strategy.memory.samples().y.bincount(minlength=seen).tolist()
        assert counts == [min(total // seen, len(digits(label))) for label in range(seen)]


@pytest.mark.parametrize("t", [1, 2, 5])
def test_t_branches_cost_one_generalised_part_and_t_blocks(t):
    """Multiply-adds of ResNet-32's convolutions, two operations each, and of the head; for two images."""
    made = rebuilder([range(10 * e, 10 * e + 10) for e in range(t)], (3, 32, 32), backbone="resnet32")
    network, x = made.begun(t).network, torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    with FlopCounterMode(display=False) as counter:
        network(x)
    g = 32**2 * 9 * (3 * 16 + 10 * 16 * 16) + 16**2 * 9 * (16 * 32 + 9 * 32 * 32)
    s = 8**2 * 9 * (32 * 64 + 9 * 64 * 64)
    assert counter.get_total_flops() == 2 * 2 * (g + t * s + 10 * t * 64 * t)


def test_the_head_is_aligned_once_an_experience_however_it_is_delivered(monkeypatch):
    calls, align = [], Head.align
    monkeypatch.setattr(Head, "align", lambda head, old, how: calls.append(old) or align(head, old, how))
    training = {"epochs": 1, "updates_per_sample": 0.05}
    stream = {"kind": "class-incremental", "step": 2, **ONLINE}
    cl_engine.run({"data": "digits", "stream": stream, "strategy": "memo", "training": training})
    assert calls == [0, 2, 4, 6, 8]


def test_the_head_s_rows_of_old_classes_go_on_learning():
    made = rebuilder()
    strategy, _ = learned(made, 1)
    task = made.terms.task(1)
    strategy.begin(task)
    before = strategy.network.head.weight[:2].detach().clone()
    strategy.learn(task, digits(2, 3))
    assert (strategy.network.head.weight[:2] != before).any(1).all()


def test_earlier_blocks_and_their_statistics_move_where_they_are_asked_to():
    made = rebuilder(backbone="convnet2", train_old=True)
    strategy, _ = learned(made, 1)
    task = made.terms.task(1)
    strategy.begin(task)
    old = copied(strategy.network.blocks[0])
    strategy.learn(task, digits(2, 3))
    moved = strategy.network.blocks[0].state_dict()
    assert all(not torch.equal(old[name], moved[name]) for name in old)


def test_the_contract_is_kept_where_earlier_blocks_learn_on():
    check_strategy(MEMO, on=("repeating-classes",), train_old=True)


def test_a_backbone_without_anything_to_learn_is_refused():
    scenario = {"data": "digits", "strategy": {"kind": "memo", "backbone": "identity"}}
    with pytest.raises(
        cl_engine.ConfigError, match=r"strategy.backbone: .* all blocks would be the same; allowed: "
    ):
        Scenario.load(scenario)
