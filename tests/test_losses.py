"""Losses against independent float64 NumPy, published numbers, and what is known of their gradients."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cl_engine.losses import (
    balanced_softmax,
    distillation,
    feature_distillation,
    higher_order_compatibility,
    masked_cross_entropy,
    prototype_alignment,
    relation_distillation,
    supervised_contrastive,
)

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(2, 7)
temperatures = st.floats(0.05, 5)
random_inputs = settings(max_examples=40, deadline=None, derandomize=True)


def t(array, dtype=torch.float64):
    """A leaf that can have a gradient; labels and masks stay what they are."""
    array = np.asarray(array)
    return torch.tensor(array, dtype=dtype, requires_grad=True) if array.dtype.kind == "f" else torch.tensor(array)


def softmax(z):
    e = np.exp(z - z.max())
    return e / e.sum()


def cos(a, b):
    return a @ b / (np.linalg.norm(a) * np.linalg.norm(b))


def kl(p, q):
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)


def cross_entropy(z, y, columns=None):
    """Mean over rows of the loss of a softmax over ``columns(i)``."""
    values = []
    for i, row in enumerate(z):
        open_ = list(range(z.shape[1]) if columns is None else columns(i))
        values.append(-math.log(softmax(row[open_])[open_.index(y[i])]))
    return np.mean(values)


def agree(loss, oracle, *tensors, atol=1e-10):
    """The loss equals the oracle in float64 and in float32, and has the inputs' type."""
    value = loss(*map(t, tensors))
    assert value.shape == ()
    assert value.dtype == torch.float64
    np.testing.assert_allclose(value.item(), oracle, rtol=1e-9, atol=atol)
    single = loss(*(t(x, torch.float32) for x in tensors))
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single.item(), oracle, rtol=2e-3, atol=2e-4)


# distillation


@random_inputs
@given(seeds, sizes, st.integers(1, 9), temperatures)
def test_distillation_is_the_cross_entropy_of_softened_predictions(seed, b, c, temperature):
    r = np.random.default_rng(seed)
    new, old = 2 * r.standard_normal((b, c)), 2 * r.standard_normal((b, c))
    rows = zip(new, old, strict=True)
    oracle = np.mean([-(softmax(o / temperature) * np.log(softmax(n / temperature))).sum() for n, o in rows])
    agree(lambda n, o: distillation(n, o, temperature), oracle, new, old)


def test_distillation_equals_the_published_numbers():
    r = np.random.default_rng(0)
    new, old = t(r.standard_normal((4, 6))), t(r.standard_normal((4, 6)))
    loss = distillation(new, old)  # T = 2
    assert loss.item() == pytest.approx(1.87191413, abs=5e-9)
    loss.backward()
    assert new.grad.norm().item() == pytest.approx(0.05589549, abs=5e-9)
    assert old.grad is None
    r = np.random.default_rng(19)
    new, old = t(r.standard_normal((4, 5))), t(r.standard_normal((4, 5)))
    assert distillation(new, old).item() == pytest.approx(1.68151387, abs=5e-9)  # over the batch: 2.10279022
    r = np.random.default_rng(14)
    new, _, old = (t(r.standard_normal(shape)) for shape in [(4, 6), (4, 6), (4, 4)])
    assert distillation(new[:, :4], old).item() == pytest.approx(1.50506757, abs=5e-9)


def test_distillation_has_no_gradient_where_new_equals_old_and_the_entropy_as_its_value():
    old = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    new = old.clone().requires_grad_()
    loss = distillation(new, old, 3.0)
    q = (old / 3).softmax(1)
    torch.testing.assert_close(loss, -(q * q.log()).sum(1).mean())
    loss.backward()
    torch.testing.assert_close(new.grad, torch.zeros_like(new), atol=1e-15, rtol=0)


def test_columns_that_both_models_mask_are_left_out_of_distillation():
    new, old = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    shut = torch.tensor([False, True, False, False])
    leaf = new.clone().requires_grad_()
    loss = distillation(leaf.masked_fill(shut, -torch.inf), old.masked_fill(shut, -torch.inf))
    torch.testing.assert_close(loss, distillation(new[:, ~shut], old[:, ~shut]))
    loss.backward()
    assert leaf.grad.isfinite().all()
    assert (leaf.grad[:, shut] == 0).all()


