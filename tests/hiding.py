"""Strategies that try to carry past samples over a boundary, for the tests of the audit."""

import io
import os
import random
import sys
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from cl_engine import Strategy
from cl_engine.data.samples import Samples
from cl_engine.strategies.prototypes.ncm import NCM
from cl_engine.strategies.references.finetune import Finetune

MODULE_LEVEL: list = []
VARIABLE, MARK = "CL_ENGINE_TEST_HIDDEN", 123456789


class Hiding(Finetune):
    """Finetune that also trains on whatever past samples it managed to keep."""

    def stash(self):
        raise NotImplementedError

    def learn(self, task, samples):
        stash, new = self.stash(), samples
        for past in stash:
            samples = samples + past
        stash.append(new)
        super().learn(task, samples)


class InAttribute(Hiding):
    def stash(self):
        if not hasattr(self, "past"):
            self.past = []
        return self.past


class InModule(Hiding):
    def stash(self):
        return MODULE_LEVEL


def _closure():
    kept: list = []
    return lambda self: kept


class InClosure(Hiding):
    stash = _closure()


class InEnvironment(Hiding):
    """Past samples as a text in a variable of the process."""

    def stash(self):
        class Past(list):
            def append(past, samples):
                written = io.BytesIO()
                torch.save((samples.x, samples.y), written)
                os.environ[VARIABLE] = written.getvalue().hex()

        if VARIABLE not in os.environ:
            return Past()
        return Past([Samples(*torch.load(io.BytesIO(bytes.fromhex(os.environ[VARIABLE]))))])


class InGenerators(NCM):
    """Marks the state of every global generator, and counts the marks that it finds at the next boundary."""

    found: ClassVar[list] = []

    def learn(self, task, samples):
        self.found.append(self.marks())
        torch.set_rng_state(torch.Generator().manual_seed(MARK).get_state())
        np.random.seed(MARK)
        random.seed(MARK)
        self.found.append(self.marks())
        super().learn(task, samples)

    def marks(self):
        return (
            (torch.initial_seed() == MARK)
            + bool(np.random.get_state()[1][0] == np.random.RandomState(MARK).get_state()[1][0])
            + (random.getstate() == random.Random(MARK).getstate())
        )


class CachesFeatures(Strategy):
    """Nearest neighbour over a resident array that it forgot to declare."""

    def begin(self, task):
        self.classes = task.seen_classes
        self.cache: list[tuple[Tensor, Tensor]] = getattr(self, "cache", [])

    def learn(self, task, samples):
        self.cache.append((samples.x.flatten(1).float(), samples.y))

    def predict(self, x):
        scores = torch.zeros(len(x), self.classes)
        if self.cache:
            known = torch.cat([c[0] for c in self.cache])
            labels = torch.cat([c[1] for c in self.cache])
            nearest = labels[torch.cdist(x.flatten(1).float(), known).argmin(1)]
            scores[torch.arange(len(x)), nearest] = 1
        return scores


class DeclaresLate(Strategy):
    """Holds its samples openly, and for the first time while it learns."""

    def begin(self, task):
        self.classes = task.seen_classes

    def learn(self, task, samples):
        x, y = samples.x.flatten(1).float(), samples.y
        if task.index:
            x, y = torch.cat([self.known, x]), torch.cat([self.labels, y])
        self.hold("known", x, kind="exemplars")
        self.hold("labels", y, kind="labels")

    def predict(self, x):
        nearest = self.labels[torch.cdist(x.flatten(1).float(), self.known).argmin(1)]
        return torch.nn.functional.one_hot(nearest, self.classes).float()


class InKind(DeclaresLate):
    """Tries to carry data in the names of kinds."""

    def learn(self, task, samples):
        self.hold("tiny", torch.zeros(1), kind=samples.x.numpy().tobytes().hex()[:5000])


