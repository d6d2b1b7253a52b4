"""Stored samples are samples: what is read of them is what samples in memory hold, and nothing else is read."""

import numpy as np
import pytest
import torch

from cl_engine.data.normalisation import normalisation
from cl_engine.data.samples import DataSet, Samples
from cl_engine.data.stored import Held, StoredSamples

X = torch.randint(0, 256, (50, 3, 4, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
Y = torch.arange(50) % 7


class Watched(Held):
    """Rows that remember which of them were read."""

    def __init__(self, tensor):
        super().__init__(tensor)
        self.seen = []

    def read(self, index):
        self.seen += index.tolist()
        return super().read(index)


@pytest.fixture
def pair():
    rows = Watched(X.clone())
    columns = {"mark": torch.arange(50.0)}
    return StoredSamples(rows, Y, columns), Samples(X.clone(), Y, columns), rows


def same(stored, held):
    assert torch.equal(stored.x, held.x)
    assert torch.equal(stored.y, held.y)
    assert stored.columns.keys() == held.columns.keys()
    assert all(torch.equal(stored.columns[name], held.columns[name]) for name in held.columns)
    return True


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s[torch.tensor([9, 3, 3])],
        lambda s: s[Y > 3],
        lambda s: s[5:30][torch.tensor([1, 0])][1:],
        lambda s: s.with_columns(more=torch.ones(50, 2))[::3],
        lambda s: s.labelled(Y.flip(0))[4:],
        lambda s: s.changed(lambda x: 255 - x)[10:20],
        lambda s: s[:4] + s[30:33].with_columns(new=torch.ones(3)),
        lambda s: (s[:4] + Samples(X[:2], Y[:2]))[torch.tensor([5, 0, 4])],
        lambda s: s.repeated(2),
        lambda s: s[:0],
        lambda s: s.clone(),
        lambda s: s.to(torch.device("cpu")),
    ],
)
def test_what_comes_of_them_is_what_comes_of_samples_in_memory(pair, change):
    stored, held, _ = pair
    assert same(change(stored), change(held))


def test_an_index_reads_nothing_and_a_batch_reads_its_own_rows(pair):
    stored, _, rows = pair
    chosen = stored[10:40][torch.tensor([3, 1])].with_columns(a=torch.zeros(2)).labelled(Y[:2]) + Samples(
        X[:1], Y[:1]
    )
    assert (len(chosen), chosen.inputs.shape, repr(chosen)) == (
        3,
        (3, 3, 4, 5),
        "<3 stored samples of torch.uint8 [3, 4, 5]>",
    )
    assert DataSet(stored, stored).labels().shape == (3, 4, 5)
    assert rows.seen == []
    assert [len(batch) for batch in chosen.batches(2)] == [2, 1]
    assert rows.seen == [13, 11]


def test_batches_are_those_of_samples_in_memory(pair):
    stored, held, _ = pair
    for generators in ((None, None), [torch.Generator().manual_seed(3) for _ in range(2)]):
        pairs = list(zip(stored.batches(8, generators[0]), held.batches(8, generators[1]), strict=True))
        assert len(pairs) == 7
        assert all(same(a, b) for a, b in pairs)


def test_few_batches_are_read_ahead(pair):
    stored, _, rows = pair
    batches = stored.batches(5)
    next(batches)
    assert len(rows.seen) <= 15
    batches.close()


def test_what_is_done_to_what_was_read_changes_nothing_that_is_stored(pair):
    stored, _, rows = pair
    next(stored.batches(50)).x.zero_()
    stored[:].x.zero_()
    stored.clone().x.zero_()
    stored.rows(slice(9)).zero_()
    assert torch.equal(rows.tensor, X)
    stored.x.zero_()  # but these samples have what was done to their own tensor from now on, as samples in memory do
    assert next(stored.batches(50)).x.max() == 0
    assert stored[3:].x.max() == 0
    assert torch.equal(rows.tensor, X)


def test_normalisation_and_identity_do_not_depend_on_where_samples_stand(pair):
    stored, held, _ = pair
    assert normalisation(stored) == normalisation(held)
    stored, held = (type(s)(*args) for s, args in ((stored, (stored.stored, Y)), (held, (X, Y))))
    assert DataSet(stored, stored).identity() == DataSet(held, held).identity()


def test_a_column_of_another_length_is_refused(pair):
    with pytest.raises(ValueError, match="'a' has 3 rows beside 50 samples"):
        pair[0].with_columns(a=torch.zeros(3))


def test_a_function_of_all_rows_is_computed_in_blocks(pair, monkeypatch):
    stored, held, _ = pair
    monkeypatch.setattr("cl_engine.data.stored.BLOCK", 16)
    sizes = []

    def features(x):
        sizes.append(len(x))
        return x.flatten(1).float().mean(1, keepdim=True)

    assert torch.equal(stored.through(features), held.through(features))
    assert sizes == [16, 16, 16, 2, 50]
    assert np.array_equal(stored.histogram(), held.histogram())