# masked cross-entropy


@random_inputs
@given(seeds, sizes, st.integers(1, 9))
def test_masked_cross_entropy_is_the_cross_entropy_of_the_allowed_columns(seed, b, c):
    r = np.random.default_rng(seed)
    scores, y = 3 * r.standard_normal((b, c)), r.integers(0, c, b)
    each = (r.random((b, c)) < 0.5) | np.eye(c, dtype=bool)[y]
    agree(masked_cross_entropy, cross_entropy(scores, y, lambda i: np.flatnonzero(each[i])), scores, y, each)
    one = each.any(0)
    agree(masked_cross_entropy, cross_entropy(scores, y, lambda i: np.flatnonzero(one)), scores, y, one)


@pytest.mark.parametrize("smoothing", [0.1, 0.5])
def test_smoothed_masked_cross_entropy_is_torchs_of_the_allowed_columns(smoothing):
    scores = t(np.random.default_rng(0).standard_normal((4, 6)))
    allowed, inside = torch.tensor([False, True, False, True, True, False]), torch.tensor([2, 0, 1, 1])
    expected = torch.nn.functional.cross_entropy(scores[:, allowed], inside, label_smoothing=smoothing)
    found = masked_cross_entropy(scores, torch.tensor([1, 3, 4])[torch.tensor([2, 0, 1, 1])], allowed, smoothing)
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)
    (gradient,) = torch.autograd.grad(found, scores)
    assert (gradient[:, ~allowed] == 0).all()
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, scores)[0])


def test_masked_cross_entropy_equals_the_numbers_of_er_ace():
    r = np.random.default_rng(6)
    new, memory = t(r.standard_normal((4, 6))), t(r.standard_normal((8, 6)))
    y_new, y_memory = torch.tensor([3, 4, 3, 4]), torch.tensor([0, 1, 2, 3, 0, 1, 2, 4])

    def loss(y, *columns):
        return masked_cross_entropy(new, y, torch.isin(torch.arange(6), torch.tensor(columns))).item()

    assert loss(y_new, 3, 4) == pytest.approx(0.84212052, abs=5e-9)
    assert loss(y_new, 3, 4, 5) == pytest.approx(1.35947740, abs=5e-9)
    everything = masked_cross_entropy(memory, y_memory, torch.ones(6, dtype=torch.bool)).item()
    assert loss(y_new, 3, 4) + everything == pytest.approx(3.07550961, abs=5e-9)
    returned = torch.tensor([0, 1, 0, 1])
    assert loss(returned, 0, 1) == pytest.approx(0.79467782, abs=5e-9)
    assert loss(returned, 0, 1, 4, 5) == pytest.approx(1.54102483, abs=5e-9)


@pytest.mark.parametrize("hidden", [3e38, -torch.inf, torch.inf, torch.nan])
def test_what_stands_in_a_masked_column_changes_nothing_and_gets_exactly_no_gradient(hidden):
    scores = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    y, allowed = torch.tensor([0, 2, 0]), torch.tensor([True, False, True, False, True])
    expected = masked_cross_entropy(scores, y, allowed)
    scores[:, 3] = hidden
    scores.requires_grad_()
    loss = masked_cross_entropy(scores, y, allowed)
    assert torch.equal(loss, expected)
    loss.backward()
    assert (scores.grad[:, ~allowed] == 0).all()
    assert (scores.grad[:, allowed] != 0).all()


# balanced softmax


@random_inputs
@given(seeds, sizes, st.integers(1, 9))
def test_balanced_softmax_weighs_every_class_by_its_count(seed, b, c):
    r = np.random.default_rng(seed)
    scores, y, counts = r.standard_normal((b, c)), r.integers(0, c, b), r.integers(1, 1000, c)
    weighed = counts * np.exp(scores)
    oracle = np.mean(-np.log(weighed[np.arange(b), y] / weighed.sum(1)))
    agree(balanced_softmax, oracle, scores, y, counts)
    agree(balanced_softmax, oracle, scores, y, 0.37 * counts)  # only ratios matter
    agree(balanced_softmax, cross_entropy(scores, y), scores, y, np.full(c, 7))


