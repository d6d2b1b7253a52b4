"""What other projects call what is registered here, in small letters; docs/terms.md says more."""

from __future__ import annotations

from collections.abc import Iterable

from cl_engine.kinds.problems import did_you_mean

ELSEWHERE = {
    "strategies": {
        "naive": "`finetune`",
        "sgd": "`finetune`",
        "cumulative": "`joint`",
        "jointtraining": "`joint`",
        "experience-replay": "`replay`",
        "der": "`dark-er` (Buzzega et al., Mammoth, Avalanche) or `der-expandable` (Yan et al., PyCIL)",
        "der++": "`dark-er`",
        "derpp": "`dark-er`",
        "agem": "`a-gem`",
        "ewc-on": "`ewc`",
        "synapticintelligence": "`si`",
        "streaminglda": "`slda`",
        "gacl": "`g-acil`",
    },
}


def known_as(package: str, name: str, known: Iterable[str]) -> str:
    """Return ``", which is `x` here"`` for a name from elsewhere, else the nearest known name, or an empty text.

    >>> known_as("strategies", "derpp", ["dark-er"]), known_as("strategies", "iCaRL", ["icarl"])
    (', which is `dark-er` here', ", did you mean 'icarl'?")
    """
    found = ELSEWHERE.get(package, {}).get(name.lower().replace("_", "-"))
    return f", which is {found} here" if found else did_you_mean(name, known)