class InNames(DeclaresLate):
    """Carries data in the names of empty tensors."""

    def learn(self, task, samples):
        for number in range(20):
            self.hold(f"x{samples.x[number].numpy().tobytes().hex()}_{number}", torch.zeros(0))

    def predict(self, x):
        return torch.zeros(len(x), self.classes)


class InShapes(InNames):
    """Tries to carry data in the lengths of empty tensors."""

    def begin(self, task):
        super().begin(task)
        if task.index == 0:
            self.hold("empty", torch.zeros(0, 1))
        self.found = tuple(self.empty.shape)

    def learn(self, task, samples):
        assert self.empty.shape == (0, 1)
        self.hold("empty", torch.zeros(0, 123456789))


class InOptions(InNames):
    """Tries to carry data in a mutable option."""

    def __init__(self, *, stash: list = []):  # noqa: B006
        super().__init__()
        self.stash = stash

    def learn(self, task, samples):
        assert not self.stash
        self.stash.append(samples)


class ChangesType(InNames):
    """Holds a tensor in another type than it declared."""

    def begin(self, task):
        super().begin(task)
        if task.index == 0:
            self.hold("sums", torch.zeros(2))

    def learn(self, task, samples):
        if task.index:
            assert self.sums.dtype == torch.float64
            assert self.sums.tolist() == [1e300, 1 / 3]
        self.sums = torch.tensor([1e300, 1 / 3], dtype=torch.float64)


class TwoFaced(InNames):
    """Shows the ledger less than the checkpoint."""

    calls = 0

    def learn(self, task, samples):
        pass

    def state_dict(self, *args, **kwargs):
        TwoFaced.calls += 1
        state = super().state_dict(*args, **kwargs)
        return {**state, "more": torch.zeros(5000)} if TwoFaced.calls % 2 else state


class Overwrites(Finetune):
    """Predicts, then overwrites what it was given."""

    def predict(self, x):
        scores = super().predict(x)
        x.zero_()
        return scores


class GrowsParametersInLearn(Strategy):
    def learn(self, task, samples):
        self.weight = torch.nn.Parameter(torch.zeros(task.seen_classes, 64))

    def predict(self, x):
        return x.flatten(1).float() @ self.weight.T


class HoldsText(Strategy):
    def get_extra_state(self):
        return "everything I ever saw"

    def set_extra_state(self, state):
        pass

    def learn(self, task, samples):
        pass

    def predict(self, x):
        return torch.zeros(len(x), 1)


class WrongScores(Strategy):
    def learn(self, task, samples):
        pass

    def predict(self, x):
        return torch.zeros(len(x), 99)


BANK: list = []


class BankInPredict(Strategy):
    """Fills a bank at module level with test samples and what a frame of the engine says of their labels."""

    def begin(self, task):
        self.classes = task.seen_classes

    def learn(self, task, samples):
        BANK.append((samples.x.flatten(1).float(), samples.y))

    def predict(self, x):
        BANK.append(None)
        scores = torch.zeros(len(x), self.classes)
        known = [b for b in BANK if b is not None]
        if known:
            flat, labels = torch.cat([k[0] for k in known]), torch.cat([k[1] for k in known])
            scores[torch.arange(len(x)), labels[torch.cdist(x.flatten(1).float(), flat).argmin(1)]] = 1
        return scores


class WalksFrames(Strategy):
    """Looks for the labels of the test samples in the frames that called it."""

    def begin(self, task):
        self.classes = task.seen_classes

    def learn(self, task, samples):
        pass

    def predict(self, x):
        scores, frame = torch.zeros(len(x), self.classes), sys._getframe(1)
        while frame is not None:
            for value in frame.f_locals.values():
                y = getattr(value, "y", value)
                if isinstance(y, Tensor) and y.dtype == torch.int64 and len(y) >= len(x):
                    scores[torch.arange(len(x)), y[: len(x)].clamp(max=self.classes - 1)] = 1
                    return scores
            frame = frame.f_back
        return scores