def test_a_class_that_was_never_counted_takes_no_part_in_balanced_softmax():
    scores = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    y, counts = torch.tensor([0, 3, 3]), torch.tensor([5, 0, 1, 9])
    loss = balanced_softmax(scores, y, counts)
    kept = [0, 2, 3]
    expected = balanced_softmax(scores[:, kept], torch.tensor([0, 2, 2]), counts[kept])
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert (scores.grad[:, 1] == 0).all()
    assert scores.grad.isfinite().all()


# supervised contrastive


def contrastive_oracle(z, y, temperature, anchors=None):
    values = []
    for i in range(len(z)):
        if anchors is not None and not anchors[i]:
            values.append(0.0)
            continue
        others = [a for a in range(len(z)) if a != i]
        total = sum(math.exp(cos(z[i], z[a]) / temperature) for a in others)
        positive = [a for a in others if y[a] == y[i]]
        logs = [cos(z[i], z[p]) / temperature - math.log(total) for p in positive]
        values.append(-np.mean(logs) if positive else 0.0)
    return np.mean(values)


@random_inputs
@given(seeds, st.integers(1, 9), st.integers(1, 6), temperatures)
def test_supervised_contrastive_is_the_mean_over_anchors_of_the_mean_over_positives(seed, n, d, temperature):
    r = np.random.default_rng(seed)
    z, y = r.standard_normal((n, d)), r.integers(0, 3, n)
    agree(
        lambda z, y: supervised_contrastive(z, y, temperature),
        contrastive_oracle(z, y, temperature),
        z,
        y,
        atol=1e-9,
    )


def test_supervised_contrastive_equals_the_published_numbers():
    rows = [(1, 0), (1, 0.2), (0, 1), (0.1, 1), (1, 0.1), (0.9, 0), (0.2, 1), (0, 0.9)]
    z, y = torch.tensor(rows, dtype=torch.float64), torch.tensor([0, 0, 1, 1, 0, 0, 1, 1])
    loss = supervised_contrastive(z, y, 0.1).item()
    assert loss == pytest.approx(1.101457, abs=5e-7)
    assert loss * 0.1 / 0.07 == pytest.approx(1.573510, abs=5e-7)  # the released code
    assert loss * 8 == pytest.approx(8.811658, abs=5e-6)  # the sum over anchors of PRD's paper
    z = t(np.random.default_rng(16).standard_normal((8, 5)))
    y = torch.tensor([0, 1, 1, 0] * 2)
    assert supervised_contrastive(z, y, 0.07).item() == pytest.approx(7.70668536, abs=5e-9)
    assert supervised_contrastive(z, y, 0.1).item() == pytest.approx(5.49475319, abs=5e-9)


@random_inputs
@given(seeds, st.integers(1, 9), temperatures)
def test_asymmetric_contrast_is_the_part_of_its_anchors_in_the_mean_over_all(seed, n, temperature):
    r = np.random.default_rng(seed)
    z, y, anchors = r.standard_normal((n, 4)), r.integers(0, 3, n), r.random(n) < 0.5
    agree(
        lambda z, y, a: supervised_contrastive(z, y, temperature, a),
        contrastive_oracle(z, y, temperature, anchors),
        z,
        y,
        anchors,
        atol=1e-9,
    )


