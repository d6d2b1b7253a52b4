"""Architectures of torchvision and timm, which are installed as extras; a single stage each."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from cl_engine.kinds.problems import OptionError, did_you_mean, one_line
from cl_engine.models.backbone import Backbone, initialise, require_images
from cl_engine.randomness import isolated

WHOLE = "stages.0."  # how the names of a whole network begin here


class External(Backbone):
    """A network of another package, without its classifier.

    Raises:
        OptionError: the package is not installed, has no such network, or the network does not map images of this
            shape to vectors.
    """

    package: ClassVar[str]
    extra: ClassVar[str]
    classifier: tuple[str, ...]  # how the names of the classifier's tensors begin

    def __init__(self, shape: tuple[int, ...], model: str) -> None:
        super().__init__()
        require_images(model, shape, least=1)
        self.model, self._shape = model, shape
        network, self.classifier = self._made()
        self.stages = nn.Sequential(network)
        self.features = self._width()

    def fill(self, generator: torch.Generator) -> None:
        """Draw the weights from ``generator``, as far as layers are of known sorts."""
        constants = self.constants()
        for name, buffer in self.named_buffers():
            if name in constants:
                buffer.copy_(constants[name])
        initialise(self, generator)

    def own_name(self, name: str) -> str | None:
        """Return ``name`` with the stage before it; None: the classifier's."""
        if name.startswith(self.classifier):
            return None
        return name if name.startswith(WHOLE) else WHOLE + name

    def constants(self) -> dict[str, Tensor]:
        """Build the network once more off the meta device, if it has such buffers (tables of positions, say)."""
        state = self.state_dict()
        names = [name for name, _ in self.named_buffers() if name not in state]
        if not names:
            return {}
        with torch.device("cpu"):
            buffers = dict(self._made()[0].named_buffers(prefix=WHOLE.rstrip(".")))
        return {name: buffers[name] for name in names}

    def _made(self) -> tuple[nn.Module, tuple[str, ...]]:
        """Return the network without its classifier, and how the names of the classifier's tensors begin."""
        try:
            package = importlib.import_module(self.package)
        except ImportError as error:
            what = f"needs {self.package}: {one_line(error)}"
            raise OptionError("backbone", f"{what}; allowed: after pip install cl-engine[{self.extra}]") from None
        known = self._names(package)
        if self.model.partition(".")[0] not in known:
            meant = did_you_mean(self.model, known)
            what = f"{self.package} has no network {self.model!r}{meant}"
            raise OptionError("backbone.model", f"{what}; allowed: one of its {len(known)} image classifiers")
        with isolated(0, "external backbone"):  # what it draws, weights of a file replace
            return self._headless(package)

    def _names(self, package: ModuleType) -> list[str]:
        raise NotImplementedError

    def _headless(self, package: Any) -> tuple[nn.Module, tuple[str, ...]]:
        raise NotImplementedError

    def _width(self) -> int:
        """Map images of the shape once, on the meta device without any computation."""
        self.eval()
        device = next(self.parameters()).device
        try:
            with torch.no_grad():
                out = self(torch.zeros(2, *self._shape, device=device))
        except Exception as error:  # of another package's code
            why = one_line(error).partition(". ")[0]
            raise OptionError(
                "backbone",
                f"{self.model} takes no images of shape {list(self._shape)}: {why[:150]}; allowed: its own size",
            ) from None
        self.train()
        if not (isinstance(out, Tensor) and out.ndim == 2):
            raise OptionError("backbone", f"{self.model} maps images to no vector; allowed: a network that pools")
        return out.shape[1]


class TorchVision(External):
    """An image classifier of torchvision without its last linear layer, as `torchvision:NAME`."""

    package, extra = "torchvision", "vision"

    def __init__(
        self,
        shape: tuple[int, ...],
        /,
        *,
        model: Annotated[str, Field(description="name in torchvision.models, such as resnet18")],
    ) -> None:
        super().__init__(shape, model)

    def _names(self, package: Any) -> list[str]:
        names: list[str] = package.models.list_models(module=package.models)
        return names

    def _headless(self, package: Any) -> tuple[nn.Module, tuple[str, ...]]:
        network: nn.Module = package.models.get_model(self.model, weights=None)
        linear = [name for name, layer in network.named_modules() if isinstance(layer, nn.Linear)]
        if not linear:
            raise OptionError("backbone.model", f"{self.model} ends in no linear layer; allowed: one that does")
        owner, _, name = linear[-1].rpartition(".")
        setattr(network.get_submodule(owner), name, nn.Identity())
        return network, (f"{linear[-1]}.",)


class Timm(External):
    """An image classifier of timm without its classifier, as `timm:NAME`; nothing is downloaded."""

    package, extra = "timm", "timm"

    def __init__(
        self,
        shape: tuple[int, ...],
        /,
        *,
        model: Annotated[str, Field(description="name in timm.list_models(), such as vit_tiny_patch16_224")],
    ) -> None:
        super().__init__(shape, model)

    def _names(self, package: Any) -> list[str]:
        names: list[str] = package.list_models()
        return names

    def _headless(self, package: Any) -> tuple[nn.Module, tuple[str, ...]]:
        network = package.create_model(self.model, pretrained=False, num_classes=0, in_chans=self._shape[0])
        names = network.default_cfg.get("classifier") or ()
        names = (names,) if isinstance(names, str) else names
        return network, tuple(f"{name}." for name in names)
