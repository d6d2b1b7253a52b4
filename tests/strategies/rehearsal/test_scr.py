"""SCR: its loss, the exemplars beside a batch, its nearest means, and what is held."""

import numpy as np
import pytest
import torch
from torch import nn

from cl_engine.data.samples import Samples
from cl_engine.memory.ledger import ledger
from cl_engine.strategies.rehearsal.nearest_mean import NO_EXEMPLARS
from cl_engine.strategies.rehearsal.scr import SCR
from cl_engine.testing import check_strategy
from tests.strategies.fixed import digits, learned, rebuilder


@pytest.mark.parametrize(("temperature", "expected"), [(0.07, 7.70668536), (0.1, 5.49475319)])
def test_the_loss_has_the_published_value_and_no_base_temperature(temperature, expected):
    z = torch.tensor(np.random.default_rng(16).standard_normal((8, 5)), requires_grad=True)
    strategy = rebuilder(SCR, temperature=temperature).begun(1)
    strategy.network.features = lambda x: z
    strategy.network.projection = nn.Identity()
    loss = strategy.loss(Samples(torch.zeros(8, 1), torch.tensor([0, 1, 1, 0] * 2)))
    loss.backward()
    assert loss.item() == pytest.approx(expected, abs=5e-9)
    assert (z.grad.norm(dim=1) > 0).all()  # new samples and exemplars alike


def test_a_hundred_exemplars_stand_beside_a_batch_and_all_in_two_views():
    sizes = []

    class Watching(SCR):
        def loss(self, batch):
            sizes.append((len(batch), int(batch.rehearsed.sum())))
            return super().loss(batch)

    learned(rebuilder(Watching, total=40, epochs=1), 2)
    assert sizes[0] == (64, 0)  # there is no exemplar yet
    assert sizes[-1][1] == 200
    assert (264, 200) in sizes


def test_the_nearest_mean_of_exemplars_wins_and_a_class_without_one_never_does():
    strategy, _ = learned(rebuilder(SCR, total=3, selection="random"), 2)
    kept = strategy.memory.samples()
    present = kept.y.unique().tolist()
    (absent,) = {0, 1, 2, 3} - set(present)
    features = strategy.features(kept.x).numpy()
    x = digits(0, 1, 2, 3).x[:50]
    queries = strategy.features(x).numpy()
    scores = strategy.predict(x)
    for f, c in zip(features, kept.y.tolist(), strict=True):  # one exemplar each is its mean
        cosine = queries @ f / np.linalg.norm(queries, axis=1) / np.linalg.norm(f)
        np.testing.assert_allclose(scores[:, c], cosine, rtol=1e-3, atol=1e-5)
    assert (scores[:, absent] == NO_EXEMPLARS).all()


def test_exemplars_and_projection_are_held_and_no_head():
    strategy, _ = learned(rebuilder(SCR, total=20, epochs=1), 1)
    held = {}
    for e in ledger(strategy):
        held[e.kind] = held.get(e.kind, 0) + e.bytes
    assert held["exemplars"] == 20 * 64
    assert held["head"] == 0
    encoder, projection = 64 * 128 + 128 + 128 * 128 + 128, 3 * (128 * 128 + 128)
    assert held["parameters"] == 4 * (encoder + projection)


def test_the_contract_is_kept():
    check_strategy(SCR, on=("features", "hidden-boundaries", "repeating-classes"), total=12)
