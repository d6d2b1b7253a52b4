"""Models that are trained before a run, once for every run that asks for the same."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any, Protocol

from cl_engine.data import cache
from cl_engine.terms.received import Received


class Train(Protocol):
    """Runs a scenario, and leaves a run directory in a folder."""

    def __call__(self, scenario: dict[str, Any], *, out: Path) -> Any:
        """Return the record."""


def obtain(model: Received, train: Train) -> None:
    """See that a model is in the cache if it is one that is trained before the run.

    Raises:
        CacheError: the cache cannot be written.
    """
    if model.scenario is None or model.is_there():
        return
    name = f"the model that experience {model.at + 1} begins with"
    place = Path(model.model).parent
    with cache.writing(place.name, lambda: cache.say(f"waits for {name}, which another process trains")):
        if model.is_there():
            return
        cache.say(f"trains {name}")
        record = train(model.scenario, out=place / "run")
        content = (record.directory / "checkpoint.safetensors").read_bytes()
        about = {"what": f"a {model.scenario['strategy']['kind']} trained before a run", "complete": True}
        about |= {"sha256": hashlib.sha256(content).hexdigest()}
        cache.write_whole(place / cache.ABOUT, json.dumps(about).encode())
        cache.write_whole(Path(model.model), content)
        shutil.rmtree(place / "run")
