"""A strategy that is rebuilt at every boundary ends with the very weights of one that lived through the stream.

So what is kept is all that a strategy of Avalanche goes on from.
"""

import pytest
import torch

pytestmark = pytest.mark.avalanche
pytest.importorskip("avalanche", reason="needs the avalanche extra")

import cl_engine  # noqa: E402
from cl_engine.adapters.avalanche.known import SUPPORTED  # noqa: E402
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
