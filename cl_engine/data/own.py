"""A data source of the user's own, held to what the engine relies on."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from cl_engine.data.samples import DataError, DataSet, DataSource, Labels


class Own:
    """What a class of the user's own answers, checked; whatever else it has, such as ``identity``, is its own.

    A stream is planned from ``labels()`` and its samples come from ``load()``: where the two differ, samples would
    be learned under the labels of others.

    Args:
        source: an object of the user's class.
        name: what messages call it, such as ``mine:Source``.
    """

    def __init__(self, source: DataSource, name: str) -> None:
        self.source, self.name = source, name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "source":  # a copy asks before there is a source
            raise AttributeError(name)
        return getattr(self.source, name)

    def labels(self) -> Labels:
        """Return the labels.

        Raises:
            DataError: something else was returned.
        """
        found: object = self.source.labels()
        if not isinstance(found, Labels):
            allowed = "cl_engine.data.samples.Labels(train, test, shape), as a DataSet's labels() returns them"
            raise DataError(f"labels() of {self.name} returned {type(found).__name__}; allowed: {allowed}")
        return found

    def load(self) -> DataSet:
        """Return the samples.

        Raises:
            DataError: something else was returned, or samples that ``labels()`` does not describe.
        """
        found: object = self.source.load()
        if not isinstance(found, DataSet):
            allowed = "a cl_engine.DataSet"
            raise DataError(f"load() of {self.name} returned {type(found).__name__}; allowed: {allowed}")
        told, real = self.labels(), found.labels()
        for field in dataclasses.fields(Labels):
            if not np.array_equal(getattr(told, field.name), getattr(real, field.name)):
                raise DataError(
                    f"load() of {self.name} has other data than its labels() says: {field.name} differs; "
                    "allowed: labels, shape and domains of the same samples in the same order"
                )
        return found


def checked(source: DataSource, kind: str) -> DataSource:
    """Return a source, one of the user's own (``module:Class``) held to its contract."""
    return source if ":" not in kind or isinstance(source, DataSet) else Own(source, kind)
