"""FCT and FastFill: the map, its loss, what it learns, and what is stored beside a vector."""

import numpy as np
import pytest
import torch

from cl_engine.data.samples import Samples
from cl_engine.kinds.problems import OptionError
from cl_engine.memory.ledger import ledger
from cl_engine.models.transformation import Mapped, Transformation
from cl_engine.strategies.stationary.fct import FCT, fastfill_loss
from cl_engine.testing import check_strategy
from tests.numeric import numeric
from tests.strategies.fixed import digits, learned, rebuilder

SMALL = {"width": 32, "map_epochs": 5}


def case():
    r = np.random.default_rng(4)
    mapped, new, s = r.standard_normal((4, 3)), r.standard_normal((4, 3)), r.standard_normal(4)
    return mapped, new, s, r.standard_normal((5, 3)), r.standard_normal(5), r.integers(0, 5, 4)


def fastfill(mapped, new, s, w, b, y):
    scores = mapped @ w.T + b
    log_p = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    cross_entropy = -(0.9 * log_p[np.arange(4), y] + 0.1 * log_p.mean(1))
    far = ((mapped - new) ** 2).mean(1) + cross_entropy
    return (np.exp(-s) * far / 2 + s / 2).mean(), far


def test_fastfill_has_the_published_value_and_the_gradients_of_numpy():
    mapped, new, s, w, b, y = case()
    leaves = [torch.tensor(x, requires_grad=True) for x in (mapped, s)]
    scores = leaves[0] @ torch.tensor(w).T + torch.tensor(b)
    loss = fastfill_loss(Mapped(*leaves), torch.tensor(new), scores, torch.from_numpy(y))
    loss.backward()
    assert loss.item() == pytest.approx(5.17503676, abs=5e-9)
    assert fastfill(mapped, new, s, w, b, y)[1] == pytest.approx([5.0132655, 4.46744096, 3.01189563, 4.36224868])
    for leaf, expected in (
        (leaves[0], numeric(lambda x: fastfill(x, new, s, w, b, y)[0], mapped)),
        (leaves[1], numeric(lambda x: fastfill(mapped, new, x, w, b, y)[0], s)),
    ):
        np.testing.assert_allclose(leaf.grad.numpy(), expected, atol=1e-8)


def test_the_best_uncertainty_of_fastfill_is_the_logarithm_of_how_far_off_a_vector_is():
    mapped, new, _, w, b, y = case()
    far = fastfill(mapped, new, np.zeros(4), w, b, y)[1]
    s = torch.tensor(np.log(far), requires_grad=True)
    scores = torch.tensor(mapped @ w.T + b)
    fastfill_loss(Mapped(torch.tensor(mapped), s), torch.tensor(new), scores, torch.from_numpy(y)).backward()
    np.testing.assert_allclose(s.grad.numpy(), 0, atol=1e-12)


@pytest.mark.parametrize("side", [0, 4])
@pytest.mark.parametrize("mode", [True, False])
def test_the_map_is_that_of_numpy_with_batch_norm_by_the_batch_or_by_what_was_seen(side, mode):
    made = Transformation(3, 5, side, 7, True, torch.Generator().manual_seed(0)).double().train(mode)
    x = np.random.default_rng(0).standard_normal((6, 3 + side))
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            torch.nn.init.uniform_(module.running_mean)
    weights = {name: tensor.clone().numpy() for name, tensor in made.state_dict().items()}

    def path(name, x, layers):
        for n in range(layers):
            x = x @ weights[f"{name}.{3 * n}.weight"].T
            seen = weights[f"{name}.{3 * n + 1}.running_mean"], weights[f"{name}.{3 * n + 1}.running_var"]
            mean, variance = (x.mean(0), x.var(0)) if mode else seen
            x = np.maximum((x - mean) / np.sqrt(variance + 1e-5), 0)
        return x

    beside = x[:, 3:] if side else x
    both = np.concatenate([path("of_features", x[:, :3], 2), path("of_side", beside, 2)], 1)
    expected = path("mixer", both, 2) @ weights["mixer.6.weight"].T + weights["mixer.6.bias"]
    found = made(torch.tensor(x))
    np.testing.assert_allclose(found.features.detach().numpy(), expected[:, :5], atol=1e-10)
    np.testing.assert_allclose(found.uncertainty.detach().numpy(), expected[:, 5], atol=1e-10)


