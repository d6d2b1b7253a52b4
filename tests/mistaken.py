"""Strategies with the mistakes that people make who write their first one."""

import numpy as np
import torch
from torch import nn

from cl_engine import Strategy


class Guess(Strategy):
    """No mistake yet, and nothing learned."""

    def begin(self, task):
        self.classes = task.seen_classes

    def learn(self, task, samples):
        pass

    def predict(self, x):
        return torch.zeros(len(x), self.classes)


class DividesByZero(Guess):
    def predict(self, x):
        scores = super().predict(x)
        scores[0, :2] = torch.nan
        return scores


class Infinite(Guess):
    """Sure of class 1, and that it is not class 0."""

    def predict(self, x):
        scores = super().predict(x)
        scores[:, 0], scores[:, 1] = -torch.inf, torch.inf
        return scores


class SetsWeights(Guess):
    def learn(self, task, samples):
        self.w = torch.ones(samples.x[0].numel(), self.classes)

    def predict(self, x):
        return self.scores(x)

    def scores(self, x):
        return x.flatten(1).float() @ self.w


class SetsWeightsAfterNone(SetsWeights):
    def __init__(self):
        super().__init__()
        self.w = None


class FillsDict(Guess):
    def __init__(self):
        super().__init__()
        self.w = {}

    def learn(self, task, samples):
        for c in task.classes:
            self.w[c] = samples.x[samples.y == c].float().mean(0).flatten()

    def predict(self, x):
        return -torch.cdist(x.flatten(1).float(), torch.stack([self.w[c] for c in range(self.classes)]))


class CountsInLearn(Guess):
    def learn(self, task, samples):
        self.w = self.w + 1 if task.index else 0


class CountsInBegin(Guess):
    def begin(self, task):
        super().begin(task)
        if task.index:
            self.w += 1

    def learn(self, task, samples):
        self.w = 0


class ReadsWhatNobodySet(SetsWeights):
    def scores(self, x):
        return self.nothing


class Forgets(Guess):
    """Whatever it sets, nothing fails."""

    def __init__(self):
        super().__init__()
        self.in_place, self.counts = torch.zeros(2), np.zeros(2)
        self.layers, self.parts = [nn.Linear(2, 2)], {"head": nn.Linear(2, 2)}
        self.stateless = (nn.ReLU(), "relu")

    def learn(self, task, samples):
        self.bias, self._scratch, self.empty = torch.zeros(3), torch.zeros(3), torch.zeros(0)
        self.in_place += 1
        self.counts += 1
        self.loss = 0.5


class NoSuper(Guess):
    def __init__(self, width: int = 3):
        self.width = width


class NoSuperBeforeModule(Guess):
    def __init__(self):
        self.layer = nn.Linear(2, 2)


class NoSuperBeforeHold(Guess):
    def __init__(self):
        self.hold("mean", torch.zeros(2))


class LateSuper(Guess):
    def __init__(self):
        self.layer = nn.Linear(2, 2)
        super().__init__()


class Part(nn.Module):
    def __init__(self):
        self.layer = nn.Linear(2, 2)


class HasPart(Guess):
    def __init__(self):
        super().__init__()
        self.part = Part()


class NoPredict(Strategy):
    def learn(self, task, samples):
        pass


class NoLearn(Strategy):
    def predict(self, x):
        return x


class LearnsWithoutTask(Guess):
    def learn(self, samples):
        pass


class Raises(Guess):
    def learn(self, task, samples):
        raise ValueError("a bug of its own")
