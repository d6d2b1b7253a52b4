"""Importing Avalanche, or saying in one line what is missing."""

from __future__ import annotations

import importlib
import warnings

from cl_engine.errors import InputError
from cl_engine.kinds.problems import one_line

INSTALL = "pip install 'cl-engine[avalanche]'"
REINSTALL = "pip install --force-reinstall torch torchvision"  # from the index that has them for one platform


class AvalancheError(InputError):
    """Avalanche cannot be imported; the message says with which command it can."""


def need_avalanche() -> None:
    """Import Avalanche.

    Its torchvision is compiled against the very build of torch beside it: next to a torch for the CPU alone, one
    from PyPI finds none of its operators.

    Raises:
        AvalancheError: it is not installed, or does not fit the torch that is.
    """
    try:
        with warnings.catch_warnings():  # that there is no solver of quadratic programs, say
            warnings.simplefilter("ignore")
            importlib.import_module("avalanche.training")
    except ModuleNotFoundError as error:
        if error.name in ("avalanche", "avalanche.training"):
            raise AvalancheError(f"Avalanche is not installed; allowed: after {INSTALL}") from None
        raise AvalancheError(f"Avalanche needs {error.name}, which is missing; allowed: after {INSTALL}") from None
    except (ImportError, RuntimeError, AttributeError, OSError) as error:
        why = one_line(error)[:150]
        raise AvalancheError(
            f"Avalanche cannot be imported: {why}; its torchvision does not fit this torch ({_torch()}); "
            f"allowed: after {REINSTALL}"
        ) from None


def _torch() -> str:
    import torch

    return torch.__version__
