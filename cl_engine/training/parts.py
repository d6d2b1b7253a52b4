"""The parts of a module that is trained step by step: whether they are still the same, and their mode."""

from __future__ import annotations

from torch import nn

QUIET = ("torch.", "cl_engine.")  # packages whose modules do nothing but set flags when their mode changes


class Parts:
    """What a module consists of; quicker to ask and to switch than by walking through it again.

    Walking through a small network takes as long as one of its layers, and an online stream does so for every
    micro-batch.

    >>> module = nn.Sequential(nn.Linear(2, 3))
    >>> parts = Parts(module)
    >>> parts.train(True)
    >>> module.training, module[0].training, parts.unchanged
    (True, True, True)
    >>> module.append(nn.ReLU()) and parts.unchanged
    False
    """

    def __init__(self, module: nn.Module) -> None:
        self.module, self.parts = module, [*module.modules()]
        self._anatomy = self._look()
        self._quiet = all(type(part).train.__module__.startswith(QUIET) for part in self.parts)
        self._switched: list[nn.Module] | None = None

    @property
    def unchanged(self) -> bool:
        """Whether modules, parameters and what takes a gradient are what they were."""
        return self._anatomy == self._look()

    def train(self, mode: bool) -> None:
        """Do as ``module.train(mode)`` does; a part that it left in evaluation mode before stays there."""
        if self._switched is None or not self._quiet:
            self.module.train(mode)
            if mode:
                self._switched = [part for part in self.parts if part.training]
        else:
            for part in self._switched:
                part.__dict__["training"] = mode

    def _look(self) -> list[object]:
        return [
            (id(inner), getattr(inner, "requires_grad", None))
            for part in self.parts
            for inner in (*part._parameters.values(), *part._modules.values())
        ]
