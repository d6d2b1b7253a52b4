"""Weights that no training reaches."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def freeze(part: nn.Module, *, available: bool = False) -> None:
    """Turn the parameters of ``part`` into buffers: no gradient, weight decay or ``requires_grad_`` reaches them.

    In the ledger they stay what they were, ``parameters``.  With ``available`` they and all buffers can be had
    again from where they came from: ``regenerable``, in no ``state_dict()``.  Batch norms lose their counter of
    batches; the caller keeps them in evaluation mode.

    >>> layer = nn.Linear(2, 3)
    >>> freeze(layer)
    >>> list(layer.parameters()), list(layer.state_dict())
    ([], ['weight', 'bias'])
    >>> freeze(layer, available=True)
    >>> list(layer.state_dict())
    []
    """
    for layer in part.modules():
        kinds = dict(getattr(layer, "_held_kinds", {}))
        for name, parameter in [*layer._parameters.items()]:
            if parameter is not None:
                del layer._parameters[name]
                layer.register_buffer(name, parameter.detach())
                kinds[name] = getattr(layer, "ledger_kind", "parameters")
        if isinstance(layer, _BatchNorm):
            # Without the flag, loading a state from before there were counters would ask for one.
            layer.num_batches_tracked, layer.track_running_stats = None, False
        if available:
            layer._non_persistent_buffers_set.update(layer._buffers)
            kinds.update(dict.fromkeys(layer._buffers, "regenerable"))
        layer._held_kinds = kinds  # type: ignore[assignment]
