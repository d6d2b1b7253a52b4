"""Every shipped strategy keeps the contract that users' strategies are held to; the checker finds breaches."""

import pytest
import torch

from cl_engine import Strategy
from cl_engine.kinds.registry import load
from cl_engine.testing import BrokenContract, check_strategy
from tests import hiding
from tests.strategies.small import every_kind, small

VARIANTS = [
    *every_kind(small),
    ("finetune", {"backbone": "convnet2"}),
    ("ncm", {"backbone": "convnet2"}),
    ("g-acil", {"width": 0}),
    ("g-acil", {"backbone": "mlp", "width": 48}),
    ("g-acil", {"ablate": "eclg", "width": 48}),
    ("acil", {"solver": "recursive", "width": 48}),
    ("acil", {"storage": "packed", "width": 47}),
    ("acil", {"storage": "float32", "width": 48}),
    ("acil", {"storage": "smallest", "width": 24}),
    ("ranpac", {"ridge": 1.0, "width": 48}),
    ("ds-al", {"residual": "batch", "width": 48}),
    ("air", {"counts": "released", "width": 48}),
    ("slda", {"variant": "released"}),
    ("replay", {"selection": "herding", "total": 12}),
    ("replay", {"selection": "reservoir", "total": 12}),
    ("replay", {"per_class": 3}),
]


@pytest.mark.parametrize(("kind", "options"), VARIANTS, ids=str)
def test_shipped_strategies_keep_the_contract(kind, options):
    check_strategy(load("strategies", kind), **options)


class Undeclared(Strategy):
    def begin(self, task):
        self.classes = task.seen_classes

    def learn(self, task, samples):
        self.bias = torch.bincount(samples.y, minlength=self.classes).float()

    def predict(self, x):
        return getattr(self, "bias", torch.zeros(self.classes)).expand(len(x), -1)


class RandomBegin(Undeclared):
    def begin(self, task):
        super().begin(task)
        self.register_buffer("noise", torch.randn(3, generator=torch.Generator().manual_seed(id(self) % 2**31)))

    def learn(self, task, samples):
        pass


class BatchDependent(RandomBegin):
    def begin(self, task):
        self.classes = task.seen_classes

    def predict(self, x):
        return x.flatten(1).float().mean().expand(len(x), self.classes) + torch.arange(self.classes)


class ChangesWhenPredicting(BatchDependent):
    def begin(self, task):
        super().begin(task)
        self.hold("calls", torch.zeros(1))

    def predict(self, x):
        self.calls += 1
        return torch.zeros(len(x), self.classes)


@pytest.mark.parametrize(
    ("strategy", "complaint"),
    [
        (Undeclared, "predicts differently"),
        (Undeclared, "self.bias is a tensor outside state_dict|predicts differently"),
        (RandomBegin, r"begin\(\) is not deterministic: noise"),
        (BatchDependent, "which samples share a batch"),
        (ChangesWhenPredicting, r"predict\(\) changed calls"),
        (hiding.WrongScores, r"predict\(\) returned \(\d+, 99\)"),
        (hiding.GrowsParametersInLearn, "does not rebuild what is held"),
        (hiding.HoldsText, "is str; allowed: dense tensors"),
        (Strategy, r"Strategy has no learn\(\); allowed: a subclass with def learn"),
        (hiding.InAttribute, "depends on something that learn\\(\\) kept outside"),
        (hiding.InKind, "allowed: a short word"),
    ],
)
def test_breaches_are_found_and_named(strategy, complaint):
    with pytest.raises(BrokenContract, match=complaint):
        check_strategy(strategy)


def test_wrong_options_are_named():
    with pytest.raises(BrokenContract, match="width: got 'x'; allowed: an integer >= 0"):
        check_strategy(load("strategies", "g-acil"), width="x")