def test_asymmetric_contrast_equals_the_numbers_of_co2l_and_moves_what_is_no_anchor_too():
    z, y = t(np.random.default_rng(16).standard_normal((8, 5))), torch.tensor([0, 1, 1, 0] * 2)
    loss = 0.5 / 0.07 * supervised_contrastive(z, y, 0.5, anchors=y == 1)
    assert loss.item() == pytest.approx(7.63659749, abs=5e-9)
    assert 2 * loss.item() == pytest.approx(15.27319498, abs=1e-8)  # over its anchors
    loss.backward()
    assert (z.grad.norm(dim=1) > 0).all()  # the others are negatives


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("y", [[0], [0, 1], [0, 1, 2, 3], [0, 1, 0]])
def test_rows_without_a_positive_add_nothing_and_no_nan_to_supervised_contrastive(dtype, y):
    z = torch.randn(len(y), 4, dtype=dtype, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = supervised_contrastive(z, torch.tensor(y), 0.01)
    loss.backward()
    assert z.grad.isfinite().all()
    assert loss.isfinite()
    if len(set(y)) == len(y):
        assert loss == 0
        assert (z.grad == 0).all()


# prototype alignment


@random_inputs
@given(seeds, sizes, st.integers(1, 5), st.integers(1, 6))
def test_prototype_alignment_is_the_mean_of_one_minus_the_cosine(seed, n, c, d):
    r = np.random.default_rng(seed)
    prototypes, features, y = r.standard_normal((c, d)), r.standard_normal((n, d)), r.integers(0, c, n)
    oracle = np.mean([1 - cos(prototypes[k], f) for k, f in zip(y, features, strict=True)])
    agree(prototype_alignment, oracle, prototypes, features, y)
    assert -1e-9 <= oracle <= 2 + 1e-9


def test_only_prototypes_of_classes_in_the_batch_move_and_features_get_no_gradient():
    r = np.random.default_rng(0)
    prototypes, features = t(r.standard_normal((4, 3))), t(r.standard_normal((5, 3)))
    prototype_alignment(prototypes, features, torch.tensor([1, 3, 1, 1, 3])).backward()
    assert features.grad is None
    assert (prototypes.grad[[0, 2]] == 0).all()
    assert (prototypes.grad[[1, 3]].norm(dim=1) > 0).all()


# relation distillation

OLD_PROTOTYPES, NEW_PROTOTYPES = np.array([(1.0, 0, 0), (0, 1, 0)]), np.array([(1, 0.1, 0), (0, 1, 0.2)])
OLD_FEATURES = np.array([(2.0, 0, 0), (0, 1, 1), (1, 1, 1), (0, 0, 3)])
NEW_FEATURES = np.array([(2, 0.2, 0), (0, 1, 0.8), (1, 1.2, 1), (0.3, 0, 3)])
RELATED = (NEW_FEATURES, NEW_PROTOTYPES, OLD_FEATURES, OLD_PROTOTYPES)


def relation_oracle(nf, np_, of, op, temperature, axis, direction, normalise, reduction):
    def similar(f, p):
        return cos(f, p) if normalise else f @ p / np.linalg.norm(p)

    new = np.array([[similar(f, p) for f in nf] for p in np_]) / temperature  # prototypes x samples
    old = np.array([[similar(f, p) for f in of] for p in op]) / temperature
    if axis == "prototypes":
        new, old = new.T, old.T
    values = []
    for a, b in zip(new, old, strict=True):
        p, q = softmax(a), softmax(b)
        values.append(kl(p, q) if direction == "new_old" else kl(q, p))
    return sum(values) if reduction == "sum" else np.mean(values)


relation_options = st.tuples(
    st.sampled_from(["samples", "prototypes"]),
    st.sampled_from(["new_old", "old_new"]),
    st.booleans(),
    st.sampled_from(["sum", "mean"]),
)


@random_inputs
@given(seeds, sizes, st.integers(1, 5), st.floats(0.1, 3), relation_options)
def test_relation_distillation_is_the_divergence_along_the_axis(seed, n, k, temperature, options):
    r = np.random.default_rng(seed)
    shapes = [(n, 3), (k, 3), (n, 4), (k, 4)]  # an old model may be as wide as it likes
    tensors = [r.standard_normal(shape) for shape in shapes]
    oracle = relation_oracle(*tensors, temperature, *options)
    agree(lambda *x: relation_distillation(*x, temperature, *options), oracle, *tensors)


@pytest.mark.parametrize(
    ("temperature", "direction", "expected"),
    [
        (0.1, "new_old", 0.00328202),
        (0.1, "old_new", 0.00336647),
        (1, "new_old", 0.00124225),
        (1, "old_new", 0.00124278),
    ],
)
def test_relation_distillation_equals_the_numbers_of_prd(temperature, direction, expected):
    loss = relation_distillation(*map(t, RELATED), temperature, direction=direction)
    assert loss.item() == pytest.approx(expected, abs=6e-9)


def test_relation_distillation_equals_the_number_of_the_released_code_of_prd():
    loss = relation_distillation(*map(t, RELATED), 1.0, "prototypes", "old_new", False, "mean")
    assert loss.item() == pytest.approx(0.00520830, abs=6e-9)


@pytest.mark.parametrize("direction", ["new_old", "old_new"])
@pytest.mark.parametrize("normalise", [True, False])
def test_groups_of_prototypes_are_related_on_their_own_and_summed(direction, normalise):
    r, groups = np.random.default_rng(3), np.array([0, 2, 0, 1, 0, 1])  # of three, two and one
    tensors = [10 * r.standard_normal(shape) for shape in [(5, 3), (6, 3), (5, 4), (6, 4)]]
    nf, np_, of, op = tensors
    options = (1.5, "prototypes", direction, normalise, "mean")
    each = [relation_oracle(nf, np_[groups == g], of, op[groups == g], *options) for g in range(3)]
    agree(lambda *x: relation_distillation(*x, *options, torch.tensor(groups)), sum(each), *tensors)
    leaves = [t(x) for x in tensors]
    relation_distillation(*leaves, *options, torch.tensor(groups)).backward()
    assert leaves[0].grad.isfinite().all()
    assert (leaves[1].grad[1].abs() < 1e-12).all()  # alone in its group
    assert (leaves[1].grad[[0, 2, 3, 4, 5]].norm(dim=1) > 0).all()
    assert leaves[2].grad is None
    assert leaves[3].grad is None


def test_the_paper_of_prd_is_the_default_of_relation_distillation():
    named = relation_distillation(*map(t, RELATED), 0.2, "samples", "new_old", True, "sum")
    assert torch.equal(relation_distillation(*map(t, RELATED), 0.2), named)


@pytest.mark.parametrize("axis", ["samples", "prototypes"])
@pytest.mark.parametrize("direction", ["new_old", "old_new"])
def test_relation_distillation_moves_new_features_and_prototypes_and_nothing_of_the_old_model(axis, direction):
    leaves = [t(x) for x in RELATED]
    relation_distillation(*leaves, 0.1, axis=axis, direction=direction).backward()
    new_features, new_prototypes, old_features, old_prototypes = leaves
    assert new_features.grad.norm() > 0
    assert (new_prototypes.grad.norm(dim=1) > 0).all()
    assert old_features.grad is None
    assert old_prototypes.grad is None


@pytest.mark.parametrize("axis", ["samples", "prototypes"])
@pytest.mark.parametrize("direction", ["new_old", "old_new"])
def test_relation_distillation_is_0_without_gradient_while_the_new_model_is_the_old_one(axis, direction):
    features, prototypes = t(NEW_FEATURES), t(NEW_PROTOTYPES)
    loss = relation_distillation(features, prototypes, features, prototypes, 0.1, axis=axis, direction=direction)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-15)
    assert features.grad.abs().max() < 1e-14
    assert prototypes.grad.abs().max() < 1e-14


