"""CKA between branches against an independent computation on the branches' own outputs."""

import numpy as np
import pytest
import torch

import cl_engine
from cl_engine.evaluation.observing import branch_hsic
from cl_engine.models.branched import Branched
from tests.metrics.test_similarity import hsic1

SCENARIO = {
    "data": "digits",
    "stream": {"step": 5},
    "training": {"epochs": 1},
    "strategy": {"kind": "der-expandable", "backbone": {"kind": "mlp", "width": 8, "depth": 2}},
    "analyses": ["branch-cka"],
}


def network(cut, branches):
    made = Branched("mlp", (6,), torch.Generator().manual_seed(0), torch.device("cpu"), cut=cut)
    for k in range(branches - 1):
        made.branch()
        for p in made.blocks[-1].parameters():
            p.data += 0.1 * torch.randn(p.shape, generator=torch.Generator().manual_seed(k))
    return made.eval()


@pytest.mark.parametrize("cut", [0, 1])
def test_each_layer_of_every_two_branches_is_compared_in_mini_batches(cut):
    made, x = network(cut, 3), torch.randn(150, 6, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        found = branch_hsic(made, made.features, x, torch.device("cpu"))
        outputs = []
        for branch in made.blocks:
            values = made.general(x)
            stages = list(branch) if cut == 0 else [branch]
            outputs.append([values := stage(values) for stage in stages])
    expected = np.zeros((2 - cut, 3, 3))
    for rows in (slice(75), slice(75, None)):
        for layer, i, j in np.ndindex(expected.shape):
            a, b = (outputs[k][layer][rows].double().numpy() for k in (i, j))
            expected[layer, i, j] += hsic1(a @ a.T, b @ b.T)
    assert found.numpy() == pytest.approx(expected, rel=1e-4)


def test_features_made_in_parts_and_of_a_frozen_network_are_the_same(monkeypatch):
    x = torch.randint(0, 256, (300, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    made = Branched("resnet14", (3, 8, 8), torch.Generator().manual_seed(0), torch.device("cpu"))
    made.branch()
    with torch.no_grad():
        whole = branch_hsic(made.eval(), made.features, x, torch.device("cpu"))
        monkeypatch.setattr("cl_engine.models.extraction.VALUES", 20 * 3 * 8 * 8)
        parts = branch_hsic(made, made.features, x, torch.device("cpu"))
        made.requires_grad_(False)  # a copy with its norms folded in is run instead
        frozen = branch_hsic(made, made.features, x, torch.device("cpu"))
    assert parts.numpy() == pytest.approx(whole.numpy(), rel=1e-3)
    assert frozen.numpy() == pytest.approx(whole.numpy(), rel=1e-3)


def test_a_run_records_the_newest_branch_against_each_and_all_at_the_end():
    found = cl_engine.run(SCENARIO).to_dict()["analyses"]["branch-cka"]
    assert found["layers"] == 2
    assert [[len(row) for row in layers] for layers in found["newest"]] == [[1, 1], [2, 2]]
    for layer, matrix in enumerate(found["matrix"]):
        assert np.diag(matrix) == pytest.approx([1, 1])
        assert matrix[0][1] == pytest.approx(matrix[1][0])
        assert found["newest"][1][layer] == pytest.approx(matrix[1])
        assert -0.5 < matrix[0][1] < 1
    assert found["samples"][1] == 355
    assert "chosen by the engine" in found["samples_are"]


def test_a_dead_branch_is_like_nothing():
    made, x = network(0, 2), torch.randn(20, 6)
    for p in made.blocks[-1].parameters():
        p.data.zero_()
    hsic = branch_hsic(made, made.features, x, torch.device("cpu"))
    assert hsic[0, 1].tolist() == [0, 0]
    assert branch_hsic(made, made.features, x[:3], torch.device("cpu")).abs().sum() == 0
