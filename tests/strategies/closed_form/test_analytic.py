"""The ridge learners against a QR of all samples at once: any batch, order, division and backend."""

import numpy as np
import pytest
import torch

from cl_engine.kinds.problems import OptionError
from cl_engine.memory.state import hold
from tests.strategies.closed_form.streams import (
    CLASSES,
    FEATURES,
    PARTS,
    data,
    experiences,
    learned,
    projection,
    rebuilder,
    relative,
    ridge,
    saved,
    scores,
)

X, Y = data()
ONEHOT = np.eye(CLASSES)[Y]
CENTRES = np.random.RandomState(3).normal(size=(9, FEATURES))


def kernel(x, sigma=1.5):
    distances = ((x[:, None].astype("f8") - CENTRES) ** 2).sum(2)
    return np.exp(-distances / (2 * sigma**2))


MAPS = {
    "acil": lambda x: np.maximum(x.astype("f8") @ projection(), 0),
    "g-acil": lambda x: np.maximum(x.astype("f8") @ projection(), 0),
    "f-oal": lambda x: 1 / (1 + np.exp(-x.astype("f8") @ projection())),
    "ranpac": lambda x: np.maximum(x.astype("f8") @ projection(), 0),
    "gkeal": kernel,
}


@pytest.fixture
def given(tmp_path):
    """Return options with a given projection, or given centres, of a kind."""
    files = {
        "projection": saved(tmp_path / "projection.npz", projection=projection()),
        "centres": saved(tmp_path / "centres.npz", centres=CENTRES),
    }

    def options(kind, gamma=0.1, **more):
        if kind == "gkeal":
            return {"centres": files["centres"], "sigma": 1.5, "gamma": gamma, **more}
        return {"projection": files["projection"], "ridge" if kind == "ranpac" else "gamma": gamma, **more}

    return options


@pytest.mark.parametrize("gamma", [0.1, 100.0])
@pytest.mark.parametrize("batch", [None, 1, 7])
@pytest.mark.parametrize("kind", MAPS)
def test_a_stream_ends_at_the_joint_solution(kind, batch, gamma, given):
    strategy = learned(kind, given(kind, gamma), batch=batch)
    assert relative(strategy.weights(), ridge(MAPS[kind](X), ONEHOT, gamma)) < 1e-9
    assert relative(scores(strategy, X), MAPS[kind](X) @ ridge(MAPS[kind](X), ONEHOT, gamma)) < 1e-9


@pytest.mark.parametrize("kind", ["acil", "g-acil", "f-oal", "ranpac", "air", "ds-al"])
def test_features_are_taken_as_they_are(kind):
    options = {"width": 0, **({"ridge": 0.1} if kind == "ranpac" else {"gamma": 0.1})}
    strategy = learned(kind, {**options, **({"compensation": 0.0} if kind == "ds-al" else {})})
    n = np.bincount(Y)
    weights = (CLASSES / n / (1 / n).sum())[Y] if kind == "air" else None
    assert relative(scores(strategy, X), X @ ridge(X.astype("f8"), ONEHOT, 0.1, weights)) < 1e-9


@pytest.mark.parametrize("kind", MAPS)
def test_no_order_or_division_into_experiences_moves_the_weights(kind, given):
    options = given(kind)
    expected = learned(kind, options).weights()
    backwards = learned(kind, options, order=lambda rows: rows[::-1].copy())
    at_once = learned(kind, options, parts=[tuple(range(CLASSES))])
    assert relative(backwards.weights(), expected) < 1e-9
    assert relative(at_once.weights(), expected) < 1e-9


@pytest.mark.parametrize("kind", ["acil", "g-acil", "f-oal", "gkeal"])
@pytest.mark.parametrize("gamma", [0.1, 100.0])
def test_the_recursive_backend_agrees(kind, gamma, given):
    for batch in (None, 1, 7):
        found = learned(kind, given(kind, gamma, solver="recursive"), batch=batch)
        assert not hasattr(found, "gram")
        assert found.counts.tolist() == np.bincount(Y).tolist()
        assert relative(found.weights(), ridge(MAPS[kind](X), ONEHOT, gamma)) < 1e-8


