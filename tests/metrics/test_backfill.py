"""A gallery on its way from old vectors to new ones: the published curves, step by step."""

import numpy as np
import pytest
import torch

from cl_engine.errors import InputError
from cl_engine.metrics import area_under_backfill, backfill_curve, mean_average_precision, recall_at_k


def case():
    r = np.random.default_rng(7)
    labels = np.arange(12) % 3
    mu = 2 * r.standard_normal((3, 4))
    new = mu[labels] + r.standard_normal((12, 4))
    spread = r.uniform(0.2, 3, 12)
    old = new + spread[:, None] * r.standard_normal((12, 4))
    apart = ((new - old) ** 2).sum(1)
    orders = {
        "index": np.arange(12),
        "distance": np.argsort(-apart, kind="stable"),
        "uncertainty": np.argsort(-spread, kind="stable"),
        "nearest": np.argsort(apart, kind="stable"),
    }
    return labels, old, new, orders


PUBLISHED = {
    "index": ([0.7253367, 0.82302189, 0.83089226, 0.88204666, 0.8926918], 0.83079786, 0.83624376, 0.83333333),
    "distance": ([0.7253367, 0.80102513, 0.88759921, 0.89222884, 0.8926918], 0.83977633, 0.84746686, 0.76666667),
    "uncertainty": ([0.7253367, 0.80102513, 0.88759921, 0.89963624, 0.8926918], 0.84125782, 0.84931871, 0.78333333),
    "nearest": ([0.7253367, 0.73505892, 0.73829966, 0.83089226, 0.8926918], 0.78445587, 0.77831627, 0.75),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_curves_are_the_published_ones_and_need_not_rise(name):
    labels, old, new, orders = case()
    itself = torch.arange(12)

    def precision(gallery):
        return mean_average_precision(new, gallery, labels, labels, "euclidean", itself)

    def first(gallery):
        return recall_at_k(new, gallery, labels, labels, (1,), "euclidean", itself)[1]

    curve, mean, trapezoid, top = PUBLISHED[name]
    found = backfill_curve(old, new, orders[name], precision)
    assert found == pytest.approx(curve, abs=5e-9)
    assert area_under_backfill(found) == pytest.approx({"mean": mean, "trapezoid": trapezoid}, abs=5e-9)
    assert area_under_backfill(backfill_curve(old, new, orders[name], first))["mean"] == pytest.approx(
        top, abs=5e-9
    )


@pytest.mark.parametrize(
    ("order", "steps", "message"),
    [([0, 0, 1], 2, "order is no permutation of 0 to 2"), ([0, 1, 2], 0, "steps 0; allowed: the same shape, 1 or")],
)
def test_an_order_that_is_none_is_refused(order, steps, message):
    with pytest.raises(InputError, match=message):
        backfill_curve(np.zeros((3, 2)), np.ones((3, 2)), order, lambda gallery: 0.0, steps)
