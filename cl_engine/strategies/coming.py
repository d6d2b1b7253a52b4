"""The classes of an experience, also where the stream hides them or where old ones return."""

from __future__ import annotations

import torch
from torch import Tensor

from cl_engine.data.samples import Samples
from cl_engine.terms.task import Task


def coming(task: Task, samples: Samples) -> Tensor:
    """Return which of the seen classes the experience has, as far as its samples tell, bool ``[C]``.

    New classes, and old ones of which a sample was delivered by now: a class that returns is old and here at once.

    >>> from cl_engine.scenarios.exposure import Exposure
    >>> task = Task(1, Exposure((1, 2), (2,), 3), shape=(4,))
    >>> coming(task, Samples(torch.zeros(2, 4), torch.tensor([1, 2])))
    tensor([False,  True,  True])
    """
    delivered = task.keep("classes delivered", lambda: torch.arange(task.seen_classes) >= task.old_classes)
    delivered[samples.y.cpu()] = True
    return delivered.clone()
