"""Galleries that are mapped when a model comes, in closed form or by the strategy; truncated vectors."""

import numpy as np
import pytest
import torch

import cl_engine
from cl_engine import Strategy
from cl_engine.metrics import compatibility_matrix, cross_test
from cl_engine.running import audit
from tests.evaluation.test_compatibility import held_out, scenario, unit
from tests.stopping import StopAfter

FCT = {"kind": "fct", "backbone": {"kind": "mlp", "width": 16}, "total": 40, "width": 8, "map_epochs": 2}


@pytest.fixture
def observed(monkeypatch):
    """What models were asked for, and what they made of it, in order."""
    found, plain = [], audit.observe

    def observe(strategy, what, x, device):
        made = plain(strategy, what, x, device)
        found.append((what, torch.cat([*x.split(100)]), made))
        return made

    monkeypatch.setattr(audit, "observe", observe)
    return found


def mapping(protocol="instances", **options):
    return scenario(protocol, **{"strategy": FCT, **options})


def asking(**options):
    return {"evaluate": {"compatibility": options}}


@pytest.mark.parametrize("kind", ["procrustes", "ridge"])
def test_a_closed_form_map_leads_from_each_stored_gallery_to_the_space_of_the_newest_model(observed, kind):
    asked = asking(protocol="templates", map=kind, pairs=20)
    found = cl_engine.run(scenario(**asked)).to_dict()["compatibility"]
    galleries, queries = ([made["features"] for _, _, made in observed[n::2]] for n in (0, 1))
    y, yq = (held_out(part).y for part in ("test", "train"))
    assert found["matrix"] == compatibility_matrix(galleries, queries, y, yq, map=kind, pairs=20)
    assert found["map"] == {"kind": kind, "pairs": 20}
    assert found["gallery_bytes"] == [4 * len(y) * 15] * 3  # every vector, as a map has no use for templates


def test_the_gallery_of_each_model_goes_through_the_maps_of_all_models_after_it(observed):
    run = cl_engine.run(mapping(seed=3))
    found = run.to_dict()["compatibility"]
    assert [what for what, _, _ in observed] == ["stored", "features"] + 2 * ["stored", "features", "renewed"]
    stored, features, renewed = (
        [(x, made) for what, x, made in observed if what == name] for name in ("stored", "features", "renewed")
    )
    n = len(held_out("test"))
    own = [made["stored"] for _, made in stored]
    assert torch.equal(renewed[0][0], own[0])
    assert torch.equal(renewed[1][0], torch.cat([renewed[0][1]["renewed"], own[1]]))  # what became of it goes on
    assert len(renewed[1][1]["renewed"]) == 2 * n
    y, yq = (held_out(part).y for part in ("test", "train"))
    galleries = [[own[0]], [renewed[0][1]["renewed"], own[1]], [*renewed[1][1]["renewed"].split(n), own[2]]]
    asked = [made["features"] for _, made in features]
    expected = [
        [cross_test(q, gallery, yq, y, "instances") for gallery in row]
        for q, row in zip(asked, galleries, strict=True)
    ]
    assert found["matrix"] == expected
    same = yq.numpy()[:, None] == y.numpy()
    new, old = (
        unit(asked[2].numpy()) @ unit(galleries[2][1].numpy()).T,
        unit(asked[1].numpy()) @ unit(own[1].numpy()).T,
    )
    assert found["satisfaction"]["same"][2] == pytest.approx(np.mean((new >= old)[same]), abs=2e-3)
    assert "backfill" not in found


def test_side_information_is_counted_and_is_not_compared():
    plain, beside = (cl_engine.run(mapping(strategy={**FCT, **more})).to_dict() for more in ({}, {"side": 6}))
    n = len(held_out("test"))
    assert plain["compatibility"]["gallery_bytes"] == [4 * n * 16] * 3
    assert beside["compatibility"]["gallery_bytes"] == [4 * n * (16 + 6)] * 3
    for t in range(3):  # the networks are the same, and so is what each finds in its own gallery
        assert plain["compatibility"]["matrix"][t][t] == beside["compatibility"]["matrix"][t][t]


@pytest.mark.parametrize("protocol", ["templates", "map"])
def test_a_run_that_is_resumed_goes_on_from_the_mapped_galleries(tmp_path, protocol):
    asked = mapping(protocol, strategy={**FCT, "form": "fastfill", "side": 3})
    whole = cl_engine.run(asked).to_dict()["compatibility"]
    with pytest.raises(KeyboardInterrupt):
        cl_engine.run(asked, out=tmp_path, reporter=StopAfter(2))
    assert cl_engine.run(asked, out=tmp_path, resume=True).to_dict()["compatibility"] == whole
    curves = whole["backfill"]
    assert curves[0] is None
    for t in (1, 2):
        for order in ("by_uncertainty", "by_chance"):
            first, *_, last = curves[t][order]["curve"]
            assert first == whole["matrix"][t][t - 1]
            assert last == whole["matrix"][t][t]


class Turning(Strategy):
    """Its features turn by a quarter with each experience, and it knows how to turn what is stored."""

    def begin(self, task):
        self.index, self.classes = task.index, task.seen_classes

    def learn(self, task, samples):
        pass

    def predict(self, x):
        return torch.zeros(len(x), self.classes)

    def features(self, x):
        features = x.flatten(1)[:, 20:40].float() - 8
        for _ in range(self.index):
            features = self.renewed(features)
        return features

    def renewed(self, vectors):
        one, other = vectors.chunk(2, 1)
        return torch.cat([-other, one], 1)


def test_a_strategy_of_ones_own_maps_what_is_stored_by_one_method():
    found = cl_engine.run(scenario("instances", strategy=Turning)).to_dict()["compatibility"]
    scores = {round(score, 6) for row in found["matrix"] for score in row}
    assert len(scores) == 1
    assert scores.pop() > 0.8
    assert found["map"] == {"kind": "strategy"}
    assert "backfill" not in found


@pytest.mark.parametrize("strategy", [FCT, {**FCT, "kind": "er"}], ids=["fct", "er"])
def test_the_first_values_of_vectors_are_compared(observed, strategy):
    strategy = {k: v for k, v in strategy.items() if strategy["kind"] == "fct" or k not in ("width", "map_epochs")}
    asked = asking(protocol="instances", prefix=5)
    found = cl_engine.run(scenario(strategy=strategy, **asked)).to_dict()["compatibility"]
    y, yq = (held_out(part).y for part in ("test", "train"))
    asked = [made["features"] for what, x, made in observed if what == "features" and len(x) == len(yq)]
    own = [made.get("stored", made.get("features")) for _, x, made in observed if x.ndim == 4 and len(x) == len(y)]
    for t in range(3):
        assert found["matrix"][t][t] == cross_test(asked[t][:, :5], own[t][:, :5], yq, y, "instances")
    kept = 16 if strategy["kind"] == "fct" else 5  # what will be mapped is stored whole
    assert found["gallery_bytes"] == [4 * len(y) * kept] * 3