@pytest.mark.parametrize("storage", ["packed", "smallest", "float32"])
@pytest.mark.parametrize("kind", ["acil", "gkeal"])
@pytest.mark.parametrize("batch", [None, 7])
def test_compact_forms_give_the_weights_of_the_full_one(kind, storage, batch, given):
    found = learned(kind, given(kind, storage=storage), batch=batch)
    assert relative(found.weights(), ridge(MAPS[kind](X), ONEHOT, 0.1)) < (1e-4 if storage == "float32" else 1e-9)


def test_compact_forms_take_the_bytes_that_their_formulas_say(given):
    def held(storage, width):
        made = learned("acil", {"width": width, "storage": storage})
        return {n: t.numel() * t.element_size() for n, t in made.state_dict().items() if t.numel()}

    fixed = {"counts": 8 * CLASSES}
    assert held("full", 30) == {"gram": 8 * 30**2, "cross": 8 * 30 * CLASSES, **fixed}
    assert held("packed", 30) == {"gram": 4 * 30 * 31, "cross": 8 * 30 * CLASSES, **fixed}
    assert held("float32", 30) == {"gram": 2 * 30 * 31, "cross": 4 * 30 * CLASSES, **fixed}
    # 240 samples of 6 float32 features and a label are 7,680 bytes; the triangle of 30 is smaller, that of 60 larger
    assert held("smallest", 30) == held("packed", 30)
    assert held("smallest", 60) == {"kept": 240 * 6 * 4, "labels": 240 * 8, **fixed}


def test_kept_features_stand_in_the_ledger_as_exemplars():
    made = rebuilder("acil", {"width": 60, "storage": "smallest"})
    strategy = learned("acil", {"width": 60, "storage": "smallest"})
    kinds = {e.name: e.kind for e in hold(strategy, made.signature(len(PARTS))).entries}
    assert (kinds["kept"], kinds["labels"]) == ("exemplars", "labels")


@pytest.mark.parametrize(
    ("every", "online", "solver", "expected"),
    [
        (5, True, "auto", True),  # fewer samples between two queries than an eighth of 48
        (7, True, "auto", False),
        (None, True, "auto", False),
        (None, False, "auto", False),
        (5, True, "accumulate", False),
        (None, False, "recursive", True),
    ],
)
def test_the_backend_follows_how_often_predictions_are_asked_for(every, online, solver, expected):
    made = rebuilder("g-acil", {"width": 48, "solver": solver}, online=online, evaluate_every=every)
    assert made.begun(1).recursive is expected


def test_repeated_passes_are_a_smaller_gamma(given):
    """G-ACIL's released script passes every batch three times: its gamma is a third."""
    repeated = learned("g-acil", given("g-acil", 0.3), x=np.tile(X, (3, 1)), y=np.tile(Y, 3))
    assert relative(repeated.weights(), ridge(MAPS["acil"](X), ONEHOT, 0.1)) < 1e-8


def test_without_the_gain_labels_of_exposed_classes_are_zeros(given):
    """The published unexposed part: W - R X'X W beside R X' Y of new classes, phase after phase."""
    r, w, exposed = np.eye(9) / 0.1, np.zeros((9, 0)), 0
    for rows, classes in zip(experiences(X, Y), PARTS, strict=True):
        phi, seen = MAPS["g-acil"](X[rows]), max(exposed, max(classes) + 1)
        r = r - r @ phi.T @ np.linalg.inv(np.eye(len(phi)) + phi @ r @ phi.T) @ phi @ r
        w = np.hstack([w - r @ phi.T @ phi @ w, r @ phi.T @ np.eye(CLASSES)[Y[rows]][:, exposed:seen]])
        exposed = seen
    for solver in ("accumulate", "recursive"):
        ablated = learned("g-acil", given("g-acil", ablate="eclg", solver=solver))
        assert relative(ablated.weights(), w) < 1e-8
    assert relative(learned("g-acil", given("g-acil")).weights(), w) > 0.1


