"""A strategy of one's own beside the references, under one budget: python examples/own_strategy.py"""

import torch

import cl_engine
from cl_engine import Strategy


class Nearest(Strategy):
    """Nearest neighbour among the first samples of each class."""

    def __init__(self, *, per_class: int = 5) -> None:
        super().__init__()
        self.per_class = per_class

    def begin(self, task):
        """Start with nothing; remember how many classes there are."""
        self.classes = task.seen_classes
        if task.index == 0:
            self.hold("x", torch.zeros(0, *task.shape), kind="exemplars")
            self.hold("y", torch.zeros(0, dtype=torch.int64), kind="labels")

    def learn(self, task, samples):
        """Keep the first samples of each new class."""
        for c in task.new_classes:
            chosen = samples[samples.y == c][: self.per_class]
            self.x, self.y = torch.cat([self.x, chosen.x]), torch.cat([self.y, chosen.y])

    def predict(self, x):
        """Vote for the class of the nearest sample."""
        nearest = torch.cdist(x.flatten(1).float(), self.x.flatten(1)).argmin(1)
        return torch.nn.functional.one_hot(self.y[nearest], self.classes)


if __name__ == "__main__":
    for strategy in (Nearest, "replay", "ncm"):
        record = cl_engine.run("quickstart", strategy=strategy)
        print(f"{record!r}")
