"""Every random draw of a run comes from here: one root seed, one named purpose, one generator.

The words that seed a generator are the SHA-256 of (seed, purpose), so a draw for one purpose never moves
because another purpose drew more or less, and two machines agree.  NumPy's ``RandomState`` is used for plans
because its output is frozen by NumPy's compatibility policy; ``Generator`` methods may change between versions.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def derive(seed: int, purpose: str) -> bytes:
    """Return 32 bytes that depend on ``seed`` and ``purpose`` alone.

    >>> derive(0, "partition").hex()[:16]
    'a4ea6556ab2af6a9'
    """
    return hashlib.sha256(f"cl-engine/{seed}/{purpose}".encode()).digest()


def numpy_generator(seed: int, purpose: str) -> np.random.RandomState:
    """Return the legacy NumPy generator of ``purpose``; its stream is frozen across NumPy versions."""
    return np.random.RandomState(np.frombuffer(derive(seed, purpose), dtype="<u4"))


def torch_generator(seed: int, purpose: str) -> torch.Generator:
    """Return the CPU torch generator of ``purpose``."""
    import torch

    return torch.Generator().manual_seed(int.from_bytes(derive(seed, purpose)[:8], "little") >> 1)


@contextlib.contextmanager
def isolated(seed: int, purpose: str) -> Iterator[None]:
    """Seed the global generators of torch, NumPy and ``random`` inside the block and put them back after it.

    The engine itself never draws from a global generator.  A user's strategy may (``torch.randn`` without a
    generator, an ``nn.Linear`` that initialises itself); inside this block such draws repeat, and the caller's
    own global state is untouched.
    """
    words = derive(seed, purpose)
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 - saved, then restored
    with _torch_isolated(int.from_bytes(words[:8], "little") >> 1):
        np.random.seed(np.frombuffer(words, dtype="<u4"))  # noqa: NPY002
        random.seed(words)
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)  # noqa: NPY002


@contextlib.contextmanager
def _torch_isolated(seed: int) -> Iterator[None]:
    import torch

    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            yield
        return
    # The CPU generator alone: torch.manual_seed formats stack traces for devices that nobody uses.
    state = torch.default_generator.get_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.default_generator.set_state(state)