def test_relation_distillation_ignores_the_order_of_the_batch_and_a_constant_along_its_axis():
    order = torch.tensor([2, 0, 3, 1])
    nf, np_, of, op = map(t, RELATED)
    torch.testing.assert_close(
        relation_distillation(nf[order], np_, of[order], op, 0.1), relation_distillation(nf, np_, of, op, 0.1)
    )
    # raw features: a shift along a prototype adds one constant to its similarity with every sample
    one = np_[:1] / np_[:1].norm()
    torch.testing.assert_close(
        relation_distillation(nf + 0.7 * one, one, of, op[:1], 0.5, normalise=False),
        relation_distillation(nf, one, of, op[:1], 0.5, normalise=False),
    )
    # a shift of one sample by w with p.w the same for both (unit) prototypes adds a constant for that sample
    both, shift = torch.eye(2, dtype=torch.float64), torch.tensor([[0.4, 0.4]], dtype=torch.float64)
    torch.testing.assert_close(
        relation_distillation(nf[:, :2] + shift, both, of, op, 0.5, "prototypes", normalise=False),
        relation_distillation(nf[:, :2], both, of, op, 0.5, "prototypes", normalise=False),
    )


# higher-order compatibility


def compatibility_oracle(new, old, y, mu, denominator):
    values = []
    for i in range(len(y)):
        own = mu * cos(old[i], new[i])
        rest = sum(math.exp(mu * cos(old[i], new[j])) for j in range(len(y)) if y[j] != y[i])
        same = sum(int(other == y[i]) for other in y)
        values.append(-own + math.log((same if denominator == "released" else math.exp(own)) + rest))
    return np.mean(values)


