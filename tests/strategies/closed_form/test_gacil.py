"""G-ACIL against joint ridge regression from scikit-learn, on any stream."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

import cl_engine
from cl_engine.data.digits import Digits
from cl_engine.data.samples import Samples
from cl_engine.memory.state import HeldState, hold
from cl_engine.running.learning import learn
from cl_engine.scenarios.exposure import Exposure
from cl_engine.strategies.closed_form.gacil import GACIL
from cl_engine.strategies.rebuilding import Rebuilder
from cl_engine.terms.terms import Terms


def recipe(exposures, shape=(1, 8, 8), **options):
    return Rebuilder(GACIL, options, Terms(tuple(exposures), shape, seed=5))


def joint_ridge(strategy, x, y, gamma, classes):
    """Return W ``[d, classes]`` of scikit-learn's ridge on the features of all samples at once."""
    features = strategy.features(x).numpy()
    onehot = np.eye(classes)[y.numpy()]
    return torch.from_numpy(
        Ridge(alpha=gamma, fit_intercept=False, solver="cholesky").fit(features, onehot).coef_.T
    )


def relative(a, b):
    return float(torch.linalg.norm(a - b) / torch.linalg.norm(b))


@pytest.mark.parametrize(("first", "step"), [(2, 2), (5, 5), (4, 3), (1, 1), (10, 1)])
@pytest.mark.parametrize("order", [1993, 7, "natural"])
def test_any_class_order_and_step_equals_joint_ridge(tmp_path, first, step, order):
    stream = {"kind": "class-incremental", "first": first, "step": step, "class_order": order}
    strategy = {"kind": "g-acil", "width": 150, "gamma": 0.1}
    scenario = cl_engine.Scenario.load({"data": "digits", "stream": stream, "strategy": strategy})
    record = cl_engine.run(scenario, out=tmp_path)

    from cl_engine.scenarios.plan import class_ids, exposure_order

    learned = cl_engine.load(record.directory)
    data = Digits().load()
    ids = torch.from_numpy(class_ids(data.train.y.numpy(), exposure_order(data.train.y.numpy(), scenario.plan)))
    assert relative(learned.weights(), joint_ridge(learned, data.train.x, ids, 0.1, 10)) < 1e-9


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 300), st.integers(0, 2**31), st.sampled_from([0.1, 1.0, 100.0]))
def test_any_batch_size_and_order_of_samples_equals_joint_ridge(batch, seed, gamma):
    data = Digits().load().train[slice(0, 400)]
    order = torch.from_numpy(np.random.RandomState(seed).permutation(400))
    shuffled = data[order]
    exposures = [Exposure(tuple(range(10)), tuple(range(10)), 10)]
    one = recipe(exposures, width=120, gamma=gamma)
    strategy, task = one.begun(0), one.terms.task(0)
    strategy.begin(task)
    for part in shuffled.batches(batch):  # as an online stream delivers it
        strategy.learn(task, part)
    expected = joint_ridge(strategy, data.x, data.y, gamma, 10)
    assert relative(strategy.weights(), expected) < 1e-9


def test_classes_that_return_and_come_late_equal_joint_ridge():
    """Overlapping experiences: class 0 in all, class 9 only at the very end."""
    data = Digits().load().train
    halves = [data[torch.arange(len(data)) % 2 == k] for k in (0, 1)]
    parts = [
        halves[0][halves[0].y < 4],
        data[(data.y >= 4) & (data.y < 9)],
        halves[1][halves[1].y < 4],
        data[data.y == 9],
    ]
    exposures = [
        Exposure((0, 1, 2, 3), (0, 1, 2, 3), 4),
        Exposure((4, 5, 6, 7, 8), (4, 5, 6, 7, 8), 9),
        Exposure((0, 1, 2, 3), (), 9),
        Exposure((9,), (9,), 10),
    ]
    made, held = recipe(exposures, width=100), None
    for index, part in enumerate(parts):
        held = learn(made, index, held, part).held
    strategy = made.rebuilt(4, held)
    assert relative(strategy.weights(), joint_ridge(strategy, data.x, data.y, 0.1, 10)) < 1e-9
    assert strategy.counts.tolist() == torch.bincount(data.y).tolist()


def test_unseen_classes_are_never_predicted_even_if_all_scores_are_negative():
    exposures = [Exposure((0,), (0,), 1), Exposure((1,), (1,), 2)]
    made = recipe(exposures, shape=(3,), width=0)
    x = torch.tensor([[1.0, 0, 0]])
    held = learn(made, 0, None, Samples(x, torch.tensor([0]))).held
    scores = made.rebuilt(1, held).predict(-5 * x)
    assert scores.shape == (1, 1)
    assert scores.item() < 0


def test_the_projection_is_regenerated_bit_for_bit_and_not_charged():
    made = recipe([Exposure((0,), (0,), 1)], width=30)
    first, second = made.begun(1), made.begun(1)
    assert torch.equal(first.projection, second.projection)
    entry = next(e for e in hold(first, made.signature(1)).entries if e.name == "projection")
    assert (entry.kind, entry.bytes, entry.shape) == ("regenerable", 0, (64, 30))
    bound = 64**-0.5
    assert first.projection.abs().max() <= bound
    assert first.projection.var().item() == pytest.approx(bound**2 / 3, rel=0.1)  # uniform


def test_bytes_are_the_papers_formula():
    made = recipe([Exposure((0, 1), (0, 1), 2)], width=300)
    tensors = hold(made.begun(1), made.signature(1)).tensors
    assert {n: t.numel() * t.element_size() for n, t in tensors.items()} == {
        "gram": 8 * 300**2,
        "cross": 8 * 300 * 2,
        "counts": 8 * 2,
    }


def test_an_ill_conditioned_system_raises_gamma_and_says_so():
    """Two identical huge features and next to no penalty."""
    made = recipe([Exposure((0, 1), (0, 1), 2)], shape=(2,), width=0, gamma=1e-12)
    x = torch.tensor([[1e6, 1e6], [2e6, 2e6]])
    strategy = made.rebuilt(1, learn(made, 0, None, Samples(x, torch.tensor([0, 1]))).held)
    assert torch.isfinite(strategy.predict(x)).all()
    assert any("gamma raised" in note for note in strategy.notes)


def test_scaling_the_features_is_scaling_gamma():
    data = Digits().load().train
    x = data.x.flatten(1).float()
    exposures = [Exposure(tuple(range(10)), tuple(range(10)), 10)]
    scores = []
    for scale, gamma in ((1.0, 100.0), (10.0, 100.0 * 100)):
        made = recipe(exposures, shape=(64,), width=0, gamma=gamma)
        held: HeldState = learn(made, 0, None, Samples(x * scale, data.y)).held
        scores.append(made.rebuilt(1, held).predict(x * scale))
    assert torch.allclose(scores[0], scores[1], atol=1e-8)
