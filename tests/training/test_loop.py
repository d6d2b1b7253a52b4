"""The training loop learns, charges what it uses, and says when it diverges."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cl_engine.data.samples import Samples
from cl_engine.terms.task import Exposure, Task
from cl_engine.training.loop import DivergedError, Training, fit


def task(**options):
    return Task(0, Exposure((0, 1), (0, 1), 2), shape=(4,), training=Training(**options), seed=1)


def blobs(n=200):
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(n) % 2
    return Samples(torch.randn(n, 4, generator=generator) + 3 * y[:, None], y)


def loss_of(model):
    return lambda batch: F.cross_entropy(model(batch.x), batch.y)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_it_learns(optimizer, schedule):
    torch.manual_seed(0)
    model, data = nn.Linear(4, 2), blobs()
    before = loss_of(model)(data).item()
    fit(model, data, task(optimizer=optimizer, schedule=schedule, epochs=40, lr=0.05), loss_of(model))
    assert loss_of(model)(data).item() < before / 3
    assert (model(data.x).argmax(1) == data.y).float().mean() > 0.95
    assert not model.training


def test_one_step_of_sgd_is_the_textbook_step():
    model, data = nn.Linear(4, 2), blobs(8)
    with torch.no_grad():
        start = model.weight.clone()
    gradient = torch.autograd.grad(loss_of(model)(data), model.weight)[0]
    options = {"epochs": 1, "batch_size": 8, "lr": 0.3, "schedule": "constant", "weight_decay": 0.1}
    fit(model, data, task(**options), loss_of(model))
    assert torch.allclose(model.weight, start - 0.3 * (gradient + 0.1 * start), atol=1e-6)


def test_frozen_parameters_stay():
    model = nn.Sequential(nn.Linear(4, 4).requires_grad_(False), nn.Linear(4, 2))
    frozen = model[0].weight.clone()
    fit(model, blobs(), task(epochs=2), loss_of(model))
    assert torch.equal(model[0].weight, frozen)


def test_what_exists_only_while_training_is_charged():
    model, now = nn.Linear(4, 2), task(epochs=1, batch_size=16)
    fit(model, blobs(), now, loss_of(model))
    parameters = 4 * (4 * 2 + 2)
    assert now.transient["gradients"] == parameters
    assert now.transient["optimizer"] == parameters  # one momentum buffer
    assert now.transient["batch"] == 16 * 4 * 4 + 16 * 8
    assert now.transient["activations"] >= 16 * 4 * 4
    adam = task(epochs=1, optimizer="adam")
    fit(model, blobs(), adam, loss_of(model))
    assert adam.transient["optimizer"] >= 2 * parameters


def test_divergence_is_one_clear_error():
    model = nn.Linear(4, 2)
    with pytest.raises(DivergedError, match=r"loss is (nan|inf) in epoch \d+ of experience 1; training.lr is"):
        fit(model, blobs(), task(lr=1e38, epochs=5), loss_of(model))


def test_a_loss_that_is_a_mean_over_no_rows_is_not_blamed_on_the_learning_rate():
    model = nn.Linear(4, 2)

    def loss(batch):
        return model(batch.x).square().mean() + model(batch.x)[batch.y < 0].mean()

    with pytest.raises(DivergedError, match="the weights are finite, so the loss itself") as raised:
        fit(model, blobs(), task(), loss)
    assert "lr" not in str(raised.value)


def test_batches_cover_the_samples_once_in_a_fresh_order():
    data, generator = Samples(torch.arange(10.0)[:, None], torch.arange(10)), torch.Generator().manual_seed(0)
    epochs = [torch.cat([b.y for b in data.batches(3, generator)]) for _ in range(2)]
    assert all(e.sort().values.equal(data.y) for e in epochs)
    assert not epochs[0].equal(epochs[1])
    assert [len(b) for b in data.batches(4)] == [4, 4, 2]
