"""In which mode a strategy's modules are when it is called, and what an experience without a step says."""

import torch
from torch import nn

import cl_engine
from cl_engine.strategies.references.finetune import Finetune

BASE = {"data": "digits", "stream": {"step": 5}, "training": {"epochs": 1}}
SEEN = []


class Own(Finetune):
    """Looks at the mode of its modules wherever it is called."""

    def begin(self, task):
        super().begin(task)
        if task.index == 0:
            self.dropout = nn.Dropout()

    def learn(self, task, samples):
        SEEN.append((task.index, self.dropout.training, self.network.training))
        super().learn(task, samples)
        SEEN.append((task.index, self.dropout.training, self.network.training))

    def predict(self, x):
        SEEN.append(("predict", self.dropout.training, self.network.training))
        return super().predict(x)


def test_modules_are_in_the_same_mode_in_the_first_experience_as_in_any_other():
    SEEN.clear()
    cl_engine.run({**BASE, "strategy": Own})
    assert len(SEEN) == 6
    assert {(dropout, network) for _, dropout, network in SEEN} == {(False, False)}


def test_an_online_experience_without_a_step_says_so():
    online = {**BASE, "stream": {"step": 5, "delivery": "online"}, "strategy": "finetune"}
    notes = cl_engine.run(online, **{"training.updates_per_sample": 0.0001}).to_dict()["notes"]
    assert sum("took no step" in note for note in notes) == 2


def test_gradients_that_wait_at_the_end_of_an_online_experience_are_a_step():
    class Steps(Finetune):
        def learn(self, task, samples):
            self.before = self.network.head.bias.detach().clone()
            super().learn(task, samples)

        def end(self, task):
            SEEN.append(torch.equal(self.before, self.network.head.bias))

    SEEN.clear()
    online = {**BASE, "stream": {"step": 5, "delivery": "online"}, "strategy": Steps}
    cl_engine.run(online, **{"training.updates_per_sample": 0.1, "training.accumulate": 10**6})
    assert SEEN == [False, False]