class WritesWhilePredicting(DeclaresLate):
    """Overwrites what it holds while it predicts."""

    def load_state_dict(self, state_dict, strict=True, assign=False):
        return super().load_state_dict(state_dict, strict=strict, assign=True)

    def predict(self, x):
        scores = super().predict(x)
        self.known.zero_()
        self.labels.zero_()
        return scores


class Boasting(torch.Tensor):
    """A tensor that says it is smaller than it is."""

    def numel(self):
        return 0


class HoldsSubclass(InNames):
    def learn(self, task, samples):
        self.hold("known", samples.x.float().as_subclass(Boasting))


class InEmptyTypes(InNames):
    """Carries data in types and dimensions of empty tensors that it declared."""

    def begin(self, task):
        super().begin(task)
        if task.index == 0:
            for number in range(8):
                self.hold(f"bit{number}", torch.zeros(0, 4))
        self.found = [(tuple(self.get_buffer(f"bit{n}").shape), self.get_buffer(f"bit{n}").dtype) for n in range(8)]

    def learn(self, task, samples):
        assert self.found == [((0, 4), torch.float32)] * 8
        for number in range(8):
            shape = (0,) * (number % 3 + 1)
            self.hold(f"bit{number}", torch.zeros(shape, dtype=torch.int8 if number % 2 else torch.float64))


class InTrailingDimensions(InNames):
    """Declares a flat tensor and holds its bytes in another shape."""

    def begin(self, task):
        super().begin(task)
        if task.index == 0:
            self.hold("sums", torch.zeros(12))

    def learn(self, task, samples):
        self.hold("sums", torch.zeros(2, 3, 2) if task.index == 0 else torch.zeros(12))


class ManyDimensions(InNames):
    def learn(self, task, samples):
        self.hold("deep", torch.zeros((1,) * 60))


class BadName(InNames):
    def __init__(self, *, name: str = "x"):
        super().__init__()
        self.name = name

    def learn(self, task, samples):
        self.hold(self.name, torch.zeros(3))


class BadType(InNames):
    def learn(self, task, samples):
        self.hold("x", torch.zeros(3, dtype=torch.complex64))


class ChargesLess(Finetune):
    """Charges negative bytes to look smaller."""

    def learn(self, task, samples):
        super().learn(task, samples)
        task.charge("optimizer", -(10**9))


class WritesTask(Finetune):
    """Writes into everything that it is handed."""

    def learn(self, task, samples):
        super().learn(task, samples)
        task.transient.clear()
        object.__setattr__(task.training, "lr", 1e-9)
        task._budget = None
        assert samples.y._base is None
        assert samples.x._base is None
        assert not hasattr(task, "exposure")
        assert not hasattr(task, "budget")
        samples.y.zero_()
        samples.x.zero_()


class LooksAhead(Finetune):
    """Asks a stream that hides its boundaries what it hides."""

    def learn(self, task, samples):
        super().learn(task, samples)
        for name, value in vars(task).items():
            assert "exposure" not in name
            assert value is None or "visible" not in name


class AsksNeighbours(NCM):
    """Averages the scores of neighbouring test samples, which come sorted by label in most data sets."""

    def predict(self, x):
        scores = super().predict(x)
        return torch.stack([scores[max(0, i - 10) : i + 11].mean(0) for i in range(len(x))])


class PatchesLedger(DeclaresLate):
    """Patches the engine's own ledger in the process that it learns in."""

    def learn(self, task, samples):
        from cl_engine.memory import ledger, state

        state.entry_of = lambda kind, name, tensor: ledger.Entry(kind, name, (0,), "uint8", 0)
        super().learn(task, samples)


class KeepsClosure(Hiding):
    """Keeps samples in a closure made in ``__init__``, which a deep copy would share."""

    def __init__(self):
        super().__init__()
        kept: list = []
        self.kept = lambda: kept

    def stash(self):
        return self.kept()