@random_inputs
@given(seeds, st.integers(1, 8), st.integers(1, 6), st.floats(0.1, 15), st.sampled_from(["released", "infonce"]))
def test_higher_order_compatibility_is_its_closed_form(seed, b, d, mu, denominator):
    r = np.random.default_rng(seed)
    new, old, y = r.standard_normal((b, d)), r.standard_normal((b, d)), r.integers(0, 3, b)
    oracle = compatibility_oracle(new, old, y, mu, denominator)
    agree(lambda n, o, y: higher_order_compatibility(n, o, y, mu, denominator), oracle, new, old, y, atol=1e-9)


COMPATIBLE = (np.array([(1, 0.1), (0.2, 1), (0.9, 1), (-1, -0.2)]), np.array([(1.0, 0), (0, 1), (1, 1), (-1, 0)]))


def test_higher_order_compatibility_equals_the_published_numbers():
    new, old, y = t(COMPATIBLE[0]), t(COMPATIBLE[1]), torch.tensor([0, 1, 0, 2])
    assert higher_order_compatibility(new, old, y).item() == pytest.approx(-5.362520, abs=5e-7)
    infonce = higher_order_compatibility(new, old, y, denominator="infonce")
    assert infonce.item() == pytest.approx(0.065694, abs=5e-7)
    alone = higher_order_compatibility(new, old, torch.arange(4), denominator="infonce")  # all others are negatives
    assert alone.item() == pytest.approx(0.096404, abs=5e-7)


@pytest.mark.parametrize("denominator", ["released", "infonce"])
def test_higher_order_compatibility_moves_only_the_new_model_and_not_within_a_class(denominator):
    new, old = t(COMPATIBLE[0]), t(COMPATIBLE[1])
    higher_order_compatibility(new, old, torch.tensor([0, 1, 0, 2]), denominator=denominator).backward()
    assert old.grad is None
    assert (new.grad.norm(dim=1) > 0).all()
    # of one class alone: each sample sees nothing but its own old feature
    new, changed = t(COMPATIBLE[0]), t(np.vstack([COMPATIBLE[0][:1], -COMPATIBLE[0][1:]]))
    for leaf in (new, changed):
        higher_order_compatibility(leaf, old, torch.zeros(4, dtype=torch.int64), denominator=denominator).backward()
    assert torch.equal(new.grad[0], changed.grad[0])


@pytest.mark.parametrize(("denominator", "value"), [("released", -10.0), ("infonce", 0.0)])
def test_a_lone_sample_has_no_negatives_in_higher_order_compatibility(denominator, value):
    new = torch.tensor([[1.0, 2]], requires_grad=True)
    loss = higher_order_compatibility(new, torch.tensor([[2.0, 4]]), torch.tensor([5]), denominator=denominator)
    loss.backward()
    assert loss.item() == pytest.approx(value, abs=1e-5)
    assert new.grad.isfinite().all()


# feature distillation


@random_inputs
@given(seeds, sizes, st.integers(1, 6))
def test_feature_distillation_is_the_mean_of_one_minus_the_cosine(seed, b, d):
    r = np.random.default_rng(seed)
    new, old = r.standard_normal((b, d)), r.standard_normal((b, d))
    agree(feature_distillation, np.mean([1 - cos(n, o) for n, o in zip(new, old, strict=True)]), new, old)


def test_feature_distillation_equals_the_number_of_podnet_and_leaves_the_old_model_alone():
    r = np.random.default_rng(13)
    r.standard_normal((2, 2, 3, 4, 4))
    new, old = t(r.standard_normal((4, 6))), t(r.standard_normal((4, 6)))
    loss = feature_distillation(new, old)
    assert loss.item() == pytest.approx(1.24300664, abs=5e-9)
    loss.backward()
    assert old.grad is None
    assert (new.grad * new).sum(1).abs().max() < 1e-15  # a cosine does not see lengths


# all of them

