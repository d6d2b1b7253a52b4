"""Some classes of another data set."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field

from cl_engine.data.own import checked
from cl_engine.data.samples import DataSet, Labels, Samples
from cl_engine.kinds.problems import OptionError
from cl_engine.kinds.registry import load
from cl_engine.kinds.signature import Part


class Subset:
    """Some classes of another data set, with the labels that they have there.

    What is left out can be a gallery, queries, or what a model is trained on elsewhere: two subsets of one data set
    whose classes are disjoint share no sample.

    Raises:
        OptionError: both or neither of `classes` and `exclude`, a class that is not there, or none left.
    """

    def __init__(
        self,
        *,
        of: Annotated[str | dict[str, Any], Part("data"), Field(description="the data whose classes they are")],
        classes: Annotated[list[int] | None, Field(min_length=1, description="labels of those that stay")] = None,
        exclude: Annotated[list[int] | None, Field(min_length=1, description="labels of those that go")] = None,
    ) -> None:
        assert isinstance(of, dict)
        if (classes is None) == (exclude is None):
            raise OptionError("classes", "given with exclude, or neither is; allowed: one of the two")
        self.of = of
        try:
            made = load("data", of["kind"])(**{k: v for k, v in of.items() if k != "kind"})
        except OptionError as error:
            raise OptionError(f"of.{error.option}", error.problem) from None
        self.source = checked(made, of["kind"])
        self._asked = sorted({*(classes or exclude or ())})
        self._stay = classes is not None

    def labels(self) -> Labels:
        """Return the labels of the samples that stay."""
        whole = self.source.labels()
        train, test = (np.flatnonzero(self._chosen(y)) for y in (whole.train, whole.test))
        if unknown := sorted({*self._asked} - {*whole.train.tolist()}):
            option = "classes" if self._stay else "exclude"
            raise OptionError(option, f"the data has no class {unknown[0]}; allowed: labels of its samples")
        if not len(train):
            raise OptionError("exclude", "leaves no class; allowed: fewer of them")
        domains = [
            None if rows is None else rows[chosen]
            for rows, chosen in ((whole.train_domains, train), (whole.test_domains, test))
        ]
        return Labels(whole.train[train], whole.test[test], whole.shape, *domains)

    def load(self) -> DataSet:
        """Return the samples that stay, in the order that they have there, and the names of their classes."""
        self.labels()  # says what is wrong with the classes
        whole = self.source.load()
        names = whole.classes
        if names is not None:
            stays = self._chosen(np.unique(whole.train.y.numpy()))
            names = tuple(name for name, stay in zip(names, stays.tolist(), strict=True) if stay)
        return DataSet(self._of(whole.train), self._of(whole.test), names)

    def identity(self) -> str:
        """Return the SHA-256 over what the data is and which classes stay."""
        own = getattr(self.source, "identity", None)
        stay = np.unique(self.labels().train).tolist()
        text = json.dumps([own() if own else self.of, stay], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def notes(self) -> tuple[str, ...]:
        """What the data itself has to say, such as what was left out of it."""
        return tuple(getattr(self.source, "notes", ()))

    @property
    def extractor(self) -> Any:
        """What makes the ledger of the data's own extractor, or None."""
        return getattr(self.source, "extractor", None)

    def _chosen(self, y: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        return np.isin(y, self._asked, invert=not self._stay)

    def _of(self, part: Samples) -> Samples:
        return part[torch.from_numpy(self._chosen(part.y.numpy()))]
