import torch
from torch import nn

from cl_engine.models.anatomy import blocks_of, branches_of, learning_blocks
from cl_engine.models.branched import Branched
from cl_engine.models.network import Network

CPU = torch.device("cpu")


def branched(cut, branches=3, backbone="resnet14"):
    network = Branched(backbone, (3, 8, 8), torch.Generator().manual_seed(0), CPU, cut=cut)
    for _ in range(branches - 1):
        network.branch()
    return network


def test_every_weight_of_a_backbone_is_in_one_block():
    for backbone in ("mlp", "convnet2", "resnet14", "resnet32", "resnet18"):
        shape = (3, 32, 32)
        network = Network(backbone, shape, torch.Generator().manual_seed(0), CPU)
        found = [id(p) for block in blocks_of(network).values() for p in block.parameters()]
        assert sorted(found) == sorted(id(p) for p in network.backbone.parameters())


def test_a_resnet32_has_the_fifteen_residual_blocks_of_the_paper_beside_its_stem():
    network = Network("resnet32", (3, 8, 8), torch.Generator().manual_seed(0), CPU)
    names = [*blocks_of(network)]
    assert names == ["stage 1"] + [f"stage {group}.{k}" for group in (2, 3, 4) for k in range(1, 6)]


def test_only_the_newest_branch_learns_and_has_the_names_of_the_backbone_it_came_from():
    whole = [*blocks_of(Network("resnet14", (3, 8, 8), torch.Generator(), CPU))]
    for cut in (0, 2, None):
        network = branched(cut)
        assert [*learning_blocks(network)] == whole
        newest = network.blocks[-1]
        learning = {id(p) for p in newest.parameters()} | {id(p) for p in network.general.parameters()}
        assert {id(p) for own in learning_blocks(network).values() for p in own} == learning
    assert "stage 4.1 of branch 2" in blocks_of(branched(None))
    assert "stage 1 of branch 1" in blocks_of(branched(0))


def test_branches_are_stages_side_by_side():
    assert [len(branch) for branch in branches_of(branched(0))] == [4, 4, 4]
    assert [len(branch) for branch in branches_of(branched(2))] == [2, 2, 2]
    assert [len(branch) for branch in branches_of(branched(None))] == [1, 1, 1]
    assert branches_of(Network("resnet14", (3, 8, 8), torch.Generator(), CPU)) == []


def test_two_backbones_are_told_apart():
    pair = nn.ModuleList(Network("mlp", (4,), torch.Generator().manual_seed(k), CPU) for k in range(2))
    assert [*blocks_of(pair)] == [f"network {n} stage {k}" for n in (1, 2) for k in (1, 2)]


class Own(nn.Module):
    """Says itself what its parts are."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(2, 3), nn.Linear(2, 3).requires_grad_(False)

    def named_blocks(self):
        return {"early": self.a, "late": self.b}

    def named_branches(self):
        return {"left": self.a, "right": self.b}


def test_a_module_of_ones_own_says_what_its_parts_are():
    own = Own()
    assert blocks_of(own) == {"early": own.a, "late": own.b}
    assert [*learning_blocks(own)] == ["early"]
    assert branches_of(own) == [[own.a], [own.b]]
