"""A plan made elsewhere, and plans written for elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from cl_engine.kinds.problems import OptionError, one_line
from cl_engine.kinds.signature import ExistingFile
from cl_engine.scenarios.plan import Int64, PlanError, StreamPlan, targets_digest


def stored(
    targets: Int64,
    *,
    path: Annotated[str, ExistingFile(), Field(description="a .npz file with `indices` and `offsets`")],
    seed: Annotated[int, Field(ge=0, description="has no effect: the plan is fixed")] = 0,
) -> StreamPlan:
    """A plan from a file: int64 `indices`, all experiences one after the other, and `offsets` of length T+1.

    Beside them may stand ``labels`` (int64, as long as ``indices``), ``class_order`` (int64, each label of the data
    once), ``traits`` (JSON: ``repeats``, ``boundaries``, ``task_identity``, ``transforms``, ``notes``) and
    ``targets_sha256``, which then must be that of this data.
    Without ``traits``, whether samples repeat is read off the indices.

    Raises:
        OptionError: the file is no such plan, or one for other data.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        missing = [name for name in ("indices", "offsets") if name not in arrays]
        if missing:
            raise PlanError(f"lacks {', '.join(missing)}")
        traits = json.loads(str(arrays.pop("traits"))) if "traits" in arrays else {}
        digest = str(arrays.pop("targets_sha256", targets_digest(targets)))
        if digest != targets_digest(targets):
            raise OptionError(
                "path", "the plan was made for other data (its labels differ); allowed: one for this data"
            )
        for name in ("indices", "offsets", "labels", "class_order"):
            if name in arrays and (arrays[name].ndim != 1 or arrays[name].dtype.kind not in "iu"):
                raise PlanError(f"{name} must be a row of integers")
        if "labels" in arrays and not np.isin(arrays["labels"], targets).all():
            raise PlanError("labels must be labels of this data")
        if "class_order" in arrays and sorted(arrays["class_order"].tolist()) != np.unique(targets).tolist():
            raise PlanError("class_order must hold each label of this data once")
        if "repeats" not in traits:
            traits["repeats"] = len(np.unique(arrays["indices"])) < len(arrays["indices"])
        if traits.get("transforms") is not None:
            traits["transforms"] = tuple(traits["transforms"])
        traits["notes"] = tuple(traits.get("notes", ()))
        return StreamPlan(**arrays, samples=len(targets), targets_sha256=digest, **traits)
    except OptionError:
        raise
    except Exception as error:  # NumPy, zipfile and json raise many kinds for a damaged file
        raise OptionError(
            "path", f"no plan: {one_line(error)}; allowed: `indices` and `offsets` in a .npz"
        ) from None


def store(plan: StreamPlan, path: Path) -> None:
    """Write a plan so that :func:`stored` reads back the same one."""
    traits = {
        "repeats": plan.repeats,
        "boundaries": plan.boundaries,
        "task_identity": plan.task_identity,
        "transforms": None if plan.transforms is None else [dict(t) for t in plan.transforms],
        "notes": list(plan.notes),
    }
    arrays: dict[str, Any] = {"indices": plan.indices, "offsets": plan.offsets}
    for name in ("labels", "class_order"):
        if getattr(plan, name) is not None:
            arrays[name] = getattr(plan, name)
    with open(path, "wb") as file:
        np.savez_compressed(
            file, **arrays, targets_sha256=np.array(plan.targets_sha256), traits=np.array(json.dumps(traits))
        )
