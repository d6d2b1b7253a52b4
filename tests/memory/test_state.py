"""What is held between experiences is nobody else's."""

import torch
from torch import nn

from cl_engine.memory.held import Held
from cl_engine.memory.state import Signature, hold, restore

CPU = torch.device("cpu")


class Keeps(nn.Linear):
    """Keeps what it is given to load, and uses it as its own."""

    def _load_from_state_dict(self, state_dict, prefix, *args):
        self.given = state_dict[prefix + "weight"]
        super()._load_from_state_dict(state_dict, prefix, *args)


class Late(Held):
    """Holds a tensor that nobody announced."""

    def learn(self):
        self.hold("late", torch.ones(2))
        return self


def test_who_keeps_what_it_was_given_to_load_cannot_change_what_is_held():
    module = Keeps(2, 2)
    signature = Signature.of(module)
    held = hold(module, signature)
    before = bytes(held.data)
    restore(module, held, signature, CPU)
    module.given.fill_(7)
    with torch.no_grad():
        module.weight.fill_(7)
    assert bytes(held.data) == before


def test_a_tensor_that_was_declared_late_is_no_view_of_what_is_held():
    signature = Signature.of(Late())
    held = hold(Late().learn(), signature)
    before, rebuilt = bytes(held.data), Late()
    restore(rebuilt, held, signature, CPU)
    rebuilt.late.fill_(7)
    assert bytes(held.data) == before


def test_who_learns_on_after_it_was_held_does_not_change_what_is_held():
    module = Late().learn()
    held = hold(module, Signature.of(Late()))
    module.late.fill_(7)
    assert torch.equal(held.tensors["late"], torch.ones(2))
    held.tensors["late"].fill_(7)
    assert torch.equal(held.tensors["late"], torch.ones(2))
