"""What fit does with its arguments, seen from the losses that it calls."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cl_engine.data.samples import Samples
from cl_engine.scenarios.exposure import Exposure
from cl_engine.terms.task import Task
from cl_engine.training import Training, fit
from cl_engine.training.stepper import FitError, Stepper


def task(online=False, dry=False, **options):
    training = Training(**{"epochs": 1, "batch_size": 4, **options})
    return Task(0, Exposure((0, 1), (0, 1), 2), shape=(3,), training=training, online=online, dry=dry)


def samples(count, label=0):
    return Samples(torch.arange(3.0 * count).view(count, 3), torch.full((count,), label))


def layer():
    made = nn.Linear(3, 2)
    nn.init.zeros_(made.weight)
    return made


def batches(module, new, where, **arguments):
    """Return every batch that the loss was asked for."""
    seen = []

    def loss(batch):
        seen.append(batch)
        return module(batch.x).square().mean() + module.bias.sum()

    fit(module, new, where, loss, **arguments)
    return seen


def test_online_every_micro_batch_has_its_own_loss():
    where, module, asked = task(online=True, updates_per_sample=0.5), layer(), []
    for number in range(5):

        def loss(batch, number=number):
            asked.append(number)
            return module(batch.x).mean()

        fit(module, samples(2), where, loss)
    assert asked == [0, 1, 2, 3, 4]


def test_a_loss_is_compiled_once_however_many_steps_are_taken_with_it(monkeypatch):
    compiled, module = [], layer()

    class Method:
        def loss(self, batch):
            return module(batch.x).square().mean() + module.bias.sum()

    monkeypatch.setattr(torch, "compile", lambda loss: compiled.append(loss) or loss)
    fit(module, samples(8), task(compile=True, epochs=3, batch_size=2), Method().loss)
    assert len(compiled) == 1
    where, method = task(online=True, compile=True), Method()
    for _ in range(5):
        fit(module, samples(2), where, method.loss)
    assert len(compiled) == 2


def test_online_a_second_module_needs_a_name_of_its_own_and_then_is_trained():
    where, first, second = task(online=True), layer(), layer()
    batches(first, samples(2), where)
    with pytest.raises(ValueError, match="another name"):
        batches(second, samples(2), where)
    before = second.bias.clone()
    batches(second, samples(2), where, name="second")
    assert not torch.equal(second.bias, before)


def test_online_momentum_lives_as_long_as_the_experience():
    where, module = task(online=True, updates_per_sample=1.0, lr=0.1, momentum=0.9), layer()
    moved = []
    for _ in range(3):
        before = module.bias.detach().clone()
        fit(module, samples(1), where, lambda batch: module.bias.sum())
        moved.append((before - module.bias.detach())[0].item())
    assert moved == pytest.approx([0.1, 0.19, 0.271])


@pytest.mark.parametrize(("mix", "sizes"), [("balanced", [8, 8, 4]), (3, [7, 7, 5]), ("joint", [4, 4, 4, 4, 4])])
def test_what_stands_in_a_batch_offline(mix, sizes):
    seen = batches(layer(), samples(10), task(), memory=samples(10, label=1), mix=mix)
    assert [len(batch) for batch in seen] == sizes
    for batch in seen:
        assert torch.equal(batch.rehearsed, batch.y == 1)
    if mix != "joint":
        assert [int(batch.rehearsed.sum()) for batch in seen] == [
            s - n for s, n in zip(sizes, [4, 4, 2], strict=True)
        ]


@pytest.mark.parametrize(("mix", "size"), [("balanced", 4), (3, 5), ("joint", 6)])
def test_what_stands_in_a_batch_online(mix, size):
    where = task(online=True, batch_size=6, updates_per_sample=0.5)
    (seen,) = batches(layer(), samples(2), where, memory=samples(9, label=1), mix=mix)
    assert len(seen) == size
    assert seen.y[:2].tolist() == [0, 0]
    assert seen.rehearsed.tolist() == [False, False] + [True] * (size - 2)


def test_a_memory_column_reaches_the_loss_and_is_zero_for_new_samples():
    memory = samples(5, label=1).with_columns(logits=torch.ones(5, 2))
    for batch in batches(layer(), samples(5), task(), memory=memory, mix="balanced"):
        assert torch.equal(batch.columns["logits"].sum(1) > 0, batch.rehearsed)


def test_views_repeat_a_batch_view_by_view():
    for batch in batches(layer(), samples(8), task(), views=2):
        half = len(batch) // 2
        assert torch.equal(batch.y[:half], batch.y[half:])
        assert torch.equal(batch.x[:half], batch.x[half:])  # features: nothing changes between views


def test_views_of_images_are_augmented_each_on_its_own_and_repeat_by_seed():
    new = Samples(torch.randint(0, 256, (8, 3, 8, 8), dtype=torch.uint8), torch.zeros(8, dtype=torch.int64))
    module = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))

    def seen():
        found = []

        def loss(batch):
            found.append(batch.x)
            return module(batch.x.float() / 255).mean()

        fit(module, new, task(augmentation="standard"), loss, views=2)
        return torch.cat(found)

    first, again = seen(), seen()
    assert torch.equal(first, again)
    assert not torch.equal(first[:4], first[4:8])


def test_a_group_has_its_own_rate_and_momentum():
    module, where = layer(), task(lr=0.1, momentum=0.9, schedule="constant", epochs=2, batch_size=8)
    groups = [{"params": [module.weight]}, {"params": [module.bias], "lr": 0.01, "momentum": 0.0}]
    start = module.bias.detach().clone()
    fit(module, samples(8), where, lambda batch: module.bias.sum() + 0 * module(batch.x).sum(), groups=groups)
    assert torch.allclose(start - module.bias.detach(), torch.full((2,), 0.02))


def test_a_second_stage_has_its_own_options():
    assert len(batches(layer(), samples(8), task(), training=Training(epochs=3, batch_size=2))) == 12


def test_accumulated_gradients_are_those_of_the_whole_batch():
    ends = []
    for options in ({"batch_size": 8}, {"batch_size": 2, "accumulate": 4}):
        module, steps = layer(), []
        where = task(lr=0.1, momentum=0.0, schedule="constant", **options)
        new = Samples(torch.arange(24.0).view(8, 3) / 24, torch.tensor([0, 1] * 4))
        torch.nn.init.zeros_(module.bias)
        fit(
            module,
            new,
            where,
            lambda b, m=module: F.cross_entropy(m(b.x), b.y),
            after_step=lambda s=steps: s.append(1),
        )
        ends.append(module.weight.detach().clone())
        assert len(steps) == 1
    assert torch.allclose(ends[0], ends[1], atol=1e-6)


def test_a_clipped_gradient_has_the_largest_norm_allowed():
    module = layer()
    start = module.bias.detach().clone()
    where = task(lr=1.0, momentum=0.0, schedule="constant", clip=0.5, batch_size=8)
    fit(module, samples(8), where, lambda batch: 100 * module.bias.sum())
    assert (start - module.bias.detach()).norm().item() == pytest.approx(0.5, rel=1e-4)


def rates(**options):
    where, found = task(batch_size=2, momentum=0.0, lr=1.0, epochs=4, **options), []
    module = layer()
    before = [module.bias[0].item()]

    def after():
        found.append(before[0] - module.bias[0].item())
        before[0] = module.bias[0].item()

    fit(module, samples(4), where, lambda batch: module.bias.sum(), after_step=after)
    return found


def test_schedules_are_what_they_are_called():
    assert rates(schedule="milestones", milestones=[1, 3], decay=0.1) == pytest.approx(
        [1, 1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01], rel=1e-3
    )
    assert rates(schedule="constant", warmup=2) == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1, 1, 1], rel=1e-3)
    cosine = [(1 + torch.cos(torch.tensor(torch.pi * s / 8)).item()) / 2 for s in range(8)]
    assert rates() == pytest.approx(cosine, rel=1e-3)


def test_the_first_experience_may_have_its_own_options():
    training = Training(epochs=2, first={"epochs": 9, "lr": 0.5})
    assert (training.at(0).epochs, training.at(0).lr, training.at(1).epochs) == (9, 0.5, 2)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("online", [False, True])
def test_a_dry_run_charges_what_a_real_one_measures(optimizer, online):
    found = []
    for dry in (False, True):
        where, module = task(online=online, dry=dry, optimizer=optimizer), layer()
        for part in (samples(3), samples(6), samples(2)):  # the second is larger than what was measured first
            batches(module, part, where, memory=samples(5, label=1))
        found.append(where.transient)
    assert found[0] == found[1]


@pytest.mark.parametrize("dry", [False, True])
def test_optimizers_that_live_side_by_side_are_charged_together(dry):
    momenta = 4 * (3 * 2 + 2)  # float32, one for each weight and bias of a layer
    for online, expected in ((False, momenta), (True, 2 * momenta)):  # offline the first one is gone by the second
        where, first, second = task(online=online, dry=dry), layer(), layer()
        for part in (samples(3), samples(4)):
            batches(first, part, where)
            batches(second, part, where, name="second")
        assert where.transient["optimizer"] == expected


def test_bf16_trains_to_nearly_the_same_weights():
    ends = []
    for precision in ("float32", "bf16"):
        torch.manual_seed(0)
        module = nn.Linear(3, 2)
        new = Samples(torch.randn(32, 3), torch.arange(32) % 2)
        fit(module, new, task(precision=precision), lambda b, m=module: F.cross_entropy(m(b.x).float(), b.y))
        ends.append(module.weight.detach())
        assert module.weight.dtype == torch.float32
    assert torch.allclose(ends[0], ends[1], atol=0.05)
    assert not torch.equal(ends[0], ends[1])


def test_a_module_with_nothing_to_train_is_refused():
    with pytest.raises(ValueError, match="nothing to train"):
        batches(layer().requires_grad_(False), samples(2), task())


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_batch_size_of_one_trains_and_only_a_lone_rest_is_left_out(batch_size):
    module, sizes = layer(), []

    def loss(batch):
        sizes.append(len(batch))
        return F.cross_entropy(module(batch.x), batch.y)

    fit(module, samples(9), task(epochs=2, batch_size=batch_size), loss)
    assert sizes == ([1] * 18 if batch_size == 1 else [4, 4] * 2)


def test_a_lone_rest_beside_rehearsed_samples_is_no_lone_batch():
    module, sizes = layer(), []

    def loss(batch):
        sizes.append(len(batch))
        return F.cross_entropy(module(batch.x), batch.y)

    fit(module, samples(5), task(epochs=1, batch_size=4), loss, memory=samples(3), mix="balanced")
    assert sizes == [8, 2]


@pytest.mark.parametrize(
    ("options", "factors"),
    [
        ({"schedule": "cosine"}, [1.0, 0.75, 0.25]),
        ({"schedule": "milestones", "milestones": [1, 2]}, [1.0, 0.1, 0.01]),
        ({"schedule": "constant", "warmup": 1.0}, [0.5, 1.0, 1.0]),
    ],
)
def test_a_schedule_is_one_of_epochs_also_where_a_lone_rest_is_left_out(monkeypatch, options, factors):
    seen = []
    monkeypatch.setattr(Stepper, "set_rate", lambda self, factor: seen.append(round(factor, 6)))
    module = layer()
    fit(module, samples(5), task(epochs=3, batch_size=4, **options), lambda b: module(b.x).square().mean())
    assert len(seen) == 3  # one batch an epoch; the second would be the lone rest
    assert seen == pytest.approx(factors)


def test_a_loss_that_changes_its_batch_changes_no_sample_of_an_online_stream():
    module, new = layer(), samples(3)
    before = new.x.clone()

    def loss(batch):
        batch.x.add_(1)
        return module(batch.x).square().mean()

    fit(module, new, task(online=True, updates_per_sample=1.0), loss)
    assert torch.equal(new.x, before)


@pytest.mark.parametrize(
    ("loss", "what"),
    [
        (lambda batch: 1.0, "a float"),
        (lambda batch: torch.ones(2, requires_grad=True), r"a tensor \[2\]"),
        (lambda batch: torch.tensor(1.0), "a number without a gradient"),
    ],
)
def test_a_loss_that_is_no_scalar_is_one_clear_line(loss, what):
    with pytest.raises(FitError, match=f"the loss is {what}.*allowed: a scalar"):
        fit(layer(), samples(3), task(epochs=1), loss)


def hooked(where, new, *, change=lambda gradient: None, **arguments):
    """Return what the hooks of a fit saw: gradient and bias before each step, bias after it."""
    module, seen = layer(), []
    nn.init.zeros_(module.bias)

    def before():
        seen.append(("before", module.bias.grad.clone(), module.bias.detach().clone()))
        change(module.bias.grad)

    def after():
        seen.append(("after", module.bias.grad.clone(), module.bias.detach().clone()))

    def loss(batch):
        return (module.bias * batch.y.double().mean()).sum() + 0 * module(batch.x).sum()

    fit(module, new, where, loss, before_step=before, after_step=after, **arguments)
    return module, seen


PLAIN = {"lr": 0.1, "momentum": 0.0, "schedule": "constant"}


def test_before_a_step_gradients_are_averaged_and_not_clipped_and_weights_have_not_moved():
    new = Samples(torch.zeros(4, 3), torch.tensor([2, 4, 6, 8]))
    where = task(batch_size=1, accumulate=4, clip=0.5, **PLAIN)
    _, seen = hooked(where, new)
    assert [when for when, _, _ in seen] == ["before", "after"]
    (_, gradient, bias), (_, clipped, moved) = seen
    assert gradient.tolist() == [5.0, 5.0]
    assert bias.tolist() == [0.0, 0.0]
    assert clipped.norm().item() == pytest.approx(0.5, rel=1e-4)
    assert torch.allclose(moved, -0.1 * clipped)


def test_a_step_follows_the_gradients_that_the_hook_left():
    new = Samples(torch.zeros(4, 3), torch.tensor([2, 4, 6, 8]))
    module, seen = hooked(task(**PLAIN), new, change=lambda gradient: gradient.copy_(torch.tensor([1.0, -2.0])))
    assert len(seen) == 2
    assert torch.allclose(module.bias.detach(), torch.tensor([-0.1, 0.2]))


@pytest.mark.parametrize("online", [False, True])
def test_hooks_are_called_once_a_step_and_of_a_plan_once_before_none(online):
    new = Samples(torch.zeros(8, 3), torch.ones(8, dtype=torch.int64))
    options = {"epochs": 3, "batch_size": 4, "updates_per_sample": 0.75}
    _, seen = hooked(task(online=online, **options), new)
    assert [when for when, _, _ in seen] == ["before", "after"] * 6
    module, seen = hooked(task(online=online, dry=True, **options), new)
    assert [when for when, _, _ in seen] == ["before"]
    assert (module.bias == 0).all()


def test_gradients_that_wait_at_the_end_of_an_online_experience_go_through_the_hooks_too():
    new = Samples(torch.zeros(3, 3), torch.ones(3, dtype=torch.int64))
    where = task(online=True, accumulate=4, updates_per_sample=1.0, **PLAIN)
    module, seen = hooked(where, new)
    assert not seen
    where.steppers["main"].flush()
    assert [when for when, _, _ in seen] == ["before", "after"]
    assert torch.allclose(module.bias.detach(), torch.full((2,), -0.1))


@pytest.mark.parametrize(("mix", "count"), [(3, 3), (5, 5), (9, 5)])
@pytest.mark.parametrize("online", [False, True])
def test_distinct_exemplars_are_drawn_once_each_and_all_where_there_are_no_more(online, mix, count):
    memory = Samples(torch.arange(15.0).view(5, 3), torch.arange(5) + 10)
    where = task(online=online, epochs=8, updates_per_sample=4.0)
    drawn = []
    for batch in batches(layer(), samples(2), where, memory=memory, mix=mix, distinct=True):
        labels = batch.y[batch.rehearsed].tolist()
        assert len(set(labels)) == len(labels) == count
        drawn += labels
    assert set(drawn) == set(range(10, 15))