def test_on_classes_that_never_return_the_gain_is_nothing(given):
    parts = [(0, 1), (2, 3), (4,)]
    plain, ablated = (learned("g-acil", given("g-acil", ablate=a), parts=parts) for a in (None, "eclg"))
    assert torch.equal(plain.weights(), ablated.weights())


def test_a_given_projection_is_held_and_a_drawn_one_is_not(given):
    def entry(options):
        made = rebuilder("acil", options)
        return next(e for e in hold(made.begun(1), made.signature(1)).entries if e.name == "projection")

    assert (entry(given("acil")).kind, entry(given("acil")).bytes) == ("projection", 8 * FEATURES * 9)
    assert (entry({"width": 9}).kind, entry({"width": 9}).bytes) == ("regenerable", 0)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"matrix": np.eye(6)}, "holds matrix; allowed: an array called projection"),
        ({"projection": np.eye(5)}, r"float64 \[5, 5\]; allowed: numbers \[6, width\]"),
        ({"projection": np.full((6, 2), np.nan)}, "NaN or infinite"),
    ],
)
def test_a_file_without_a_fitting_projection_is_refused(arrays, said, tmp_path):
    options = {"projection": saved(tmp_path / "wrong.npz", **arrays)}
    with pytest.raises(OptionError, match=said):
        rebuilder("acil", options).begun(1)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("acil", {"solver": "recursive", "storage": "packed"}), ("g-acil", {"ablate": "eclg", "storage": "smallest"})],
)
def test_options_that_exclude_each_other_are_refused(kind, options):
    with pytest.raises(OptionError, match="storage"):
        rebuilder(kind, options)


def test_drawn_centres_are_samples_of_the_first_delivery_and_convex_mixes_of_them():
    strategy = learned("gkeal", {"width": 8, "sigma": 1.5}, parts=[(0, 1, 2, 3, 4)])
    assert len({tuple(row) for row in strategy.centres.tolist()}) == 8
    assert all((row == X).all(1).any() for row in strategy.centres.numpy())
    many = learned("gkeal", {"width": 300, "sigma": 1.5}, parts=[(0, 1, 2, 3, 4)]).centres.numpy()
    own = np.array([(row == X).all(1).any() for row in many])
    assert own.sum() == len(X)
    assert (many >= X.min(0)).all()
    assert (many <= X.max(0)).all()


@pytest.mark.parametrize("width", [8, 300])
def test_kernels_are_as_wide_as_drawn_samples_are_apart_whatever_the_scale_of_features(width):
    strategy = learned("gkeal", {"width": width}, parts=[(0, 1, 2, 3, 4)])
    drawn = strategy.centres.numpy()[: min(width, len(X))].astype(np.float64)
    apart = np.linalg.norm(drawn[:, None] - drawn, axis=2)[np.triu_indices(len(drawn), 1)]
    assert float(strategy.bandwidth) == pytest.approx(np.median(apart), rel=0.02)
    assert float(learned("gkeal", {"width": width, "sigma": 10}, parts=[(0, 1, 2, 3, 4)]).bandwidth) == 10


@pytest.mark.parametrize("batch", [None, 1, 7])
def test_ranpacs_search_takes_the_least_error_on_the_last_fifth_of_the_last_experience(batch, given):
    rows = experiences(X, Y)[-1]
    phi, cut = MAPS["ranpac"](X[rows]), int(0.8 * len(rows))
    candidates = [10.0**k for k in range(-8, 9)]
    errors = [
        ((ONEHOT[rows][cut:] - phi[cut:] @ ridge(phi[:cut], ONEHOT[rows][:cut], c)) ** 2).mean() for c in candidates
    ]
    best = candidates[int(np.argmin(errors))]
    strategy = learned("ranpac", given("ranpac", "search"), batch=batch)
    assert float(strategy.found) == best
    assert relative(strategy.weights(), ridge(MAPS["ranpac"](X), ONEHOT, best)) < 1e-9
    assert "found" not in learned("ranpac", given("ranpac", 0.1)).state_dict()


def test_ranpacs_projection_is_normal():
    drawn = rebuilder("ranpac", {"width": 4000}).begun(1).projection
    assert float(drawn.std()) == pytest.approx(1, rel=0.02)
    assert float(drawn.abs().max()) > 3
