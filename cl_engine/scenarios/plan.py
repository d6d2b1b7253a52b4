"""The plan of a stream: data, not a sampler.

A plan says which training sample is delivered when.  It is a pure function of (labels, options, seed), it is
made before anything is trained, and no strategy ever sees it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cl_engine.errors import InputError

Int64 = npt.NDArray[np.int64]


class PlanError(InputError):
    """The plan breaks one of the rules that every stream obeys."""


@dataclass(frozen=True, eq=False)
class StreamPlan:
    """``T`` experiences, each an ordered run of training-sample indices.

    Attributes:
        indices: int64 ``[S]``, all experiences one after the other.
        offsets: int64 ``[T + 1]``; experience ``t`` is ``indices[offsets[t]:offsets[t + 1]]``.
        samples: number of training samples that the plan was made for; all indices lie below it.
        targets_sha256: digest of their labels.
        repeats: whether the family may deliver a sample in more than one experience.
        labels: int64 ``[S]`` labels delivered instead of the true ones (label noise), or None.
        transforms: one plain-data description per experience of what happens to its images, or of the domain that
            they come from (:mod:`cl_engine.scenarios.transforms`), or None.
        boundaries: whether strategies are told where an experience ends.
        task_identity: whether prediction is restricted to the classes of the sample's own experience.
        notes: what a reader must know, such as what was dropped and why; never silent.
        class_order: int64 ``[C]``, the labels in the order that the family was asked for, or None.  It numbers the
            classes that one experience exposes; without it they are numbered as their first samples arrive.

    Raises:
        PlanError: offsets that do not cover the indices, an index that is no training sample, a sample twice
            inside one experience, a sample in two experiences although ``repeats`` is false, or a class order
            that names a label twice.
    """

    indices: Int64
    offsets: Int64
    samples: int
    targets_sha256: str
    repeats: bool = False
    labels: Int64 | None = None
    transforms: tuple[Mapping[str, Any], ...] | None = None
    boundaries: bool = True
    task_identity: bool = False
    notes: tuple[str, ...] = ()
    class_order: Int64 | None = None

    def __post_init__(self) -> None:
        for name in ("indices", "offsets", "labels", "class_order"):
            if getattr(self, name) is None:
                continue
            array = np.array(getattr(self, name), dtype=np.int64)  # a copy, so that freezing hurts nobody
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        offsets, indices = self.offsets, self.indices
        if len(offsets) < 2 or offsets[0] != 0 or offsets[-1] != len(indices) or (np.diff(offsets) < 0).any():
            raise PlanError("offsets must rise from 0 to the number of indices and describe >= 1 experience")
        if len(indices) and not 0 <= indices.min() <= indices.max() < self.samples:
            raise PlanError(f"indices must lie between 0 and {self.samples - 1}, the training samples")
        if self.labels is not None and len(self.labels) != len(indices):
            raise PlanError("labels must hold one entry per delivered sample")
        if self.transforms is not None and len(self.transforms) != len(self):
            raise PlanError("transforms must hold one entry per experience")
        if self.class_order is not None and len(np.unique(self.class_order)) < len(self.class_order):
            raise PlanError("class_order must name no label twice")
        if self.repeats:
            for t in range(len(self)):
                if has_duplicates(self.experience(t)):
                    raise PlanError(f"experience {t} delivers a sample twice")
        elif has_duplicates(indices):
            raise PlanError("a sample is delivered twice, and this family does not declare repetition")

    def __len__(self) -> int:
        """Return the number of experiences."""
        return len(self.offsets) - 1

    def experience(self, t: int) -> Int64:
        """Return the ordered training indices of experience ``t``, int64 ``[n_t]``."""
        return self.indices[self.offsets[t] : self.offsets[t + 1]]

    def delivered(self, targets: Int64) -> Int64:
        """Return the labels as delivered, int64 ``[S]``: of ``targets`` ``[N]``, unless the plan overrides them."""
        return targets[self.indices] if self.labels is None else self.labels

    @property
    def sizes(self) -> Int64:
        """The number of samples of each experience, int64 ``[T]``."""
        return np.diff(self.offsets)

    @property
    def dropped(self) -> int:
        """The number of training samples that are never delivered."""
        delivered = np.zeros(self.samples, dtype=bool)
        delivered[self.indices] = True
        return self.samples - int(delivered.sum())

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the labels' digest, the offsets and the indices; equal on every machine.

        It names what is delivered and nothing else: two families (or two spellings of the options of one) that
        deliver the same samples in the same order share a fingerprint, whatever ids they give to the classes.
        """
        digest = hashlib.sha256(b"cl-engine plan 1\n" + self.targets_sha256.encode())
        for array in (self.offsets, self.indices, *([] if self.labels is None else [self.labels])):
            digest.update(len(array).to_bytes(8, "little"))
            digest.update(np.ascontiguousarray(array, dtype="<i8").data)
        if self.transforms is not None:
            digest.update(json.dumps([dict(t) for t in self.transforms], sort_keys=True).encode())
        return digest.hexdigest()


