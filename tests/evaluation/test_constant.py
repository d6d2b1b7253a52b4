import pytest
import torch
from torch import nn

import cl_engine
from cl_engine.evaluation.constant import Range, watched
from cl_engine.models.network import Network
from cl_engine.strategies.references.finetune import Finetune
from cl_engine.training.loop import DivergedError

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


@pytest.mark.parametrize(("samples", "said"), [(9, 0), (10, 1)])
def test_a_handful_of_samples_says_nothing_of_units(samples, said):
    strategy = nn.Module()
    strategy.network = Network("mlp", (4,), torch.Generator().manual_seed(0), torch.device("cpu"), None)
    with watched(strategy) as remarks:
        strategy.network.backbone(torch.zeros(samples, 4))
    assert len(remarks) == said


def test_a_healthy_network_says_nothing():
    assert not [n for n in cl_engine.run({**BASE, "strategy": "finetune"}).to_dict()["notes"] if "died" in n]


@pytest.mark.parametrize("seed", range(3))
def test_a_diverging_lr_on_large_inputs_never_passes_for_chance(seed):
    """Whether weights overflow or units die first depends on the processor's arithmetic; both are told."""
    x = torch.randint(0, 256, (400, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    samples = cl_engine.Samples(x, torch.arange(400) % 4)
    scenario = {"data": cl_engine.DataSet(samples, samples), "stream": {"step": 2}, "strategy": "finetune"}
    try:
        told = cl_engine.run({**scenario, "seed": seed}, **{"training.lr": 0.5}).to_dict()["notes"]
    except DivergedError as error:
        told = [str(error)]
    assert any("have died" in text or "training.lr is 0.5" in text for text in told)


@pytest.mark.parametrize("frozen", [False, True])
def test_only_what_is_trained_is_watched(frozen):
    network = Network("mlp", (4,), torch.Generator().manual_seed(0), torch.device("cpu"))
    network.backbone.requires_grad_(not frozen)
    with watched(nn.ModuleList([network])) as said:
        network(torch.ones(12, 4))  # equal rows: every feature is constant
    assert bool(said) is not frozen
    assert not network.backbone._forward_hooks


def test_a_single_row_tells_nothing():
    seen = Range()
    seen.add(torch.ones(1, 3))
    assert seen.constant == 0
