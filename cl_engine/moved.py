"""Import paths of version 0.1 that a strategy of a user's own may name; each is the module's present place."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType

MOVED = {
    "cl_engine.strategies.finetune": "cl_engine.strategies.references.finetune",
    "cl_engine.strategies.joint": "cl_engine.strategies.references.joint",
    "cl_engine.strategies.replay": "cl_engine.strategies.rehearsal.replay",
    "cl_engine.strategies.ncm": "cl_engine.strategies.prototypes.ncm",
    "cl_engine.strategies.gacil": "cl_engine.strategies.closed_form.gacil",
    "cl_engine.strategies.task": "cl_engine.terms.task",
    "cl_engine.memory.selection": "cl_engine.memory.exemplars.selection",
    "cl_engine.memory.quota": "cl_engine.memory.exemplars.quota",
    "cl_engine.models.mlp": "cl_engine.models.backbones.mlp",
}


class Moved(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a moved module under its earlier name, as the same object."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return a spec for an earlier name, None for any other."""
        return importlib.machinery.ModuleSpec(name, self) if name in MOVED else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Import the module where it is now."""
        module = importlib.import_module(MOVED[spec.name])
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give the module back its own spec, which the import of another name has replaced."""
        module.__spec__ = self._spec


def install() -> None:
    """Let earlier names be found, after all others."""
    sys.meta_path.append(Moved())