def test_old_vectors_of_classes_that_were_never_seen_are_mapped_near_to_the_new_ones():
    steps, small = ((0, 1, 2, 3), (4, 5, 6, 7)), {"kind": "mlp", "width": 32}
    made = rebuilder(FCT, steps=steps, epochs=5, backbone=small, width=64, map_epochs=12)
    unseen = digits(8, 9).x
    before, _ = learned(made, 1)
    stored = before.stored(unseen)
    strategy, _ = learned(made, 2)
    new = strategy.features(unseen)

    def far(vectors):
        return float(torch.nn.functional.mse_loss(vectors, new) / new.var(0).mean())

    assert far(strategy.renewed(stored).features) < 0.6 < 2 < far(stored)


def test_side_information_stays_beside_a_vector_and_its_network_stays_as_it_was():
    made = rebuilder(FCT, **SMALL, side=6)
    strategy, _ = learned(made, 1)
    x, before = digits(0, 1).x[:20], strategy.state_dict()
    stored, side = strategy.stored(x), {n: t.clone() for n, t in before.items() if "side_network" in n}
    assert stored.shape == (20, 128 + 6)
    assert torch.equal(stored[:, :128], strategy.features(x))
    later, _ = learned(made, 3)
    assert all(torch.equal(later.state_dict()[name], tensor) for name, tensor in side.items())
    torch.testing.assert_close(later.stored(x)[:, 128:], stored[:, 128:])
    assert torch.equal(later.renewed(stored).features[:, 128:], stored[:, 128:])


def test_each_view_of_a_sample_finds_the_other():
    """Trained side information tells samples apart; NumPy says how well."""
    strategy, _ = learned(rebuilder(FCT, steps=((0, 1),), side=8, **SMALL), 1)
    x = digits(0, 1).x[:12]
    with torch.no_grad():
        z = strategy.side_network.project(x).double().numpy()
    z = np.tile(z / np.linalg.norm(z, axis=1, keepdims=True), (2, 1))
    s = np.exp(z @ z.T / 0.5)
    np.fill_diagonal(s, 0)
    expected = -np.log(s[np.arange(24), (np.arange(24) + 12) % 24] / s.sum(1)).mean()
    both = Samples(x.repeat(2, 1, 1, 1), torch.zeros(24, dtype=torch.int64))
    assert strategy.instances(both).item() == pytest.approx(expected, rel=1e-5)


def test_batch_norm_of_the_map_stands_still_in_the_second_half_of_its_epochs():
    strategy, _ = learned(rebuilder(FCT, **SMALL), 2)
    pairs = len(digits(2, 3)) + 200
    (steps,) = {int(t) for name, t in strategy.map.named_buffers() if "tracked" in name}
    assert steps == 3 * -(-pairs // 32)  # of 5 epochs


def test_the_map_is_held_and_charged_from_the_second_experience_on():
    made = rebuilder(FCT, **SMALL, side=6)
    for experiences, count in (
        (1, 0),
        (2, 128 * 256 + 256 * 256 + 6 * 12 + 12 * 256 + 512 * 32 + 32 * 32 + 33 * 128),
    ):
        entries = [e for e in ledger(learned(made, experiences)[0]) if e.name.startswith("map.")]
        norms = 2 * (256 + 256 + 12 + 256 + 32 + 32) if count else 0
        assert sum(e.bytes for e in entries if e.kind == "parameters") == 4 * (count + norms)


def test_fastfill_with_side_information_keeps_the_contract():
    check_strategy(FCT, on=("online", "repeating-classes"), width=8, map_epochs=1, form="fastfill", side=4)


def test_side_information_needs_samples():
    with pytest.raises(OptionError, match="side: is made of samples, and `codec: features` keeps none; allowed: 0"):
        learned(rebuilder(FCT, side=4, backbone="identity", codec="features", shape=(64,)), 1)
