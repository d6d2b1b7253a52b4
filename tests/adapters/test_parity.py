"""A strategy that is rebuilt at every boundary ends with the very weights of one that lived through the stream.

So what is kept is all that a strategy of Avalanche goes on from.
"""

import copy

import pytest
import torch
from torch import nn

pytestmark = pytest.mark.avalanche
pytest.importorskip("avalanche", reason="needs the avalanche extra")

import cl_engine  # noqa: E402
from cl_engine.adapters.avalanche.known import SUPPORTED  # noqa: E402
from cl_engine.config.scenario import Scenario  # noqa: E402
from cl_engine.running.learning import learn  # noqa: E402
from cl_engine.running.stream import Stream  # noqa: E402
from tests.adapters.avalanche import begun, lived_through, scenario  # noqa: E402

RENAMED = {
    "FeatureReplay": (("feature_extractor.", ""), ("train_", "")),
    "CoPE": (("classifier.0.", "classifier."),),
}


def weights(strategy, name):
    found = {}
    for key, tensor in strategy.model.state_dict().items():
        for theirs, ours in RENAMED.get(name, ()):
            key = key.replace(theirs, ours)
        found[key] = tensor
    return found


@pytest.mark.parametrize("stream", ["class-incremental", "repeating"])
@pytest.mark.parametrize("name", SUPPORTED)
def test_rebuilding_changes_no_bit_of_what_is_learned(name, stream, tmp_path):
    if name == "GEM":
        pytest.importorskip("quadprog", reason="GEM needs quadprog")
    made = scenario(name, stream)
    theirs = weights(lived_through(name, made, begun(made)), name)
    ours = cl_engine.load(cl_engine.run(made, out=tmp_path).directory).model.state_dict()
    assert len(ours) > 0
    different = [key for key in ours if not torch.equal(ours[key], theirs[key])]
    assert not different


def test_naive_and_finetune_are_one_method_where_nothing_is_drawn():
    # Whole experiences as batches, all classes from the start, no momentum that one carries on and the other does not.
    training = {"epochs": 3, "batch_size": 1000, "lr": 0.1, "momentum": 0.0, "schedule": "constant"}
    data = {"kind": "gaussian", "classes": 10, "features": 8, "samples_per_class": 30}
    made = {
        "data": data,
        "stream": {"kind": "data-incremental", "experiences": 2},
        "strategy": {"kind": "finetune", "backbone": {"kind": "mlp", "width": 16, "depth": 1}},
        "training": training,
    }
    ours = Scenario.load(made)
    network = copy.deepcopy(ours.rebuilder(ours.terms()).begun(1).network)
    last = nn.Linear(16, 10)
    last.load_state_dict(network.head.state_dict())
    model = nn.Sequential(network.backbone, last)
    lived_through("Naive", made, model)
    held = ours.rebuilder(ours.terms())
    stream, state = Stream(ours, ours.terms()), None
    for index in range(2):
        state = learn(held, index, state, stream.samples(index)).held
    learned = held.rebuilt(2, state).network
    for theirs, mine in zip(model.parameters(), learned.parameters(), strict=True):
        assert torch.allclose(theirs, mine, atol=1e-5)
    assert not torch.allclose(last.weight, network.head.weight, atol=1e-2)
