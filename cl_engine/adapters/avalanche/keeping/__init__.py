"""What each strategy of Avalanche keeps from one experience to the next, and where in its objects that is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cl_engine.adapters.avalanche.keeping.buffer import Buffer, FeatureLoader, Features, LastClasses, as_is
from cl_engine.adapters.avalanche.keeping.classes import Consolidated, Gaussians, Known, Means, Prototypes
from cl_engine.adapters.avalanche.keeping.part import Part
from cl_engine.adapters.avalanche.keeping.sets import Episodes, Greedy, Patterns, Whole
from cl_engine.adapters.avalanche.keeping.weights import Beside, Path, Penalties, Previous


def parts_of(name: str, model: nn.Module, outputs: int, width: int, raw: Tensor, seen: Any) -> Mapping[str, Part]:
    """Return what a strategy keeps beside its model and its optimizer, by name; nothing is kept yet.

    Args:
        name: the strategy.
        model: as it was begun.
        outputs: of its classifier.
        width: of its features.
        raw: no sample ``[0, ...]``, as the data has it.
        seen: what makes of samples what the model takes.
    """
    if name in ("Replay", "GDumb", "CoPE", "MIR"):
        parts: dict[str, Part] = {"memory": Buffer("plugin.storage_policy", raw, seen)}
        if name == "CoPE":
            parts["prototypes"] = Prototypes(outputs)
        if name == "MIR":
            parts["last"] = LastClasses(outputs)
        return parts
    if name in ("ER_ACE", "ER_AML"):
        return {"memory": Buffer("strategy.storage_policy", raw, seen)}
    if name == "DER":
        return {"memory": Buffer("strategy.storage_policy", raw, seen, logits=outputs)}
    if name == "MER":
        return {"memory": Buffer("strategy.buffer.storage_policy", raw, seen, grouped=False)}
    if name == "SCR":
        return {"memory": Buffer("strategy.replay_plugin.storage_policy", raw, seen), "means": Means(width)}
    if name == "FeatureReplay":
        features = torch.empty(0, width, device=raw.device)
        return {
            "memory": Features("strategy.storage_policy", features, as_is),
            "loader": FeatureLoader(outputs),
        }
    if name == "GSS_greedy":
        return {"memory": Greedy(seen(raw))}
    if name == "AGEM":
        return {"memory": Episodes(raw, seen)}
    if name == "GEM":
        return {"memory": Patterns(seen(raw), as_is)}
    if name == "Cumulative":
        return {"memory": Whole(raw, seen)}
    if name == "EWC":
        return {"penalties": Penalties(model)}
    if name == "SynapticIntelligence":
        return {"path": Path(model)}
    if name == "MAS":
        return {"beside": Beside(model, {"importance": "plugin.importance", "weights": "plugin.params"})}
    if name == "LwF":
        return {"previous": Previous(model, "plugin.lwf.prev_model"), "known": Known(outputs)}
    if name == "LFL":
        return {"previous": Previous(model, "plugin.prev_model", frozen=True)}
    if name == "CWRStar":
        return {"consolidated": Consolidated(outputs, width)}
    if name == "StreamingLDA":
        return {"gaussians": Gaussians(outputs, width)}
    return {}


__all__ = ["Part", "parts_of"]