GENERATOR = torch.Generator().manual_seed(0)
FOUR, OTHER, SIX, SEVEN = (torch.randn(n, 3, dtype=torch.float64, generator=GENERATOR) for n in (4, 4, 6, 7))
Y4, Y6 = torch.tensor([0, 2, 0, 1]), torch.tensor([0, 2, 0, 1, 5, 2])
OPEN, COUNTS = torch.tensor([True, True, True]), torch.tensor([3, 1, 4])
ALL = {
    "distillation": lambda x: distillation(x, OTHER),
    "masked_cross_entropy": lambda x: masked_cross_entropy(x, Y4, OPEN),
    "balanced_softmax": lambda x: balanced_softmax(x, Y4, COUNTS),
    "supervised_contrastive": lambda x: supervised_contrastive(x, Y4, 0.5),
    "prototype_alignment": lambda x: prototype_alignment(x, SEVEN, torch.tensor([0, 1, 2, 3, 0, 1, 2])),
    "relation features": lambda x: relation_distillation(x, SIX, OTHER, SEVEN[:6], 0.5),
    "relation prototypes": lambda x: relation_distillation(SIX, x, SEVEN[:6], OTHER, 0.5, "prototypes", "old_new"),
    "hoc released": lambda x: higher_order_compatibility(x, OTHER, Y4),
    "hoc infonce": lambda x: higher_order_compatibility(x, OTHER, Y4, denominator="infonce"),
    "feature_distillation": lambda x: feature_distillation(x, OTHER),
}


@pytest.mark.parametrize("name", ALL)
def test_gradients_are_the_differences_of_the_loss(name):
    assert torch.autograd.gradcheck(ALL[name], FOUR.clone().requires_grad_())


@pytest.mark.parametrize("scale", [1e-15, 1e4, 1e15])
@pytest.mark.parametrize("name", ALL)
def test_losses_and_gradients_of_float32_are_finite_at_any_scale(name, scale):
    x = (FOUR.float() * scale).requires_grad_()
    single = {k: v.float() for k, v in {"OTHER": OTHER, "SIX": SIX, "SEVEN": SEVEN}.items()}
    with pytest.MonkeyPatch.context() as patch:
        for constant, value in single.items():
            patch.setitem(globals(), constant, value)
        loss = ALL[name](x)
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    assert x.grad.isfinite().all()


NONE, NO_Y = torch.empty(0, 3, requires_grad=True), torch.empty(0, dtype=torch.int64)


@pytest.mark.parametrize(
    "loss",
    [
        lambda: distillation(NONE, NONE),
        lambda: distillation(torch.empty(4, 0, requires_grad=True), torch.empty(4, 0)),  # no old class yet
        lambda: masked_cross_entropy(NONE, NO_Y, OPEN),
        lambda: balanced_softmax(NONE, NO_Y, COUNTS),
        lambda: supervised_contrastive(NONE, NO_Y, 0.1),
        lambda: prototype_alignment(torch.eye(3, requires_grad=True), NONE, NO_Y),
        lambda: relation_distillation(NONE, torch.eye(3), NONE, torch.eye(3), 0.1, reduction="mean"),
        lambda: relation_distillation(torch.eye(3), NONE, torch.eye(3), NONE, 0.1, reduction="mean"),
        lambda: relation_distillation(torch.eye(3), NONE, torch.eye(3), NONE, 0.1, "prototypes", reduction="mean"),
        lambda: higher_order_compatibility(NONE, NONE, NO_Y),
        lambda: higher_order_compatibility(NONE, NONE, NO_Y, denominator="infonce"),
        lambda: feature_distillation(NONE, NONE),
    ],
)
def test_a_loss_over_nothing_is_0_and_can_be_differentiated(loss):
    value = loss()
    assert value == 0
    value.backward()


