"""The ledger lists what is held, and nothing can be held beside it."""

import pytest
import torch
from torch import nn

from cl_engine.memory.held import Held
from cl_engine.memory.ledger import MemoryContractError, held_bytes, ledger, table


class Part(Held):
    def __init__(self):
        super().__init__()
        self.layer = nn.BatchNorm1d(4)
        self.hold("kept", torch.zeros(3, 2, dtype=torch.uint8), kind="exemplars")
        self.regenerable("drawn", torch.zeros(100))


class Whole(Held):
    def __init__(self):
        super().__init__()
        self.part = Part()
        self.tied = self.part


def test_kinds_names_and_bytes():
    entries = {e.name: (e.kind, e.bytes) for e in ledger(Part())}
    assert entries == {
        "layer.weight": ("parameters", 16),
        "layer.bias": ("parameters", 16),
        "layer.running_mean": ("buffers", 16),
        "layer.running_var": ("buffers", 16),
        "layer.num_batches_tracked": ("buffers", 8),
        "kept": ("exemplars", 6),
        "drawn": ("regenerable", 0),
    }


def test_a_module_under_two_names_is_charged_as_it_is_saved():
    whole = Whole()
    saved = sum(t.numel() * t.element_size() for t in whole.state_dict().values())
    assert held_bytes(ledger(whole)) == saved == 2 * held_bytes(ledger(Part()))


def test_policies():
    assert held_bytes(ledger(Part()), "paper") == 16 + 16 + 6


def test_a_view_is_charged_and_survives_as_what_it_shows():
    part = Part()
    part.hold("kept", torch.zeros(1000, 1000)[:2, :3], kind="exemplars")
    assert {e.name: e.bytes for e in ledger(part)}["kept"] == 24


def test_held_tensors_may_change_size_and_load_back():
    part, other = Part(), Part()
    part.kept = torch.ones(9, 2, dtype=torch.uint8)
    other.load_state_dict(part.state_dict())
    assert torch.equal(other.kept, part.kept)
    with pytest.raises(RuntimeError, match="size mismatch"):
        other.load_state_dict({**part.state_dict(), "layer.weight": torch.ones(5)})


def test_sparse_tensors_are_refused():
    part = Part()
    with pytest.raises(ValueError, match="sparse"):
        part.hold("kept", torch.eye(3).to_sparse())
    part.register_buffer("kept", torch.eye(3).to_sparse())
    with pytest.raises(MemoryContractError, match="sparse"):
        ledger(part)


def test_the_table_is_sorted_by_weight():
    rows = table(ledger(Part())).splitlines()
    assert rows[0].split() == ["kind", "name", "shape", "dtype", "bytes"]
    weights = [int(row.split()[-1].replace(",", "")) for row in rows[1:]]
    assert weights == sorted(weights, reverse=True)
