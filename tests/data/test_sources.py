"""Data sources: fixed splits, bounded memory, and a clear word about every malformed file."""

import io
import zipfile

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from cl_engine.data.digits import Digits
from cl_engine.data.gaussian import Gaussian
from cl_engine.data.npz import Npz
from cl_engine.data.samples import DataError, DataSet, Samples, check_samples


def test_digits_are_scikit_learns_in_a_stratified_split():
    data = Digits().load()
    pixels, labels = load_digits(return_X_y=True)
    assert len(data.train) + len(data.test) == len(labels)
    counts = np.bincount(labels)
    assert torch.bincount(data.test.y).tolist() == (counts // 5).tolist()
    both = torch.cat([data.train.x, data.test.x]).flatten(1).double() * 16 / 255
    rows = {tuple(r) for r in both.round().int().tolist()}
    assert rows == {tuple(r) for r in pixels.astype(int).tolist()}
    assert Digits().load().identity() == data.identity()
    assert np.array_equal(Digits().labels().train, data.train.y.numpy())


def test_gaussian_clouds_have_the_declared_moments():
    data = Gaussian(classes=40, features=16, samples_per_class=500, separation=6.0).load()
    x = data.train.x.view(40, 500, 16).double()
    assert x.var(1).mean().item() == pytest.approx(1, rel=0.02)
    means = x.mean(1)
    distance = torch.cdist(means, means).square()
    assert (distance.sum() / (40 * 39)).sqrt().item() == pytest.approx(6, rel=0.1)
    assert torch.equal(Gaussian(seed=3).load().train.x, Gaussian(seed=3).load().train.x)
    assert not torch.equal(Gaussian(seed=3).load().train.x, Gaussian(seed=4).load().train.x)


def arrays(**changes):
    rng = np.random.RandomState(0)
    images = rng.randint(0, 256, (6, 4, 5, 3)).astype(np.uint8)
    y = np.array([2, 9, 2, 9, 2, 9])
    return {"x_train": images, "y_train": y, "x_test": images[:4], "y_test": y[:4], **changes}


def saved(tmp_path, content):
    path = tmp_path / "d.npz"
    np.savez(path, **{k: v for k, v in content.items() if v is not None})
    return Npz(path=str(path))


def test_npz_images_and_features(tmp_path):
    content = arrays()
    source = saved(tmp_path, {**content, "classes": np.array(["two", "nine"])})
    data = source.load()
    assert data.train.x.shape == (6, 3, 4, 5)
    assert torch.equal(data.train.x[1, :, 2, 3], torch.from_numpy(content["x_train"][1, 2, 3]))
    assert data.classes == ("two", "nine")
    assert source.labels().shape == (3, 4, 5)
    assert source.labels().sample_bytes == 60
    features = np.linspace(0, 1, 24).reshape(6, 4)
    floats = saved(tmp_path, arrays(x_train=features, x_test=features[:4]))
    assert floats.load().train.x.dtype == torch.float32
    assert floats.labels().sample_bytes == 16


F = np.zeros((6, 4))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"x_test": None}, "lacks x_test"),
        ({"x_train": np.zeros((6, 4, 5), np.uint8)}, "grey images need a last axis"),
        ({"x_train": np.zeros((6, 4), np.int64)}, r"x_train is int64 \[6, 4\]; allowed: uint8"),
        ({"x_train": np.zeros((6, 4, 5, 3))}, r"x_train is float64 \[6, 4, 5, 3\]; allowed"),
        ({"x_train": np.zeros((0, 4)), "y_train": np.zeros(0, int)}, "empty"),
        ({"y_train": np.zeros(5, int)}, r"y_train is int64 \[5\] beside 6 samples"),
        ({"y_train": np.zeros((6, 1), int)}, "one integer label per sample"),
        ({"y_train": np.zeros(6)}, "y_train is float64"),
        ({"y_train": np.full(6, 2**63, np.uint64)}, "fit int64"),
        ({"y_train": np.array([2, 9, -1, 9, 2, 9])}, "y_train holds the label -1; allowed: labels from 0 on"),
        ({"y_test": np.array([2, 9, -7, -1])}, "y_test holds the label -7"),
        ({"x_train": np.zeros((6, 3, 8, 8), np.uint8)}, r"\[6, 3, 8, 8\], which looks like \[N, C, H, W\]; .*x_train.transpose\(0, 2, 3, 1\)"),
        ({"x_train": np.zeros((6, 1, 28, 28), np.uint8)}, r"looks like \[N, C, H, W\]"),
        ({"y_train": np.array(list("abcdef"))}, "one integer label"),
        ({"y_train": np.array([None] * 6)}, "y_train holds pickled Python objects, which are never loaded"),
        ({"x_train": np.array([None] * 6)}, "x_train holds pickled Python objects"),
        ({"x_train": np.full((6, 4), np.nan), "x_test": F[:4]}, "NaN or infinite"),
        ({"x_train": np.full((6, 4), 1e300), "x_test": F[:4]}, "NaN or infinite"),
        ({"x_test": np.zeros((4, 5, 5, 3), np.uint8)}, "the same shape and type"),
        ({"y_test": np.array([2, 9, 2, 7])}, "test label 7 never occurs in training"),
        ({"y_test": np.array([2, 2, 2, 2])}, "label 9 has no test sample"),
        ({"classes": np.array(["one"])}, "classes is"),
        ({"classes": np.array([1, 2])}, "classes is"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:overflow")
def test_every_malformed_npz_is_a_clear_error(tmp_path, changes, complaint):
    source = saved(tmp_path, arrays(**changes))

    def use():
        source.labels()
        source.load()

    with pytest.raises(DataError, match=complaint) as raised:
        use()
    assert "allowed" in str(raised.value)


@pytest.mark.parametrize("shape", [(6, 3, 8, 3), (6, 1, 9, 1), (6, 3, 4, 8), (6, 8, 3, 3), (6, 5, 8, 8)], ids=str)
def test_small_images_and_many_channels_are_no_swapped_axes(tmp_path, shape):
    """Nothing but a first axis of 1 or 3 before two longer ones can only be channels first."""
    x = np.random.RandomState(0).randint(0, 256, shape).astype(np.uint8)
    found = saved(tmp_path, arrays(x_train=x, x_test=x[:4])).load().train.x
    assert torch.equal(found, torch.from_numpy(x).permute(0, 3, 1, 2))


def test_labels_of_python_data_may_be_any_integers():
    x, y = torch.zeros(4, 2), torch.tensor([-1, -1, 7, 7])
    assert DataSet(Samples(x, y), Samples(x, y)).labels().train.tolist() == [-1, -1, 7, 7]


def test_damaged_archives(tmp_path):
    path = tmp_path / "d.npz"
    buffer = io.BytesIO()
    np.savez(buffer, **arrays())
    whole = buffer.getvalue()
    for content in (b"", b"not a zip", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(DataError, match="allowed"):
            Npz(path=str(path)).load()
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("x_train", "y_train", "x_test", "y_test"):
            archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00junk")
    with pytest.raises(DataError, match="x_train is damaged"):
        Npz(path=str(path)).labels()


def test_python_data_is_checked_too():
    x, y = torch.zeros(4, 2), torch.tensor([0, 0, 1, 1])
    with pytest.raises(DataError, match="allowed: uint8"):
        DataSet(Samples(x.double(), y), Samples(x, y))
    with pytest.raises(DataError, match="allowed: int64"):
        DataSet(Samples(x, y.int()), Samples(x, y))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("images", [False, True])
def test_a_large_array_that_is_mapped_is_the_one_that_was_saved(tmp_path, monkeypatch, images, order):
    monkeypatch.setattr("cl_engine.data.arrays.MAPPED", 0)
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (6, 5, 4, 3), dtype=np.uint8) if images else rng.normal(size=(6, 5)).astype("f4")
    x, y = np.asarray(x, order=order), np.array([0, 1] * 3)
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x[:2], y_test=y[:2])
    data = Npz(path=str(tmp_path / "a.npz")).load()
    assert np.array_equal(data.train.x.numpy(), x.transpose(0, 3, 1, 2) if images else x)
    assert data.train.y.tolist() == y.tolist()
    data.train.x.zero_()  # a strategy may write into what it gets; the file is nobody's
    again = Npz(path=str(tmp_path / "a.npz")).load()
    assert np.array_equal(again.test.x.numpy(), x[:2].transpose(0, 3, 1, 2) if images else x[:2])
    assert again.train.x.any()


def test_damage_within_a_mapped_array_is_seen(tmp_path, monkeypatch):
    monkeypatch.setattr("cl_engine.data.arrays.MAPPED", 0)
    x, y, path = np.full((4, 3), 7.0, "f4"), np.array([0, 1] * 2), tmp_path / "a.npz"
    np.savez(path, x_train=x, y_train=y, x_test=x, y_test=y)
    text = path.read_bytes()
    where = text.index(x.tobytes())
    path.write_bytes(text[:where] + b"\x01" + text[where + 1 :])
    with pytest.raises(DataError, match="x_train is damaged"):
        Npz(path=str(path)).labels()


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
def test_one_feature_that_is_no_number_is_found_among_many(wrong):
    x = torch.zeros(1000, 20)
    x[617, 3] = wrong
    with pytest.raises(DataError, match="NaN or infinite"):
        check_samples("train", Samples(x, torch.zeros(1000, dtype=torch.int64)))