TWO, Y2, YES = torch.zeros(2, 3), torch.tensor([0, 1]), torch.tensor([True, True, False])


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda: distillation(TWO, TWO[:, :2]), r"new is \[2, 3\] and old is \[2, 2\]; allowed: the same \[B, C\]"),
        (lambda: distillation(TWO[0], TWO[0]), r"new is float32 \[3\]; allowed: floating point \[B, C\]"),
        (lambda: distillation(TWO, TWO, 0), "temperature is 0; allowed: above 0"),
        (lambda: masked_cross_entropy(TWO, Y2, Y2), r"allowed is int64 \[2\]; allowed: bool \[3\] or \[2, 3\]"),
        (lambda: masked_cross_entropy(TWO, Y2, YES[:2]), r"allowed is bool \[2\]; allowed: bool \[3\] or \[2, 3\]"),
        (lambda: masked_cross_entropy(TWO, Y2 + 1, YES), "the label 2; allowed: a class that is allowed"),
        (lambda: masked_cross_entropy(TWO, Y2 + 2, YES), "the label 3; allowed: 0 to 2"),
        (lambda: masked_cross_entropy(TWO, Y2 - 1, YES), "the label -1; allowed: 0 to 2"),
        (lambda: masked_cross_entropy(TWO, Y2[:1], YES), r"y is int64 \[1\]; allowed: int64 \[2\]"),
        (lambda: masked_cross_entropy(TWO, TWO, YES), r"y is float32 \[2, 3\]; allowed: int64 \[2\]"),
        (lambda: balanced_softmax(TWO, Y2, torch.ones(2)), r"counts is float32 \[2\]; allowed: \[3\], each 0 or more"),
        (lambda: balanced_softmax(TWO, Y2, -torch.ones(3)), r"counts .* each 0 or more"),
        (lambda: balanced_softmax(TWO, Y2, torch.tensor([1, 0, 1])), "the label 1; allowed: a class with a count"),
        (lambda: supervised_contrastive(TWO[None], Y2, 1), r"z is float32 \[1, 2, 3\]; allowed: floating .* \[N, D\]"),
        (lambda: supervised_contrastive(TWO, Y2.repeat(2), 1), r"y is int64 \[4\]; allowed: int64 \[2\]"),
        (lambda: supervised_contrastive(TWO, Y2, -1.0), "temperature is -1.0; allowed: above 0"),
        (lambda: prototype_alignment(TWO, TWO[:, :2], Y2), r"prototypes is \[2, 3\] and features is \[2, 2\]"),
        (lambda: prototype_alignment(TWO, TWO, Y2 + 1), "the label 2; allowed: 0 to 1"),
        (lambda: prototype_alignment(TWO, TWO, Y2 - 1), "the label -1; allowed: 0 to 1"),
        (lambda: prototype_alignment(TWO[:0], TWO, Y2), "the label 0; allowed: none"),
        (lambda: relation_distillation(TWO, TWO[:, :2], TWO, TWO, 1), "new_features .* the same number of columns"),
        (lambda: relation_distillation(TWO, TWO, TWO, TWO[:1], 1), r"new has \(2, 2\) .* old \(2, 1\); allowed"),
        (lambda: relation_distillation(TWO, TWO, TWO, TWO, 0), "temperature is 0"),
        (lambda: relation_distillation(TWO, TWO, TWO, TWO, 1, "batch"), "axis is 'batch'; allowed: 'samples' or"),
        (lambda: relation_distillation(TWO, TWO, TWO, TWO, 1, direction="kl"), "direction is 'kl'; allowed: 'new_old'"),
        (lambda: relation_distillation(TWO, TWO, TWO, TWO, 1, reduction="none"), "reduction is 'none'; allowed: 'sum'"),
        (lambda: relation_distillation(TWO, TWO, TWO, TWO, 1, groups=Y2), "groups are of prototypes, and the softmax"),
        (lambda: relation_distillation(TWO, TWO, TWO, TWO, 1, "prototypes", groups=Y2[:1]), r"groups is int64 \[1\]"),
        (lambda: supervised_contrastive(TWO, Y2, 1, Y2), r"anchors is int64 \[2\]; allowed: bool \[2\], or None"),
        (lambda: higher_order_compatibility(TWO, TWO[:, :2], Y2), r"new is \[2, 3\] and old is \[2, 2\]"),
        (lambda: higher_order_compatibility(TWO, TWO, Y2, 0), "inverse_temperature is 0"),
        (lambda: higher_order_compatibility(TWO, TWO, Y2, denominator="x"), "denominator is 'x'; allowed: 'released'"),
        (lambda: feature_distillation(TWO, TWO[:1]), r"new is \[2, 3\] and old is \[1, 3\]; allowed: the same \[B, D\]"),
        (lambda: feature_distillation(TWO.long(), TWO.long()), r"new is int64 \[2, 3\]; allowed: floating point"),
    ],
)  # fmt: skip
def test_what_a_loss_cannot_take_is_one_clear_line(loss, message):
    with pytest.raises(ValueError, match=message) as caught:
        loss()
    assert "\n" not in str(caught.value)
