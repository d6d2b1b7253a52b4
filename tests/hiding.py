"""Strategies that try to carry past samples over a boundary, for the tests of the audit."""

import torch
from torch import Tensor

from cl_engine import Strategy
from cl_engine.strategies.references.finetune import Finetune

MODULE_LEVEL: list = []


class Hiding(Finetune):
    """Finetune that also trains on whatever past samples it managed to keep."""

    def stash(self):
        raise NotImplementedError

    def learn(self, task, samples):
        stash = self.stash()
        for past in list(stash):
            samples = samples + past
        stash.append(samples)
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
