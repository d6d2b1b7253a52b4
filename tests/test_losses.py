"""Losses against independent float64 NumPy, published numbers, and what is known of their gradients."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cl_engine.losses import (
    asymmetric_contrastive,
    balanced_distillation,
    balanced_softmax,
    class_separation,
    distillation,
    effective_number_weights,
    feature_distillation,
    higher_order_compatibility,
    logit_matching,
    masked_cross_entropy,
    pod,
    prototype_alignment,
    proxy_nca,
    quadratic_penalty,
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


# logit matching


def dark():
    r = np.random.default_rng(8)
    return t(r.standard_normal((4, 10))), t(r.standard_normal((4, 10)))


def test_logit_matching_equals_the_numbers_of_dark_experience_replay():
    new, stored = dark()
    loss = logit_matching(new, stored, torch.full((4,), 10))
    assert loss.item() == pytest.approx(2.20359991, abs=5e-9)  # squared L2 norms: ten times as much
    assert logit_matching(new, stored, torch.full((4,), 4)).item() == pytest.approx(2.62956829, abs=5e-9)
    loss.backward()
    np.testing.assert_allclose(new.grad, (2 * (new - stored) / 40).detach(), rtol=1e-12)
    assert stored.grad is None


def test_logit_matching_is_over_what_each_sample_was_stored_with_and_no_more():
    new, stored = dark()
    width = torch.tensor([1, 10, 4, 7], dtype=torch.int32)
    rows = zip(new.tolist(), stored.tolist(), width.tolist(), strict=True)
    oracle = np.mean([np.mean([(a - b) ** 2 for a, b in zip(n[:w], s[:w], strict=True)]) for n, s, w in rows])
    beyond = torch.arange(10) >= width[:, None]
    loss = logit_matching(new, stored.detach().masked_fill(beyond, torch.nan), width)
    assert loss.item() == pytest.approx(oracle, rel=1e-12)
    loss.backward()
    assert (new.grad[beyond] == 0).all()
    assert (new.grad[~beyond] != 0).all()


# quadratic penalty


def test_the_quadratic_penalty_is_a_weighted_sum_of_squares_and_what_has_grown_is_free():
    r = np.random.default_rng(1)
    weights = [t(r.standard_normal((4, 5))), t(r.standard_normal(3))]
    anchors, importances = ([t(r.random((2, 5))), t(r.random(3))] for _ in range(2))
    away = [w.detach().numpy()[tuple(map(slice, a.shape))] - a.detach().numpy()
            for w, a in zip(weights, anchors, strict=True)]  # fmt: skip
    by = [i.detach().numpy() for i in importances]
    loss = quadratic_penalty(weights, anchors, importances)
    assert loss.item() == pytest.approx(sum((i * d**2).sum() for i, d in zip(by, away, strict=True)), rel=1e-12)
    loss.backward()
    np.testing.assert_allclose(weights[0].grad[:2], 2 * by[0] * away[0], rtol=1e-12)
    np.testing.assert_allclose(weights[1].grad, 2 * by[1] * away[1], rtol=1e-12)
    assert (weights[0].grad[2:] == 0).all()
    assert all(constant.grad is None for constant in (*anchors, *importances))


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


# asymmetric contrastive


def metric_learning():
    r = np.random.default_rng(7)
    h, pos, neg = (r.standard_normal((3, 4)) for _ in range(3))
    return t(h), torch.tensor([3, 3, 4]), t(np.concatenate([pos, neg])), torch.tensor([3, 3, 4, 4, 4, 3])


@pytest.mark.parametrize(("temperature", "number"), [(0.1, 11.15404545), (0.2, 12.17373486)])
def test_asymmetric_contrastive_equals_the_numbers_of_er_aml(temperature, number):
    z, y, candidates, labels = metric_learning()  # the softmax along the other axis: 12.00668661 at T = 0.1
    loss = temperature / 0.07 * asymmetric_contrastive(z, y, candidates, labels, temperature)
    assert loss.item() == pytest.approx(number, abs=5e-9)


@pytest.mark.parametrize("temperature", [0.1, 0.2, 1.0])
def test_the_gradient_of_asymmetric_contrastive_is_that_of_its_definition_for_anchors_and_candidates(temperature):
    z, y, candidates, labels = metric_learning()
    a, c = (x.detach() / x.detach().norm(dim=1, keepdim=True) for x in (z, candidates))
    positive = (y[:, None] == labels).double()
    by_similarity = ((a @ c.T / temperature).exp() / (a @ c.T / temperature).exp().sum(1, keepdim=True)
                     - positive / positive.sum(1, keepdim=True)) / (temperature * len(z))  # fmt: skip

    def through_length(gradient, unit, x):
        return (gradient - (gradient * unit).sum(1, keepdim=True) * unit) / x.norm(dim=1, keepdim=True)

    asymmetric_contrastive(z, y, candidates, labels, temperature).backward()
    torch.testing.assert_close(z.grad, through_length(by_similarity @ c, a, z.detach()))
    torch.testing.assert_close(candidates.grad, through_length(by_similarity.T @ a, c, candidates.detach()))


def test_an_anchor_without_a_candidate_of_its_class_is_left_out_of_the_mean():
    z, y, candidates, labels = metric_learning()
    more, seven = torch.cat([z, z[:1]]), torch.cat([y, torch.tensor([7])])
    expected = asymmetric_contrastive(z, y, candidates, labels, 0.2)
    torch.testing.assert_close(asymmetric_contrastive(more, seven, candidates, labels, 0.2), expected)
    assert asymmetric_contrastive(z, y + 10, candidates, labels, 0.2) == 0


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


# balanced distillation, and weights by the effective number of samples


@random_inputs
@given(seeds, sizes, st.integers(1, 9), temperatures)
def test_balanced_distillation_tells_more_of_classes_that_weigh_more(seed, b, c, temperature):
    r = np.random.default_rng(seed)
    new, old, w = 2 * r.standard_normal((b, c)), 2 * r.standard_normal((b, c)), r.uniform(0.1, 3, c)
    q = [softmax(o / temperature) * w for o in old]
    oracle = np.mean([-(p / p.sum() * np.log(softmax(n / temperature))).sum() for p, n in zip(q, new, strict=True)])
    agree(lambda n, o: balanced_distillation(n, o, torch.tensor(w), temperature), oracle, new, old)


def test_balanced_distillation_with_weights_by_effective_numbers_equals_the_numbers_of_foster():
    counts = torch.tensor([20, 20, 20, 20, 500, 500])
    for beta, rare, frequent in ((0.97, 1.22139604, 0.55720792), (0.96, 1.17279236, 0.65441528)):
        weights = effective_number_weights(counts, beta)
        np.testing.assert_allclose(weights, [rare] * 4 + [frequent] * 2, atol=5e-9)
    r = np.random.default_rng(14)
    z, _, _, student = (t(r.standard_normal(shape)) for shape in [(4, 6), (4, 6), (4, 4), (4, 6)])
    loss = balanced_distillation(student, z, effective_number_weights(counts, 0.97))
    assert loss.item() == pytest.approx(1.91589164, abs=5e-9)
    loss.backward()
    assert z.grad is None


def test_effective_numbers_are_counts_while_they_are_small_and_a_class_never_counted_is_one_sample():
    small = effective_number_weights(torch.tensor([0, 1, 2, 4]), 1 - 1e-9)
    np.testing.assert_allclose(small / small[0], [1, 1, 1 / 2, 1 / 4], rtol=1e-6)
    assert torch.equal(effective_number_weights(torch.tensor([3, 70]), 0), torch.ones(2, dtype=torch.float64))
    assert effective_number_weights(torch.tensor([10**9, 5]), 0.9).isfinite().all()


# pooled outputs


def pod_oracle(a, b):
    """Mean over samples of the L2 distance of the pooled squares of maps [B, C, H, W]."""
    distances = []
    for x, z in zip(a, b, strict=True):
        lines = [np.concatenate([(m**2).sum(2).ravel(), (m**2).sum(1).ravel()]) for m in (x, z)]
        distances.append(np.linalg.norm(lines[0] / np.linalg.norm(lines[0]) - lines[1] / np.linalg.norm(lines[1])))
    return np.mean(distances)


@random_inputs
@given(seeds, sizes, st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))
def test_pod_is_the_distance_of_pooled_squares_in_the_mean_over_samples_and_maps(seed, b, c, h, w):
    r = np.random.default_rng(seed)
    (a, z), (f, g) = r.standard_normal((2, b, c, h, w)), r.standard_normal((2, b, c))
    oracle = (pod_oracle(a, z) + pod_oracle(f[:, :, None, None], g[:, :, None, None])) / 2
    agree(lambda a, f, z, g: pod([a, f], [z, g]), oracle, a, f, z, g)


def test_pod_equals_the_published_number_and_leaves_the_old_model_alone():
    r = np.random.default_rng(13)
    new, old = t(r.standard_normal((2, 3, 4, 4))), t(r.standard_normal((2, 3, 4, 4)))
    loss = pod([new], [old])
    assert loss.item() == pytest.approx(0.77048351, abs=5e-9)
    loss.backward()
    assert old.grad is None
    assert (new.grad * new).flatten(1).sum(1).abs().max() < 1e-15  # a map's length is divided out
    same = old.detach().clone().requires_grad_()
    pod([same], [old]).backward()
    assert same.grad.isfinite().all()


# the loss of PODNet's classifier


def nca_rows(scores, y, margin):
    return [math.log(np.exp(np.delete(s, c)).sum()) - s[c] + margin for s, c in zip(scores, y, strict=True)]


@random_inputs
@given(seeds, sizes, st.integers(2, 6), st.floats(0, 2))
def test_the_loss_of_proxies_is_by_how_much_the_margin_is_missed_or_in_the_released_code_another(
    seed, b, c, margin
):
    r = np.random.default_rng(seed)
    scores, y = 3 * r.standard_normal((b, c)), r.integers(0, c, b)
    paper = np.mean([max(0, value) for value in nca_rows(scores, y, margin)])
    agree(lambda s: proxy_nca(s, torch.tensor(y), margin), paper, scores)
    shifted = [s - s.max() for s in scores]
    released = np.mean(
        [math.log(np.exp(np.delete(s, k)).sum() + 1) - s[k] for s, k in zip(shifted, y, strict=True)]
    )
    agree(lambda s: proxy_nca(s, torch.tensor(y), margin, "released"), released, scores)


def test_the_loss_of_proxies_equals_the_published_numbers_and_the_margin_of_the_released_code_has_no_effect():
    r = np.random.default_rng(13)
    r.standard_normal((2, 2, 3, 4, 4))
    r.standard_normal((2, 4, 6))
    scores, y = t(r.uniform(-1, 1, (4, 5))), torch.tensor(r.integers(0, 5, 4))
    assert proxy_nca(scores, y, 0.6).item() == pytest.approx(2.09480841, abs=5e-9)
    assert proxy_nca(scores, y, 0.0).item() == pytest.approx(1.49480841, abs=5e-9)
    for margin in (0.0, 0.6):
        assert proxy_nca(scores, y, margin, "released").item() == pytest.approx(1.91572321, abs=5e-9)


def test_where_the_class_wins_the_released_loss_is_the_cross_entropy_and_the_papers_is_0_beyond_the_margin():
    scores, y = t(np.array([[5.0, 1, 0], [0, 1, 4]])), torch.tensor([0, 2])
    released = proxy_nca(scores, y, form="released")
    torch.testing.assert_close(released, torch.nn.functional.cross_entropy(scores, y))
    proxy_nca(scores, y, 0.5).backward()
    assert scores.grad.abs().sum() == 0


# held apart by a margin


@random_inputs
@given(seeds, sizes, sizes, st.integers(1, 8), st.floats(0, 2))
def test_class_separation_is_torchs_margin_ranking_loss_of_old_samples_and_their_best_new_classes(
    seed, old, new, hardest, margin
):
    r = np.random.default_rng(seed)
    scores, y = r.uniform(-1, 1, (9, old + new)), r.integers(0, old + new, 9)
    y[0] = 0
    pairs = [(row[c], s) for row, c in zip(scores, y, strict=True) if c < old for s in sorted(row[old:])[-hardest:]]
    own, rivals = torch.tensor(pairs, dtype=torch.float64).T
    oracle = torch.nn.functional.margin_ranking_loss(own, rivals, torch.ones_like(own), margin=margin).item()
    agree(lambda s: class_separation(s, torch.tensor(y), old, margin, hardest), oracle, scores)


@pytest.mark.parametrize("old", [0, 3])
def test_while_all_classes_are_old_or_new_nothing_is_to_be_held_apart(old):
    scores = torch.ones(2, 3, requires_grad=True)
    loss = class_separation(scores, torch.tensor([0, 1]), old, 0.5, 2)
    assert loss == 0
    loss.backward()
    assert scores.grad.abs().sum() == 0


def test_new_samples_move_no_score_that_is_to_be_held_apart():
    scores = torch.zeros(3, 4, requires_grad=True)
    class_separation(scores, torch.tensor([3, 0, 2]), 2, 0.5, 2).backward()
    assert scores.grad.tolist() == [[0, 0, 0, 0], [-1, 0, 0.5, 0.5], [0, 0, 0, 0]]


# all of them

GENERATOR = torch.Generator().manual_seed(0)
FOUR, OTHER, SIX, SEVEN = (torch.randn(n, 3, dtype=torch.float64, generator=GENERATOR) for n in (4, 4, 6, 7))
Y4, Y6 = torch.tensor([0, 2, 0, 1]), torch.tensor([0, 2, 0, 1, 5, 2])
OPEN, COUNTS = torch.tensor([True, True, True]), torch.tensor([3, 1, 4])
ALL = {
    "distillation": lambda x: distillation(x, OTHER),
    "masked_cross_entropy": lambda x: masked_cross_entropy(x, Y4, OPEN),
    "logit_matching": lambda x: logit_matching(x, OTHER, torch.tensor([1, 3, 2, 3])),
    "quadratic_penalty": lambda x: quadratic_penalty([x], [OTHER[:2]], [FOUR[:2].abs().to(OTHER)]),
    "asymmetric_contrastive": lambda x: asymmetric_contrastive(x, Y4, SIX, Y6, 0.5),
    "asymmetric candidates": lambda x: asymmetric_contrastive(SIX, Y6, x, Y4, 0.5),
    "balanced_softmax": lambda x: balanced_softmax(x, Y4, COUNTS),
    "supervised_contrastive": lambda x: supervised_contrastive(x, Y4, 0.5),
    "prototype_alignment": lambda x: prototype_alignment(x, SEVEN, torch.tensor([0, 1, 2, 3, 0, 1, 2])),
    "relation features": lambda x: relation_distillation(x, SIX, OTHER, SEVEN[:6], 0.5),
    "relation prototypes": lambda x: relation_distillation(SIX, x, SEVEN[:6], OTHER, 0.5, "prototypes", "old_new"),
    "hoc released": lambda x: higher_order_compatibility(x, OTHER, Y4),
    "hoc infonce": lambda x: higher_order_compatibility(x, OTHER, Y4, denominator="infonce"),
    "feature_distillation": lambda x: feature_distillation(x, OTHER),
    "balanced_distillation": lambda x: balanced_distillation(x, OTHER, COUNTS),
    "pod vectors": lambda x: pod([x], [OTHER]),
    "pod maps": lambda x: pod([x.reshape(1, 2, 2, 3), x], [OTHER.reshape(1, 2, 2, 3), OTHER]),
    "class_separation": lambda x: class_separation(x, Y4, 1, 0.5, 2),
    "proxy_nca paper": lambda x: proxy_nca(x, Y4, 0.6),
    "proxy_nca released": lambda x: proxy_nca(x, Y4, form="released"),
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
        lambda: logit_matching(NONE, NONE, NO_Y),
        lambda: supervised_contrastive(NONE, NO_Y, 0.1),
        lambda: asymmetric_contrastive(NONE, NO_Y, torch.eye(3), torch.arange(3), 0.1),
        lambda: asymmetric_contrastive(torch.eye(3, requires_grad=True), torch.arange(3), NONE, NO_Y, 0.1),
        lambda: prototype_alignment(torch.eye(3, requires_grad=True), NONE, NO_Y),
        lambda: relation_distillation(NONE, torch.eye(3), NONE, torch.eye(3), 0.1, reduction="mean"),
        lambda: relation_distillation(torch.eye(3), NONE, torch.eye(3), NONE, 0.1, reduction="mean"),
        lambda: relation_distillation(torch.eye(3), NONE, torch.eye(3), NONE, 0.1, "prototypes", reduction="mean"),
        lambda: higher_order_compatibility(NONE, NONE, NO_Y),
        lambda: higher_order_compatibility(NONE, NONE, NO_Y, denominator="infonce"),
        lambda: feature_distillation(NONE, NONE),
        lambda: balanced_distillation(NONE, NONE, COUNTS),
        lambda: pod([NONE], [NONE]),
        lambda: class_separation(NONE, NO_Y, 1, 0.5, 2),
        lambda: proxy_nca(NONE, NO_Y),
        lambda: proxy_nca(NONE, NO_Y, form="released"),
        lambda: proxy_nca(torch.ones(2, 1, requires_grad=True), torch.tensor([0, 0])),  # a lone class
        lambda: proxy_nca(torch.ones(2, 1, requires_grad=True), torch.tensor([0, 0]), form="released"),
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
        (lambda: logit_matching(TWO, TWO, Y2), r"width is int64 \[2\]; allowed: \[2\], each 1 to 3"),
        (lambda: logit_matching(TWO, TWO, Y2 + 3), r"width is .* each 1 to 3"),
        (lambda: logit_matching(TWO, TWO, Y2[:1] + 1), r"width is int64 \[1\]"),
        (lambda: quadratic_penalty([TWO], [TWO], [TWO[:1]]), r"importance is \[1, 3\] and its anchor \[2, 3\]"),
        (lambda: asymmetric_contrastive(TWO, Y2, TWO[:, :2], Y2, 1), "z is .* the same number of columns"),
        (lambda: asymmetric_contrastive(TWO, Y2, TWO, Y2[:1], 1), r"y is int64 \[1\]; allowed: int64 \[2\]"),
        (lambda: asymmetric_contrastive(TWO, Y2, TWO, Y2, 0), "temperature is 0; allowed: above 0"),
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
        (lambda: balanced_distillation(TWO, TWO, torch.ones(2)), r"weights is float32 \[2\]; allowed: \[3\]"),
        (lambda: balanced_distillation(TWO, TWO, torch.zeros(3)), "weights .* each above 0"),
        (lambda: effective_number_weights(-torch.ones(3), 0.9), r"counts is float32 \[3\]; allowed: \[C\], each 0 or"),
        (lambda: effective_number_weights(torch.ones(3), 1), "beta is 1; allowed: 0 <= beta < 1"),
        (lambda: pod([TWO], [TWO[:, :2]]), r"new is \[\[2, 3\]\] and old is \[\[2, 2\]\]; allowed: the same"),
        (lambda: pod([TWO], []), r"new is \[\[2, 3\]\] and old is \[\]; allowed: the same"),
        (lambda: pod([TWO[0]], [TWO[0]]), r"allowed: the same, \[B, C, H, W\] or \[B, D\]"),
        (lambda: proxy_nca(TWO, Y2 + 2), "the label 3; allowed: 0 to 2"),
        (lambda: proxy_nca(TWO, Y2, form="code"), "form is 'code'; allowed: 'paper' or 'released'"),
        (lambda: feature_distillation(TWO, TWO[:1]), r"new is \[2, 3\] and old is \[1, 3\]; allowed: the same \[B, D\]"),
        (lambda: feature_distillation(TWO.long(), TWO.long()), r"new is int64 \[2, 3\]; allowed: floating point"),
    ],
)  # fmt: skip
def test_what_a_loss_cannot_take_is_one_clear_line(loss, message):
    with pytest.raises(ValueError, match=message) as caught:
        loss()
    assert "\n" not in str(caught.value)
