import pytest
import torch
from torch import nn

from cl_engine.models.network import Network
from cl_engine.training.parts import Parts


class Loud(nn.Linear):
    """Counts how often its mode is set, as one that merges weights for evaluation would."""

    switched = 0

    def train(self, mode=True):
        self.switched += 1
        return super().train(mode)


def modes(module):
    return [part.training for part in module.modules()]


@pytest.mark.parametrize("frozen", [False, True])
def test_modes_are_those_that_the_module_sets_itself(frozen):
    def network():
        made = Network("resnet20", (3, 32, 32), torch.Generator().manual_seed(0), torch.device("cpu"))
        made.backbone.requires_grad_(not frozen)
        return made

    ours, theirs = network(), network()
    parts = Parts(ours)
    for mode in (True, False, True, True, False):
        parts.train(mode)
        theirs.train(mode)
        assert modes(ours) == modes(theirs)


def test_a_module_with_its_own_way_of_setting_the_mode_is_always_asked():
    module = nn.Sequential(Loud(2, 2))
    parts = Parts(module)
    for mode in (True, False, True, False):
        parts.train(mode)
    assert module[0].switched == 4


@pytest.mark.parametrize(
    "change",
    [
        lambda module: module.append(nn.Linear(2, 2)),
        lambda module: setattr(module[0], "weight", nn.Parameter(torch.zeros(3, 2))),
        lambda module: module[0].bias.requires_grad_(False),
        lambda module: module[0].register_parameter("scale", nn.Parameter(torch.ones(1))),
    ],
)
def test_every_change_of_what_is_trained_is_seen(change):
    module = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    parts = Parts(module)
    assert parts.unchanged
    change(module)
    assert not parts.unchanged
