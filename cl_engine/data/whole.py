"""A data source that reads all of its data at once, and once."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod

from cl_engine.data.samples import DataSet, Labels


class WholeSource(ABC):
    """What sources have in common whose files are read and checked as a whole."""

    @abstractmethod
    def read(self) -> DataSet:
        """Read and check the files.

        Raises:
            DataError: they are missing, damaged or not as described.
        """

    def labels(self) -> Labels:
        """Return the labels, of data that was checked as a whole."""
        return self._data.labels()

    def load(self) -> DataSet:
        """Return the samples; they are read once."""
        return self._data

    def identity(self) -> str:
        """Return the SHA-256 of all samples and labels, so that a changed file is another data set."""
        return self._identity

    @functools.cached_property
    def _identity(self) -> str:
        return self._data.identity()

    @functools.cached_property
    def _data(self) -> DataSet:
        return self.read()
