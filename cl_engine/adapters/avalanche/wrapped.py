"""A strategy of ours as one of Avalanche, for a script that has one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cl_engine.adapters.avalanche.data import Raw, as_held
from cl_engine.adapters.avalanche.needed import need_avalanche
from cl_engine.data.normalisation import normalisation
from cl_engine.data.samples import DataError, Samples, sample_bytes
from cl_engine.kinds.registry import load
from cl_engine.kinds.validation import resolve, validate
from cl_engine.memory.budget import Budget, MemoryOptions
from cl_engine.memory.ledger import Entry, held_bytes
from cl_engine.memory.state import HeldState
from cl_engine.running.learning import learn
from cl_engine.scenarios.exposure import Exposure
from cl_engine.strategies.rebuilding import Rebuilder
from cl_engine.strategies.strategy import Strategy
from cl_engine.terms.terms import Terms
from cl_engine.terms.training import Training

need_avalanche()

from avalanche.training.plugins import EvaluationPlugin  # noqa: E402
from avalanche.training.templates import SupervisedTemplate  # noqa: E402


class EngineStrategy(SupervisedTemplate):  # type: ignore[misc]
    """A strategy of the engine in a script of Avalanche: ``train(experience)``, ``eval(stream)``, its metrics.

    Between experiences it is thrown away and rebuilt from what it holds, as in the engine; ``ledger`` says what
    that is.  Plugins are told of experiences and evaluation, not of batches in training, which the strategy makes
    itself.  New labels of an experience become class ids in ascending order.  An experience without samples is
    passed over.

    Args:
        strategy: a kind, ``{kind: memo, total: 2000}`` or a class of your own, as in a scenario.
        training: the ``training`` section.
        memory: the ``memory`` section; ``exemplars: fixed`` would need to know the stream, and counts as ``fill``.
        seed: root of every random draw.
        raw: makes of a sample what the engine holds; see :func:`from_benchmark`.
        evaluator: as of any strategy of Avalanche.
        eval_mb_size: samples of a batch in evaluation.
        device: where the strategy lives.
        plugins: further plugins.

    Attributes:
        ledger: what is held after the last experience: kind, name, shape, dtype and bytes of each tensor.
        notes: remarks of the strategy.

    Raises:
        Problems: an option is wrong.
        MemoryContractError: the strategy holds more than its budget.
    """

    ledger: list[Entry]
    mb_output: Any

    def __init__(
        self,
        strategy: str | Mapping[str, Any] | type[Strategy],
        *,
        training: Mapping[str, Any] | None = None,
        memory: Mapping[str, Any] | None = None,
        seed: int = 0,
        raw: Raw | None = None,
        evaluator: Any = None,
        eval_mb_size: int = 256,
        device: str = "cpu",
        plugins: list[Any] | None = None,
    ) -> None:
        options = resolve("strategies", {"kind": strategy} if isinstance(strategy, type) else strategy)
        kind = options.pop("kind")
        self._class: Any = strategy if isinstance(strategy, type) else load("strategies", kind)
        self._options, self._memory = options, MemoryOptions(**validate(MemoryOptions, memory or {}))
        self._training = Training(**validate(Training, training or {}))
        self._seed, self._raw = seed, raw or as_held
        self._labels: list[int] = []
        self._exposures: tuple[Exposure, ...] = ()
        self._rebuilder: Rebuilder | None = None
        self._held: HeldState | None = None
        self.ledger, self.notes = [], list[str]()
        super().__init__(
            model=_Predicting(self._raw),
            optimizer=None,
            eval_mb_size=eval_mb_size,
            device=device,
            plugins=plugins,
            evaluator=evaluator or EvaluationPlugin(loggers=[]),
        )

    @property
    def held_bytes(self) -> int:
        """Bytes that are held after the last experience."""
        return held_bytes(self.ledger)

    def make_train_dataloader(self, *args: Any, **kwargs: Any) -> None:
        """Make nothing: the strategy makes batches itself."""

    def make_optimizer(self, *args: Any, **kwargs: Any) -> None:
        """Make nothing: the strategy has its own."""

    def check_model_and_optimizer(self, *args: Any, **kwargs: Any) -> None:
        """Change nothing: the strategy grows by itself."""

    def criterion(self) -> Any:
        """Return the loss of a batch in evaluation; labels beyond all that were exposed have the lowest score."""
        missing = int(self.mb_y.max()) + 1 - self.mb_output.shape[1]
        if missing > 0:
            lowest = float(self.mb_output.min())
            self.mb_output = nn.functional.pad(self.mb_output, (0, missing), value=lowest)
        return super().criterion()

    def _train_exp(self, experience: Any, eval_streams: Any = None, **kwargs: Any) -> None:
        rows = [self.adapted_dataset[place] for place in range(len(self.adapted_dataset))]
        if not rows:
            return
        x = torch.stack([self._raw(row[0]) for row in rows])
        samples = Samples(x, self._ids([int(row[1]) for row in rows]))
        index, terms = len(self._exposures) - 1, self._terms(samples)
        if self._rebuilder is None:
            self._rebuilder = Rebuilder(self._class, self._options, terms)
        self._rebuilder.terms = terms
        learned = learn(self._rebuilder, index, self._held, samples)
        terms.enforce(learned.held.entries, learned.transient, index)
        self._held, self.ledger = learned.held, learned.held.entries
        self.notes += [note for note in learned.notes if note not in self.notes]
        self.model.serve(self._rebuilder.rebuilt(index + 1, self._held), self._labels)

    def _ids(self, labels: list[int]) -> Tensor:
        """Return the ids of labels, and remember what the experience exposes."""
        new = sorted({*labels} - {*self._labels})
        old = len(self._labels)
        self._labels += new
        place = {label: number for number, label in enumerate(self._labels)}
        ids = torch.tensor([place[label] for label in labels])
        exposed = tuple(range(old, len(self._labels)))
        exposure = Exposure(tuple(sorted({*ids.tolist()})), exposed, len(self._labels))
        self._exposures = (*self._exposures, exposure)
        return ids

    def _terms(self, samples: Samples) -> Terms:
        """Return the terms of a run, with the experiences until now."""
        if self._rebuilder is not None:
            terms = self._rebuilder.terms
            if tuple(samples.x.shape[1:]) != terms.shape:
                what = f"samples are {list(samples.x.shape[1:])}, and were {list(terms.shape)}"
                raise DataError(f"{what}; allowed: the same shape in every experience")
            return dataclasses.replace(terms, exposures=self._exposures)
        shape = tuple(samples.x.shape[1:])
        standardised = len(shape) == 3 and self._training.normalise == "data"
        return Terms(
            exposures=self._exposures,
            shape=shape,
            training=self._training,
            device=str(self.device),
            seed=self._seed,
            budget=Budget.from_options(self._memory, sample_bytes(shape)),
            model_dtype=self._memory.model_dtype,
            normalisation=normalisation(samples) if standardised else None,
        )


class _Predicting(nn.Module):
    """What Avalanche evaluates: maps samples of the benchmark to a score for each label.

    Labels that were never exposed have a score below all others.
    """

    def __init__(self, raw: Raw) -> None:
        super().__init__()
        self._raw = raw
        self._served: list[Any] = []  # in a list, so that it is no part of this module
        self._columns = torch.empty(0, dtype=torch.int64)  # of the strategy's scores: the label of each

    def serve(self, strategy: Strategy, labels: list[int]) -> None:
        """Predict with another strategy from now on."""
        self._served, self._columns = [strategy], torch.tensor(labels)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Return scores ``[B, largest label + 1]``."""
        if not self._served:
            raise DataError("nothing is learned yet, so nothing can be predicted; allowed: train() first")
        raw = torch.stack([self._raw(row) for row in x.cpu()]).to(x.device)
        scores: Tensor = self._served[0].predict(raw).float()
        scores = scores.clamp(min=torch.finfo(scores.dtype).min / 2)
        columns = self._columns.to(scores.device)
        found = scores.new_full((len(x), int(columns.max()) + 1), float(scores.min()) - 1)
        found.index_copy_(1, columns, scores)
        return found
