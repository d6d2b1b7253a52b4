"""Files of weights: read without running anything that stands in them, and fitted to an architecture strictly."""

from __future__ import annotations

import functools
import hashlib
import io
import os
import pickle
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from cl_engine.errors import InputError
from cl_engine.kinds.problems import one_line, shown

PICKLED = (".pth", ".pt", ".bin", ".tar", ".ckpt")  # as torch.save writes it; its tensors alone are read
WRAPPERS = ("state_dict", "model")  # keys that training scripts put the weights under
COUNTER = "num_batches_tracked"  # of a batch norm, which nothing here reads and some files lack
SHOWN = 5  # names of each sort in a message


class WeightsError(InputError):
    """A file holds no weights, or others than the architecture's."""


def sha256_of(path: str) -> str:
    """Return the SHA-256 of a file, 64 hexadecimal digits; worked out once as long as the file stays as it is.

    Raises:
        WeightsError: it cannot be read.
    """
    try:
        found = os.stat(path)
        return _sha256(path, found.st_mtime_ns, found.st_size, found.st_ino)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}; allowed: a file that exists") from None


@functools.lru_cache(maxsize=64)
def _sha256(path: str, *_: int) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


@functools.lru_cache(maxsize=2)
def read_weights(path: str, sha256: str) -> Mapping[str, Tensor]:
    """Return the tensors of a file by name; read once a process.  Nobody may change them.

    Args:
        path: a safetensors file, or one that ``torch.save`` wrote, of which only tensors and plain containers are
            read: under ``state_dict`` or ``model`` if there is such a key, without a leading ``module.``.
        sha256: of the file.

    Raises:
        WeightsError: it holds something else, or its SHA-256 is another one.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}; allowed: a file that exists") from None
    if (found := hashlib.sha256(data).hexdigest()) != sha256:
        raise WeightsError(f"{path} has the SHA-256 {found}; allowed: {sha256}, of the file that was named")
    name = Path(path).name
    suffix = Path(path).suffix.lower()
    if suffix not in (".safetensors", *PICKLED):
        raise WeightsError(f"{name} ends in {suffix!r}; allowed: .safetensors, {', '.join(PICKLED)}")
    loaded = _safetensors(name, data) if suffix == ".safetensors" else _tensors_of_pickle(name, data)
    for wrapper in WRAPPERS:
        if isinstance(loaded.get(wrapper), Mapping):
            loaded = loaded[wrapper]
    strange = next((key for key, value in loaded.items() if not _is_plain(key, value)), None)
    if strange is not None or not loaded:
        what = "nothing" if strange is None else f"{type(loaded[strange]).__name__} as {shown(strange)}"
        raise WeightsError(f"{name} holds {what}; allowed: dense tensors by name")
    return {str(key).removeprefix("module."): value for key, value in loaded.items()}


def fit_weights(
    targets: Mapping[str, Tensor],
    tensors: Mapping[str, Tensor],
    own_name: Callable[[str], str | None],
    drop: Iterable[str] = (),
) -> None:
    """Copy a file's tensors into an architecture's, each into its own, none left over.

    Args:
        targets: parameters and buffers by name; changed in place, where they are on the meta device only checked.
        tensors: those of the file.
        own_name: from a name in the file to that of a target; None: it is no part of the architecture.
        drop: beginnings of names in the file that are no part of it either.

    Raises:
        WeightsError: names that are missing or left over, other shapes, integers for weights, NaN or infinity.

    >>> fit_weights(torch.nn.Linear(2, 3).state_dict(), {"weight": torch.ones(3, 2), "b": torch.ones(3)}, str)
    Traceback (most recent call last):
    ...
    cl_engine.models.weights.WeightsError: 1 tensor missing (bias); 1 left over (b); allowed: the architecture's own
    """
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        ours = None if name.startswith(tuple(drop)) else own_name(name)
        if ours is not None:
            found[ours] = tensor
    missing = [name for name in targets if name not in found and not name.endswith(COUNTER)]
    over = sorted(name for name in found if name not in targets and not name.endswith(COUNTER))
    shapes = {name: (list(found[name].shape), list(targets[name].shape)) for name in found if name in targets}
    other = [f"{name} is {theirs}, not {ours}" for name, (theirs, ours) in shapes.items() if theirs != ours]
    both = {name: tensor for name, tensor in found.items() if name in targets}
    whole = [n for n, t in both.items() if targets[n].is_floating_point() and not t.is_floating_point()]
    infinite = [n for n, t in both.items() if t.is_floating_point() and not torch.isfinite(t).all()]
    wrong = [
        f"{len(names)} {what} ({', '.join(names[:SHOWN])}{', ...' if len(names) > SHOWN else ''})"
        for what, names in (
            ("missing", missing),
            ("left over", over),
            ("of another shape", other),
            ("of integers", whole),
            ("with NaN or infinite values", infinite),
        )
        if names
    ]
    if wrong:
        wrong[0] = re.sub(r"^(\d+)", lambda n: f"{n[0]} tensor{'' if n[0] == '1' else 's'}", wrong[0])
        raise WeightsError(f"{'; '.join(wrong)}; allowed: the architecture's own")
    with torch.no_grad():
        for name, tensor in found.items():
            if name in targets and not targets[name].is_meta:
                targets[name].copy_(tensor)
        for name in targets.keys() - found.keys():
            targets[name].zero_()  # a counter that the file lacks


def _safetensors(name: str, data: bytes) -> Mapping[str, Any]:
    try:
        return safetensors.torch.load(data)
    except (SafetensorError, ValueError, KeyError, AttributeError) as error:
        raise WeightsError(f"{name} is no safetensors file: {one_line(error)}; allowed: a whole one") from None


def _tensors_of_pickle(name: str, data: bytes) -> Mapping[str, Any]:
    if tuple(int(n) for n in re.findall(r"\d+", torch.__version__)[:2]) < (2, 6):
        raise WeightsError(
            f"{name} needs torch 2.6, whose reading of weights alone is sound; allowed: a .safetensors file"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles that are refused all the same
            loaded = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged or hostile file brings up, many kinds
        refused = re.search(r"(?:GLOBAL|global|class|function) `?([\w.]+)", str(error))
        if refused:
            what = f"names {refused[1]}, code which is never run"
        elif data[:1] == pickle.PROTO:
            what = "is a damaged pickle, or one that torch.save did not write, which may run code and is not opened"
        else:
            what = "is damaged, or not a file of weights at all"
        raise WeightsError(f"{name} {what}; allowed: tensors alone, as of torch.save or .safetensors") from None
    if not isinstance(loaded, Mapping):
        raise WeightsError(f"{name} holds {type(loaded).__name__}; allowed: dense tensors by name")
    return loaded


def _is_plain(key: object, value: object) -> bool:
    plain = isinstance(value, Tensor) and value.layout == torch.strided and not value.is_quantized
    return isinstance(key, str) and plain


__all__ = ["WeightsError", "fit_weights", "read_weights", "sha256_of"]
