"""What the stationary methods hold, charge and keep still, on a stream of digits in which classes return."""

import pytest
import torch

import cl_engine
from cl_engine.kinds.problems import OptionError
from cl_engine.memory.ledger import ledger
from cl_engine.strategies.stationary.bct import BCT
from cl_engine.strategies.stationary.cl2r import CL2R
from cl_engine.strategies.stationary.cores import CoReS
from cl_engine.strategies.stationary.er import ER
from cl_engine.strategies.stationary.fct import FCT
from cl_engine.strategies.stationary.hoc import HOC
from cl_engine.strategies.stationary.lce import LCE
from cl_engine.strategies.stationary.mixbct import MixBCT
from cl_engine.strategies.stationary.network import teacher_of
from cl_engine.strategies.stationary.relative import Relative
from cl_engine.testing import KINDS, check_strategy
from tests.strategies.fixed import copied, digits, equal, learned, rebuilder

WIDTH, PIXELS = 128, 64  # of the default backbone, and of a digit


FEW = {
    Relative: {"count": 5},
    FCT: {"width": 8, "map_epochs": 1},
    **{kind: {"reserved": 8} for kind in (CoReS, CL2R, HOC)},
}


@pytest.mark.parametrize("kind", [CoReS, CL2R, HOC, ER, BCT, LCE, MixBCT, FCT, Relative])
def test_the_contract_is_kept_on_every_kind_of_stream(kind):
    on = [k for k in KINDS if k not in ("offline", "online")]  # these are for every kind
    check_strategy(kind, on=on, **FEW.get(kind, {}))


def test_bct_by_contrast_keeps_the_contract():
    check_strategy(BCT, on=("online",), form="ract")


@pytest.mark.parametrize("kind", [CoReS, CL2R, HOC])
def test_the_simplex_is_listed_with_0_bytes_and_the_projection_is_of_the_head(kind):
    strategy, _ = learned(rebuilder(kind, reserved=20), 1)
    found = {(e.kind, e.name): (e.shape, e.bytes) for e in ledger(strategy)}
    assert found["regenerable", "network.head.vertices"] == ((20, 19), 0)
    assert found["head", "network.head.weight"] == ((19, WIDTH), 4 * 19 * WIDTH)
    assert "network.head.vertices" not in strategy.state_dict()


@pytest.mark.parametrize("kind", [CL2R, HOC])
def test_the_teacher_is_charged_without_a_simplex_and_only_once_something_is_old(kind):
    made = rebuilder(kind, reserved=20)
    assert "teacher" not in learned(made, 1)[1].transient
    strategy, task = learned(made, 2)
    assert task.transient["teacher"] == sum(4 * p.numel() for p in strategy.network.parameters())


def test_the_old_classifier_of_bct_is_charged_while_training():
    assert learned(rebuilder(BCT), 2)[1].transient["old classifier"] == 4 * 2 * WIDTH


@pytest.mark.parametrize("kind", [CL2R, HOC])
def test_when_an_experience_begins_new_and_old_representation_are_the_same(kind):
    made = rebuilder(kind, reserved=20)
    strategy, _ = learned(made, 1)
    x = digits(0, 1).x[:50]
    before = strategy.features(x)
    task = made.terms.task(1)
    strategy.begin(task)  # the head has grown
    teacher = teacher_of(task, strategy.network)
    assert torch.equal(strategy.features(x), before)
    torch.testing.assert_close(strategy.embedded(teacher, x), before)


def test_without_old_classes_hoc_and_cl2r_learn_alike():
    options = {"reserved": 20, "vertices": "first"}
    first, second = (learned(rebuilder(kind, **options), 1)[0] for kind in (CL2R, HOC))
    assert equal(copied(first), copied(second))


def test_a_class_keeps_its_direction_while_others_come():
    """The angle between a class mean and its vertex stays small in later experiences."""
    made = rebuilder(CL2R, steps=((0, 1), (2, 3), (4, 5)), epochs=15, reserved=10, per_class=20)
    strategy, _ = learned(made, 3)
    vertices = strategy.network.head.vertices
    for label in range(6):
        mean = strategy.features(digits(label).x).mean(0)
        cosines = torch.nn.functional.cosine_similarity(mean, vertices)
        assert int(cosines.argmax()) == label
        assert cosines[label] > 0.6


def test_a_relative_model_keeps_the_anchors_of_the_first_experience_and_embeds_them_with_each_model():
    made = rebuilder(Relative, count=30)
    strategy, _ = learned(made, 1)
    anchors = strategy.anchors.clone()
    assert len(anchors) == 30
    x = digits(0, 1).x
    assert (x.flatten(1)[:, None] == anchors.flatten(1)).all(2).any(0).all()
    later, _ = learned(made, 3)
    assert torch.equal(later.anchors, anchors)
    network = later.network
    expected = torch.nn.functional.cosine_similarity(
        network.features(x[:4])[:, None], network.features(anchors), dim=2
    )
    torch.testing.assert_close(later.features(x[:4]), expected)
    (entry,) = [e for e in ledger(later) if e.kind == "anchors"]
    assert entry.bytes == 30 * PIXELS


def test_exemplars_may_be_features_of_a_frozen_backbone():
    scenario = {
        "data": {"kind": "gaussian", "classes": 6, "features": 8, "samples_per_class": 20},
        "training": {"epochs": 2},
    }
    for kind in ("hoc", "cl2r", "relative", "bct", "lce", "mixbct", "fct"):
        small = {"map_epochs": 1} if kind == "fct" else {}
        strategy = {"kind": kind, "backbone": "identity", "codec": "features", "total": 12, **small}
        found = cl_engine.run(scenario, strategy=strategy).memory["entries"][-1]
        assert {tuple(e["shape"]) for e in found if e["kind"] == "exemplars"} == {(12, 8)}


def test_more_classes_than_vertices_are_one_clear_line():
    with pytest.raises(OptionError, match="reserved: 6 vertices for 8 classes; allowed: one for each or more"):
        cl_engine.run({"data": "digits", "strategy": {"kind": "hoc", "reserved": 6}, "training": {"epochs": 1}})
