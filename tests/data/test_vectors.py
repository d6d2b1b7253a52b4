"""The fixed split and standardisation of feature vectors."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from cl_engine.data.samples import DataError, Samples
from cl_engine.data.vectors import split, standardised


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 2)), min_size=1, max_size=60),
    st.floats(0.01, 0.99),
    st.integers(0, 99),
)
def test_a_split_takes_the_same_share_of_every_class_in_every_domain(facts, share, seed):
    y, domain = torch.tensor(facts).T
    number = torch.arange(len(y), dtype=torch.float32)[:, None]
    samples = Samples(number, y, {"domain": domain})
    if len({*facts}) == len(facts):
        with pytest.raises(DataError, match="no class has two samples"):
            split(samples, share, seed)
        return
    train, test = split(samples, share, seed)
    assert sorted([*train.x.flatten().tolist(), *test.x.flatten().tolist()]) == list(range(len(y)))
    for fact in {*facts}:
        size = facts.count(fact)
        tested = sum(
            fact == (label, where)
            for label, where in zip(test.y.tolist(), test.columns["domain"].tolist(), strict=True)
        )
        assert abs(tested - share * size) <= max(0.5, 1 - share * size, share * size - size + 1)
        assert tested < size
        assert tested or size == 1


def test_a_split_is_fixed_by_its_seed():
    samples = Samples(torch.arange(100.0)[:, None], torch.arange(100) % 3)
    one, again, other = (split(samples, 0.3, seed)[1].x.flatten().tolist() for seed in (1, 1, 2))
    assert one == again != other
    assert one == sorted(one)


def test_standardisation_is_scikit_learns_and_leaves_a_constant_at_zero(monkeypatch):
    monkeypatch.setattr("cl_engine.data.vectors.ROWS", 7)
    rng = np.random.default_rng(0)
    train, test = (rng.normal(5, 3, (n, 4)).astype("f4") * [1, 1e4, 1e-4, 1] for n in (20, 9))
    train[:, 3], test[:, 3] = 0.1, 7
    parts = [
        Samples(torch.from_numpy(x.astype("f4")), torch.zeros(len(x), dtype=torch.int64)) for x in (train, test)
    ]
    found = standardised(*parts)
    scaler = StandardScaler().fit(parts[0].x.double().numpy())
    for part, ours in zip(parts, found, strict=True):
        expected = scaler.transform(part.x.double().numpy())
        assert ours.x.numpy()[:, :3] == pytest.approx(expected[:, :3], abs=1e-5)
        assert not ours.x[:, 3].any()
        assert ours.x.dtype == torch.float32
