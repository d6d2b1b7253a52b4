"""Tensors beside the parameters of the model, and networks as they were."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from avalanche.training.utils import ParamData, freeze_everything, get_last_fc_layer
from torch import nn

from cl_engine.adapters.avalanche.keeping.part import Part, at, first_rows, key, rows

if TYPE_CHECKING:
    from cl_engine.adapters.avalanche.live import Live

STATES = {"sgd": ("momentum_buffer",), "adam": ("exp_avg", "exp_avg_sq"), "adamw": ("exp_avg", "exp_avg_sq")}


class Optimizer(Part):
    """The state of the optimizer, which Avalanche carries from one experience to the next.

    Args:
        model: whose parameters are optimised.
        kind: ``sgd``, ``adam`` or ``adamw``.
    """

    def __init__(self, model: nn.Module, kind: str) -> None:
        super().__init__()
        self.kind = kind
        for name, parameter in model.named_parameters():
            for state in STATES[kind]:
                self.hold(key(name, state), first_rows(parameter.detach()), kind="optimizer")
            if kind != "sgd":
                self.hold(key(name, "step"), torch.empty(0), kind="optimizer")

    def take(self, live: Live) -> None:
        """Hold the state of each parameter that has one."""
        for name, parameter in live.parameters().items():
            found = live.strategy.optimizer.state.get(parameter, {})
            for state in STATES[self.kind]:
                if found.get(state) is not None:
                    setattr(self, key(name, state), found[state].detach().clone())
            if "step" in found:
                setattr(self, key(name, "step"), torch.as_tensor(found["step"]).reshape(1).float())

    def give(self, live: Live) -> None:
        """Give each parameter its state."""
        for name, parameter in live.parameters().items():
            held = {state: getattr(self, key(name, state)).clone() for state in STATES[self.kind]}
            if not all(map(len, held.values())):
                continue
            if self.kind != "sgd":
                held["step"] = getattr(self, key(name, "step"))[0].clone()
            live.strategy.optimizer.state[parameter] = held


class Beside(Part):
    """Tensors beside the parameters, under one or several names.

    Args:
        model: whose parameters.
        paths: of dictionaries from the parameters' names to ``ParamData``, from the living strategy, by name.
        flat: whether they are vectors.
    """

    def __init__(self, model: nn.Module, paths: Mapping[str, str], flat: bool = False) -> None:
        super().__init__()
        self.paths, self.flat = dict(paths), flat
        for what in paths:
            for name, parameter in model.named_parameters():
                shape = (0,) if flat else rows(parameter.shape)
                self.hold(key(what, name), parameter.new_empty(shape))

    def take(self, live: Live) -> None:
        """Hold what is beside each parameter."""
        for what, path in self.paths.items():
            for name, found in (at(live, path) or {}).items():
                setattr(self, key(what, name), found.data.detach().clone())

    def give(self, live: Live) -> None:
        """Put it beside each parameter."""
        for what, path in self.paths.items():
            found = {
                name: ParamData(name, init_tensor=held.clone(), device=held.device)
                for name in live.parameters()
                if len(held := getattr(self, key(what, name)))
            }
            if isinstance(at(live, path), dict):
                at(live, path).update(found)
            else:
                owner, _, attribute = path.rpartition(".")
                setattr(at(live, owner), attribute, found)


class Path(Part):
    """What synaptic intelligence goes on from: the summed path integrals, and the importance made of them."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        for what in ("importance", "path"):
            for name, parameter in model.named_parameters():
                self.hold(key(what, name), parameter.new_empty(0))

    def take(self, live: Live) -> None:
        """Hold both."""
        plugin = live.plugin
        for name in plugin.ewc_data[1]:
            setattr(self, key("importance", name), plugin.ewc_data[1][name].data.clone())
            setattr(self, key("path", name), plugin.syn_data["cum_trajectory"][name].data.clone())

    def give(self, live: Live) -> None:
        """Put both back, between arrays that the experience fills before it reads them."""
        plugin = live.plugin
        plugin.create_syn_data(live.strategy.model, plugin.ewc_data, plugin.syn_data, plugin.excluded_parameters)
        for name in plugin.ewc_data[1]:
            plugin.ewc_data[1][name].data = getattr(self, key("importance", name)).clone()
            plugin.syn_data["cum_trajectory"][name].data = getattr(self, key("path", name)).clone()


class Penalties(Part):
    """Importances and weights of EWC: those of every experience in a row of its own, or of the last alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        for what in ("importances", "weights"):
            for name, parameter in model.named_parameters():
                self.hold(key(what, name), parameter.new_empty(0, *parameter.shape))

    def take(self, live: Live) -> None:
        """Hold both."""
        for what, found in (("importances", live.plugin.importances), ("weights", live.plugin.saved_params)):
            # Asking for an experience that is not there makes an empty one.
            kept = [by_name for _, by_name in sorted(found.items()) if by_name]
            for name in kept[-1]:
                setattr(self, key(what, name), torch.stack([by_name[name].data.detach() for by_name in kept]))

    def give(self, live: Live) -> None:
        """Put both back under the numbers that they had."""
        last = live.strategy.clock.train_exp_counter
        for what, found in (("importances", live.plugin.importances), ("weights", live.plugin.saved_params)):
            for name in live.parameters():
                held = getattr(self, key(what, name))
                for number, row in enumerate(held, last - len(held)):
                    found[number][name] = ParamData(name, init_tensor=row.clone(), device=row.device)


class Previous(Part):
    """The network as it was after the experience before (kind ``teacher``).

    Args:
        model: of the same shape.
        path: where it goes, from the living strategy.
        frozen: whether the classifier is frozen from then on, and the copy wholly.
    """

    def __init__(self, model: nn.Module, path: str, frozen: bool = False) -> None:
        super().__init__()
        self.path, self.frozen = path, frozen
        for name, tensor in model.state_dict().items():
            self.hold(key(name), first_rows(tensor) if tensor.ndim else tensor.clone(), kind="teacher")

    def take(self, live: Live) -> None:
        """Hold the copy."""
        for name, tensor in at(live, self.path).state_dict().items():
            setattr(self, key(name), tensor.detach().clone())

    def give(self, live: Live) -> None:
        """Put a copy back."""
        previous = copy.deepcopy(live.strategy.model)
        previous.load_state_dict({name: getattr(self, key(name)) for name in previous.state_dict()})
        previous.train()
        owner, _, attribute = self.path.rpartition(".")
        setattr(at(live, owner), attribute, previous)
        if self.frozen:
            freeze_everything(previous)
            for parameter in get_last_fc_layer(live.strategy.model)[1].parameters():
                parameter.requires_grad = False


class First:
    """The first weights of the model, which are drawn from the seed and so held by nobody.

    Args:
        model: as it was begun.
        path: where they go: a copy of the model, or its ``state_dict``.
    """

    def __init__(self, model: nn.Module, path: str) -> None:
        self.weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        self.path = path

    def give(self, live: Live) -> None:
        """Put them back."""
        owner, _, attribute = self.path.rpartition(".")
        first: Any = {name: tensor.clone() for name, tensor in self.weights.items()}
        if attribute == "init_model":
            model = copy.deepcopy(live.strategy.model)
            model.load_state_dict(first)
            first = model
        setattr(at(live, owner), attribute, first)