def has_duplicates(indices: Int64) -> bool:
    """Return whether an index occurs twice; counts a dense array, sorts one that is short for its largest index."""
    if len(indices) == 0:
        return False
    if 8 * len(indices) > indices.max():
        return bool(np.bincount(indices).max() > 1)
    ascending = np.sort(indices)
    return bool((ascending[1:] == ascending[:-1]).any())


def targets_digest(targets: Int64) -> str:
    """Return the SHA-256 of a label array, int64 ``[N]``."""
    return hashlib.sha256(np.ascontiguousarray(targets, dtype="<i8").data).hexdigest()


def plan_of(
    targets: Int64,
    experiences: Sequence[npt.NDArray[np.integer]],
    **traits: Any,
) -> StreamPlan:
    """Join the index arrays of the experiences into a plan for ``targets``; ``traits`` go to :class:`StreamPlan`.

    >>> plan = plan_of(np.array([5, 5, 9]), [np.array([1, 0]), np.array([2])])
    >>> plan.indices.tolist(), plan.offsets.tolist()
    ([1, 0, 2], [0, 2, 3])
    """
    sizes = [len(e) for e in experiences]
    indices = np.concatenate([np.asarray(e, dtype=np.int64) for e in experiences])
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return StreamPlan(indices, offsets, len(targets), targets_digest(targets), **traits)


def exposure_order(targets: Int64, plan: StreamPlan) -> Int64:
    """Return the label values in the order of their class ids, int64 ``[C]``: experience by experience.

    The classes that one experience exposes stand in the plan's class order; where it has none (or does not name
    them), in the order of their first samples.  A wrong label (label noise) exposes the class that it names.
    Position in this array is the class id that strategies see (invariant U8: a bijection that never renames an
    exposed class).

    >>> targets = np.array([30, 10, 20, 10])
    >>> experiences = [np.array([1, 3]), np.array([2, 0])]
    >>> exposure_order(targets, plan_of(targets, experiences)).tolist()
    [10, 20, 30]
    >>> exposure_order(targets, plan_of(targets, experiences, class_order=[30, 20, 10])).tolist()
    [10, 30, 20]
    """
    labels, first = np.unique(plan.delivered(targets), return_index=True)
    if plan.class_order is None:
        return labels[np.argsort(first, kind="stable")]
    experience = np.searchsorted(plan.offsets, first, side="right")
    return labels[np.lexsort((first, class_ids(labels, plan.class_order), experience))]


def class_ids(labels: Int64, order: Int64) -> Int64:
    """Return the position of each label in ``order`` ``[C]``, its class id; ``len(order)`` if it is not there.

    >>> class_ids(np.array([30, 10, 99]), np.array([10, 30])).tolist()
    [1, 0, 2]
    """
    by_label = np.argsort(order)
    place = np.searchsorted(order, labels, sorter=by_label).clip(max=len(order) - 1)
    return np.where(order[by_label[place]] == labels, by_label[place], len(order))
