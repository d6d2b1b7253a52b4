"""Sums over shards in files equal those over all samples at once; tests/test_several_machines.py: on a cluster too."""

import re
import sys

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from cl_engine.errors import InputError
from cl_engine.statistics.sufficient import Shard, sum_over
from cl_engine.statistics.sufficient import sharded as module

CLASSES, WIDTH = 4, 7


def samples(rows=900, seed=0):
    random = np.random.RandomState(seed)
    return random.normal(size=(rows, WIDTH)).astype("f4"), random.randint(0, CLASSES, rows)


def written(folder, x, y, sizes):
    """Write samples as shards of some sizes."""
    shards, start = [], 0
    for number, size in enumerate(sizes):
        shard = Shard(folder / f"x{number}.npy", folder / f"y{number}.npy")
        np.save(shard.features, x[start : start + size])
        np.save(shard.labels, y[start : start + size])
        shards.append(shard)
        start += size
    assert start == len(x)
    return shards


@pytest.mark.parametrize("rows", [4096, 64])
@pytest.mark.parametrize("sizes", [[900], [1, 400, 499], [300, 0, 600]])
def test_the_weights_are_scikit_learns_of_all_samples(sizes, rows, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ROWS", rows)
    x, y = samples()
    sums = sum_over(iter(written(tmp_path, x, y, sizes)), WIDTH, CLASSES)
    expected = Ridge(alpha=0.1, fit_intercept=False).fit(x.astype(float), np.eye(CLASSES)[y]).coef_.T
    found = sums.weights(0.1).weights.numpy()
    assert np.linalg.norm(found - expected) < 1e-9 * np.linalg.norm(expected)
    assert sums.counts.tolist() == np.bincount(y, minlength=CLASSES).tolist()


def test_features_are_expanded_as_they_are_read(tmp_path):
    x, y = samples()
    sums = sum_over(written(tmp_path, x, y, [450, 450]), 2 * WIDTH, CLASSES, expand=both_signs)
    phi = np.hstack([x, -x]).clip(min=0).astype(float)
    expected = Ridge(alpha=0.1, fit_intercept=False).fit(phi, np.eye(CLASSES)[y]).coef_.T
    assert np.linalg.norm(sums.weights(0.1).weights.numpy() - expected) < 1e-9 * np.linalg.norm(expected)


def both_signs(x):
    return torch.cat([x, -x], dim=1).relu()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda x, y: (x, y[1:]), "899 labels beside 900 rows"),
        (lambda x, y: (x[:, 1:], y), "6 features, .*allowed: 7 features, classes 0 to 3"),
        (lambda x, y: (x, y + 1), "classes 1 to 4; allowed: 7 features, classes 0 to 3"),
        (lambda x, y: (x, y.astype(float)), "holds no numbers with 1 axes"),
        (lambda x, y: (x.astype(object), y), "cannot be read: it is no .npy file"),
    ],
)
def test_files_that_do_not_fit_are_told_in_one_line(change, told, tmp_path):
    x, y = change(*samples())
    shard = Shard(tmp_path / "x.npy", tmp_path / "y.npy")
    np.save(shard.features, x)
    np.save(shard.labels, y)
    with pytest.raises(InputError, match=told) as error:
        sum_over([shard], WIDTH, CLASSES)
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match=re.escape(f"{tmp_path / 'none.npy'}: cannot be read: No such file")):
        sum_over([Shard(tmp_path / "none.npy", shard.labels)], WIDTH, CLASSES)


def test_without_ray_there_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match="Ray is not installed; install it with"):
        sum_over(written(tmp_path, *samples(), [900]), WIDTH, CLASSES, ray=True)
