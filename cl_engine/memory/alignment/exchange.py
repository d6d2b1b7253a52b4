"""Memory alignment: what a model is worth in exemplars, and how many exemplars make two methods equally large.

The arithmetic of MEMO (Zhou et al., ICLR 2023, sections 4.2 and A.1), in whole numbers.  A model costs 4 bytes for
each parameter of its backbone, batch-norm weights included; classifiers, batch-norm statistics and optimizer state
cost nothing.  An exemplar costs one byte for each value of its raw image; its label costs nothing.  This is the
policy ``paper`` of the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

PARAMETER_BYTES = 4


def model_bytes(parameters: int) -> int:
    """Return the bytes of so many float32 parameters.

    >>> model_bytes(463_504)
    1854016
    """
    return PARAMETER_BYTES * parameters


def worth_in_exemplars(parameters: int, image_bytes: int) -> int:
    """Return how many whole exemplars of ``image_bytes`` the bytes of ``parameters`` hold.

    Rounded down once: what several backbones are worth is asked for in one question, not backbone by backbone.

    >>> worth_in_exemplars(463_504, 3 * 32 * 32), worth_in_exemplars(9 * 463_504, 3 * 32 * 32)
    (603, 5431)
    """
    return model_bytes(parameters) // image_bytes


def experiences(classes: int, first: int, step: int) -> int:
    """Return the number of experiences: ``first`` classes in the first, ``step`` in each further one.

    Raises:
        ValueError: the classes do not divide that way.

    >>> experiences(100, 10, 10), experiences(100, 50, 5)
    (10, 11)
    """
    further, rest = divmod(classes - first, step)
    if further < 0 or rest:
        raise ValueError(f"{classes} classes cannot be {first} and then {step} at a time")
    return 1 + further


def expandable_parameters(generalised: int, specialised: int, experiences: int) -> int:
    """Return the backbone parameters of DER (Yan et al., CVPR 2021): one whole backbone for each experience."""
    return experiences * (generalised + specialised)


def memo_parameters(generalised: int, specialised: int, experiences: int) -> int:
    """Return the backbone parameters of MEMO: one generalised part, one specialised block for each experience.

    >>> memo_parameters(112_016, 351_488, 10)
    3626896
    """
    return generalised + experiences * specialised


class Aligned(NamedTuple):
    """One method at a common memory size: its share of exemplars and of model.

    Attributes:
        exemplars: how many exemplars it holds.
        exemplar_bytes: what they cost.
        parameters: backbone parameters after the last experience.
        model_bytes: what they cost.
    """

    exemplars: int
    exemplar_bytes: int
    parameters: int
    model_bytes: int

    @property
    def bytes(self) -> int:
        """All of it."""
        return self.exemplar_bytes + self.model_bytes


def align(parameters: Mapping[str, int], exemplars: int, image_bytes: int) -> dict[str, Aligned]:
    """Give methods with models of different size the same memory, by exchanging parameters for exemplars.

    The method with the largest model holds ``exemplars`` and so sets the memory size; every other one turns the
    parameters that it has fewer into further exemplars.  This one rule yields the paper's settings "aligned to
    DER" and all points of its performance-memory curves, the first one, where a single backbone is larger than
    ten small ones, included.

    Args:
        parameters: backbone parameters after the last experience, by method.
        exemplars: what the method with the largest model holds; 2,000 in the paper, 20,000 on ImageNet-1000.
        image_bytes: bytes of one exemplar.

    Returns:
        one entry for each method, in the given order.

    >>> aligned = align({"single": 463_504, "der-expandable": 10 * 463_504}, 2000, 3072)
    >>> aligned["single"].exemplars, aligned["der-expandable"].exemplars
    (7431, 2000)
    """
    largest = max(parameters.values())
    result = {}
    for method, own in parameters.items():
        count = exemplars + worth_in_exemplars(largest - own, image_bytes)
        result[method] = Aligned(count, count * image_bytes, own, model_bytes(own))
    return result
