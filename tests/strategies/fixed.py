"""What stands for a network in tests of losses: scores that are given, and steps of a stream on digits."""

import torch
from torch import nn

from cl_engine.data.digits import Digits
from cl_engine.scenarios.exposure import Exposure
from cl_engine.strategies.rebuilding import Rebuilder
from cl_engine.terms.terms import Terms
from cl_engine.terms.training import Training

RETURNING = ((0, 1), (2, 3), (3, 0, 4), (4, 1))  # classes return in an order not theirs; the last brings none


class Fixed(nn.Module):
    """Answers every batch with the same scores, a float64 parameter."""

    def __init__(self, scores):
        super().__init__()
        self.scores = nn.Parameter(torch.tensor(scores, dtype=torch.float64))

    def forward(self, x):
        return self.scores


def rebuilder(strategy, steps=RETURNING, shape=(1, 8, 8), epochs=2, online=False, seed=5, **options):
    exposures, seen = [], 0
    for classes in steps:
        new = tuple(c for c in classes if c >= seen)
        seen += len(new)
        exposures.append(Exposure(tuple(classes), new, seen))
    training = Training(epochs=epochs, batch_size=32)
    return Rebuilder(strategy, options, Terms(tuple(exposures), shape, training, seed=seed, online=online))


def digits(*classes):
    train = Digits().load().train
    return train[torch.isin(train.y, torch.tensor(classes))]


def learned(made, experiences):
    """Return the strategy after so many experiences, live, and the last task."""
    strategy = made.begun(0)
    for index in range(experiences):
        task = made.terms.task(index)
        strategy.begin(task)
        strategy.learn(task, digits(*made.terms.exposures[index].classes))
        strategy.end(task)
    return strategy.eval(), task


def copied(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
