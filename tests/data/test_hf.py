"""Data sets of the Hub, made here; the network is never asked."""

import numpy as np
import pytest
from PIL import Image

from cl_engine.config.scenario import ConfigError, Scenario
from cl_engine.data.hf import HuggingFace
from cl_engine.data.samples import DataError

RNG = np.random.default_rng(0)


@pytest.fixture
def datasets(monkeypatch, tmp_path):
    found = pytest.importorskip("datasets", reason="needs the hf extra")
    monkeypatch.setattr(found.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return found


@pytest.fixture
def saved(datasets, tmp_path):
    """Return a folder of Parquet files, and the images and labels in it."""
    pixels = RNG.integers(0, 256, (6, 4, 5, 3), dtype=np.uint8)
    labels = [0, 1, 2, 0, 1, 2]
    rows = {
        "image": [Image.fromarray(p) for p in pixels],
        "label": labels,
        "vector": RNG.normal(size=(6, 3)).astype("f4").tolist(),
        "ragged": [[1.0] * (i + 1) for i in range(6)],
        "word": ["ant", "owl", "bee"] * 2,
    }
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=["x", "y", "z"]),
            "vector": datasets.Sequence(datasets.Value("float32")),
            "ragged": datasets.Sequence(datasets.Value("float32")),
            "word": datasets.Value("string"),
        }
    )
    whole = datasets.Dataset.from_dict(rows, features=features)
    folder = tmp_path / "set"
    folder.mkdir()
    whole.to_parquet(folder / "train-00000-of-00001.parquet")
    whole.select(range(3)).to_parquet(folder / "test-00000-of-00001.parquet")
    return folder, whole, pixels, labels


def test_images_of_a_folder_are_read_with_the_names_of_their_classes(saved):
    folder, _, pixels, labels = saved
    data = HuggingFace(path=str(folder)).load()
    assert np.array_equal(data.train.x.permute(0, 2, 3, 1).numpy(), pixels)
    assert data.train.y.tolist() == labels
    assert data.classes == ("x", "y", "z")
    assert len(data.test) == 3


def test_vectors_and_words_are_features_and_labels(saved):
    folder, whole, *_ = saved
    data = HuggingFace(path=str(folder), x="vector", y="word").load()
    assert np.array_equal(data.train.x.numpy(), np.array(whole["vector"], "f4"))
    assert [data.classes[label] for label in data.train.y] == whole["word"]


def test_what_save_to_disk_wrote_is_read(datasets, saved, tmp_path):
    folder, whole, *_ = saved
    datasets.DatasetDict({"train": whole, "test": whole.select(range(3))}).save_to_disk(tmp_path / "disk")
    assert HuggingFace(path=str(tmp_path / "disk")).identity() == HuggingFace(path=str(folder)).identity()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"test": "tests"}, "has no split 'tests', did you mean 'test'"),
        ({"x": "vektor"}, "there is no column 'vektor', did you mean 'vector'"),
        ({"y": "lable"}, "there is no column 'lable', did you mean 'label'"),
        ({"x": "ragged"}, "column 'ragged' is .*allowed: images, or vectors of one length"),
        ({"x": "word"}, "column 'word' is "),
        ({"y": "vector"}, r"column 'vector', row 1 holds \[.*allowed: integers"),
    ],
)
def test_columns_and_splits_that_do_not_fit_are_a_clear_error(saved, options, complaint):
    with pytest.raises(DataError, match=complaint) as raised:
        HuggingFace(path=str(saved[0]), **options).labels()
    assert "\n" not in str(raised.value)


def test_what_is_not_in_the_cache_is_not_fetched(datasets, monkeypatch):
    import socket

    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("asked the network"))
    with pytest.raises(
        DataError, match=r"nobody/nothing is not there: .*allowed: `download: true`, or what"
    ) as raised:
        HuggingFace(name="nobody/nothing").labels()
    assert "\n" not in str(raised.value)
    assert datasets.config.HF_HUB_OFFLINE is False


def test_a_folder_that_is_none_or_empty_is_a_clear_error(datasets, tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(DataError, match=r"is not there: .*allowed: a folder of data files") as raised:
            HuggingFace(path=str(path)).labels()
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "options", [{}, {"name": "a/b", "path": "c"}, {"name": "../a/b/c"}, {"name": "https://a.org"}], ids=str
)
def test_a_set_is_named_one_way(options):
    with pytest.raises(ConfigError, match="allowed"):
        Scenario.load({"data": {"kind": "hf", **options}, "stream": "data-incremental", "strategy": "ncm"})
