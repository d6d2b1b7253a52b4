"""What the tensors of a known checkpoint are called here."""

from __future__ import annotations

import re
from typing import NamedTuple


class Renaming(NamedTuple):
    """From the names of a checkpoint to ours.

    Attributes:
        rules: pairs of a regular expression for the beginning of a name, and what it becomes; the first that fits.
        classifier: how names of the classifier begin, which is no part of a backbone.

    >>> renaming = Renaming(((r"layer(\\d)\\.", r"stages.\\1."),), classifier=("fc.",))
    >>> renaming("layer1.weight"), renaming("fc.bias"), renaming("stages.1.weight")
    ('stages.1.weight', None, 'stages.1.weight')
    """

    rules: tuple[tuple[str, str], ...] = ()
    classifier: tuple[str, ...] = ()

    def __call__(self, name: str) -> str | None:
        """Return our name; None where it is the classifier's; a name that no rule fits stays as it is."""
        if name.startswith(self.classifier):
            return None
        for pattern, ours in self.rules:
            if found := re.match(pattern, name):
                return found.expand(ours) + name[found.end() :]
        return name
