import pytest
import torch
from torch import nn

import cl_engine
from cl_engine.evaluation.constant import Range, watched
from cl_engine.models.network import Network
from cl_engine.strategies.references.finetune import Finetune

BASE = {"data": "digits", "stream": {"step": 5}, "training": {"epochs": 1}}


class Killed(Finetune):
    """A share of the hidden units never fires again."""

    def __init__(self, *, share: float = 0.5) -> None:
        super().__init__(backbone={"kind": "mlp", "width": 20, "depth": 1})
        self.share = share

    def end(self, task):
        with torch.no_grad():
            self.network.backbone.stages[0][1].bias[: int(20 * self.share)] = -1e6


@pytest.mark.parametrize("audit", ["rebuild", "process"])
def test_a_network_most_of_whose_units_died_says_so(audit):
    record = cl_engine.run({**BASE, "strategy": Killed(share=0.8), "memory": {"audit": audit}})
    said = [note for note in record.to_dict()["notes"] if "have died" in note]
    assert len(said) == 2
    assert all(int(note.split(": ")[1].split(" of the network's 20")[0]) >= 16 for note in said)


def test_a_healthy_network_says_nothing():
    assert not [n for n in cl_engine.run({**BASE, "strategy": "finetune"}).to_dict()["notes"] if "died" in n]


def test_diverging_lr_on_large_inputs_is_noted_where_the_field_would_see_chance():
    x = torch.randint(0, 256, (400, 3, 16, 16), dtype=torch.uint8)
    samples = cl_engine.Samples(x, torch.arange(400) % 4)
    data = cl_engine.DataSet(samples, samples)
    record = cl_engine.run({"data": data, "stream": {"step": 2}, "strategy": "finetune"}, **{"training.lr": 0.5})
    assert any("have died" in note for note in record.to_dict()["notes"])


@pytest.mark.parametrize("frozen", [False, True])
def test_only_what_is_trained_is_watched(frozen):
    network = Network("mlp", (4,), torch.Generator().manual_seed(0), torch.device("cpu"))
    network.backbone.requires_grad_(not frozen)
    with watched(nn.ModuleList([network])) as said:
        network(torch.ones(3, 4))  # equal rows: every feature is constant
    assert bool(said) is not frozen
    assert not network.backbone._forward_hooks


def test_a_single_row_tells_nothing():
    seen = Range()
    seen.add(torch.ones(1, 3))
    assert seen.constant == 0
