"""CIFAR: the documented binary layout, read from archives made here, and tars of strips."""

import hashlib
import io
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

import cl_engine
from cl_engine.config.scenario import ConfigError, Scenario
from cl_engine.data import cifar
from cl_engine.data.cifar import Cifar10, Cifar100
from cl_engine.data.samples import DataError
from cl_engine.scenarios.plan import exposure_order

RNG = np.random.default_rng(0)


def records(labels):
    """Images and the bytes of a file: the labels of a record, then its red, green and blue plane."""
    images = RNG.integers(0, 256, (len(labels), 3, 32, 32), dtype=np.uint8)
    content = b"".join(bytes(row.tolist()) + image.tobytes() for row, image in zip(labels, images, strict=True))
    return images, content


def tarred(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


@pytest.fixture
def hundred(tmp_path, monkeypatch):
    """A small cifar-100-binary.tar.gz of 4 classes in 2 superclasses; returns its images, labels and members."""
    labels = np.array([[1, 2], [0, 0], [1, 3], [0, 1], [1, 2]])
    train, content = records(labels)
    test, test_content = records(labels[:4])
    members = {
        "cifar-100-binary/train.bin": content,
        "cifar-100-binary/test.bin": test_content,
        "cifar-100-binary/fine_label_names.txt": b"ant\nbee\ncat\ndog\n",
        "cifar-100-binary/coarse_label_names.txt": b"insects\nmammals\n",
        "cifar-100-binary/../../evil.bin": b"evil",
    }
    tarred(tmp_path / "cifar-100-binary.tar.gz", members)
    small = cifar.CIFAR100._replace(records={"train.bin": 5, "test.bin": 4}, classes=(2, 4))
    monkeypatch.setattr(cifar, "CIFAR100", small)
    return vouched(monkeypatch, tmp_path), train, test, labels, members


def vouched(monkeypatch, folder):
    """Take the archive that lies in ``folder`` for the official one."""
    md5 = hashlib.md5((folder / "cifar-100-binary.tar.gz").read_bytes()).hexdigest()
    archive = cifar.CIFAR100.archive._replace(md5=md5)
    monkeypatch.setattr(cifar, "CIFAR100", cifar.CIFAR100._replace(archive=archive))
    return folder


def test_the_binary_archive_holds_label_bytes_and_colour_planes(hundred):
    folder, train, test, labels, _ = hundred
    data = Cifar100(root=str(folder)).load()
    assert np.array_equal(data.train.x.numpy(), train)
    assert np.array_equal(data.test.x.numpy(), test)
    assert data.train.y.tolist() == labels[:, 1].tolist()
    assert data.classes == ("ant", "bee", "cat", "dog")
    coarse = Cifar100(root=str(folder), labels="coarse").load()
    assert coarse.train.y.tolist() == labels[:, 0].tolist()
    assert coarse.classes == ("insects", "mammals")
    assert not list(folder.parent.rglob("evil.bin"))


def test_the_unpacked_folder_is_the_same_data_set(hundred):
    folder, *_, members = hundred
    packed = Cifar100(root=str(folder)).identity()
    (folder / "cifar-100-binary.tar.gz").unlink()
    (folder / "cifar-100-binary").mkdir()
    for name, content in members.items():
        (folder / "cifar-100-binary" / name.rpartition("/")[2]).write_bytes(content)
    assert Cifar100(root=str(folder)).identity() == packed
    (folder / "cifar-100-binary" / "train.bin").write_bytes(b"short")
    with pytest.raises(DataError, match=r"train\.bin has 5 bytes; allowed: 5 records of 2 \+ 3072 bytes"):
        Cifar100(root=str(folder)).load()


def test_an_archive_without_one_of_its_files_is_a_clear_error(hundred, monkeypatch):
    folder, *_, members = hundred
    tarred(folder / "cifar-100-binary.tar.gz", {n: c for n, c in members.items() if "test.bin" not in n})
    vouched(monkeypatch, folder)
    with pytest.raises(DataError, match=r"cifar-100-binary lacks test\.bin"):
        Cifar100(root=str(folder)).load()


def test_the_ten_class_set_has_one_label_byte_and_five_training_files(tmp_path, monkeypatch):
    labels = np.array([[0], [1]])
    files = {name: records(labels) for name in (*cifar.CIFAR10.train, "test_batch.bin")}
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for name, (_, content) in files.items():
        (folder / name).write_bytes(content)
    (folder / "batches.meta.txt").write_bytes(b"airplane\nautomobile\n\n")
    monkeypatch.setattr(cifar, "CIFAR10", cifar.CIFAR10._replace(records=dict.fromkeys(files, 2), classes=(2,)))
    data = Cifar10(root=str(tmp_path)).load()
    assert np.array_equal(data.train.x.numpy(), np.concatenate([files[n][0] for n in cifar.CIFAR10.train]))
    assert data.train.y.tolist() == [0, 1] * 5
    assert data.classes == ("airplane", "automobile")


def test_a_missing_set_says_what_to_download_from_where_and_where_to_put_it(tmp_path, monkeypatch):
    monkeypatch.setenv("CL_ENGINE_DATA", str(tmp_path / "sets"))
    with pytest.raises(ConfigError) as raised:
        Scenario.load({"data": "cifar100", "stream": "class-incremental", "strategy": "ncm"})
    text = str(raised.value)
    assert "\n" not in text
    for part in (
        "cifar-100-binary.tar.gz",
        "https://www.cs.toronto.edu/~kriz/",
        str(tmp_path / "sets"),
        "download: true",
    ):
        assert part in text


def test_an_archive_that_is_not_the_official_one_is_refused(tmp_path):
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(b"something else")
    with pytest.raises(DataError, match=r"has MD5 .* allowed: c32a1d4ab5d03f1284b67883e8d87530"):
        Cifar10(root=str(tmp_path)).labels()


def strip(images, kind="webp"):
    buffer = io.BytesIO()
    pixels = np.concatenate(images).transpose(0, 1, 2)
    Image.fromarray(pixels).save(buffer, kind, **({"lossless": True} if kind == "webp" else {}))
    return buffer.getvalue()


@pytest.fixture
def strips(tmp_path):
    """A tar of strips of ten classes: three images of each, two of them in a strip of its own."""
    images = RNG.integers(0, 256, (10, 4, 32, 32, 3), dtype=np.uint8)
    members = {}
    for i in range(9, -1, -1):
        members[f"train/c{i}/00.webp"] = strip(images[i, :2])
        members[f"train/c{i}/01.png"] = strip(images[i, 2:3], "png")
        members[f"test/c{i}.webp"] = strip(images[i, 3:])
    tarred(tmp_path / "strips.tar", members, "w")
    return tmp_path / "strips.tar", images, members


def test_strips_are_cut_into_images_and_classes_numbered_by_name(strips):
    path, images, _ = strips
    source = Cifar10(path=str(path))
    labels = source.labels()
    data = source.load()
    assert data.classes == tuple(f"c{i}" for i in range(10))
    assert labels.train.tolist() == data.train.y.tolist() == np.repeat(np.arange(9, -1, -1), 3).tolist()
    assert labels.test.tolist() == data.test.y.tolist() == list(range(9, -1, -1))
    for label in range(10):
        found = data.train.x[data.train.y == label].permute(0, 2, 3, 1).numpy()
        assert np.array_equal(found, images[label, :3])


def test_the_labels_of_strips_need_no_picture_decoded(strips, monkeypatch):
    monkeypatch.setattr(Image.Image, "convert", lambda *_: pytest.fail("decoded"))
    assert len(Cifar10(path=str(strips[0])).labels().train) == 30


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"test/c0.webp": None}, "label 0 has no test sample"),
        ({"other/c0.webp": b""}, "holds 'other/c0.webp'; allowed: train/CLASS.webp"),
        ({"../../c0.webp": b""}, "allowed: train/CLASS.webp"),
        ({"train/c11.webp": "c0"}, "holds 11 classes; allowed: 10"),
        ({"train/c0/02.webp": b"no picture"}, "cannot be read"),
        ({"train/c0/02.png": strip(np.zeros((1, 16, 16, 3), np.uint8), "png")}, "picture of 16 x 16 pixels"),
    ],
    ids=str,
)
def test_strips_that_are_none_are_a_clear_error(strips, change, complaint):
    path, _, members = strips
    changed = {**members, **{k: members["test/c0.webp"] if v == "c0" else v for k, v in change.items()}}
    tarred(path, {k: v for k, v in changed.items() if v is not None}, "w")
    with pytest.raises(DataError, match=complaint) as raised:
        Cifar10(path=str(path)).labels()
    assert "allowed" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"not a tar", bytes(10_000)], ids=len)
def test_what_is_no_tar_is_a_clear_error(tmp_path, content):
    (tmp_path / "strips.tar").write_bytes(content)
    with pytest.raises(DataError, match="allowed"):
        Cifar10(path=str(tmp_path / "strips.tar")).labels()


def test_options_that_contradict_each_other_are_refused(strips):
    scenario = {"stream": "class-incremental", "strategy": "ncm"}
    with pytest.raises(ConfigError, match="labels: strips know no superclasses"):
        Scenario.load({**scenario, "data": {"kind": "cifar100", "path": str(strips[0]), "labels": "coarse"}})
    with pytest.raises(ConfigError, match="path: allowed: path alone, or root and download"):
        Scenario.load({**scenario, "data": {"kind": "cifar10", "path": str(strips[0]), "download": True}})


def test_a_relative_root_is_beside_the_scenario_file(hundred):
    folder = hundred[0]
    (folder / "a.yaml").write_text(
        "data: {kind: cifar100, root: .}\nstream: {kind: class-incremental, step: 2}\nstrategy: ncm\n"
    )
    record = cl_engine.run(folder / "a.yaml")
    assert record.to_dict()["config"]["data"]["root"] == str(folder)


def test_the_seed_1993_gives_the_order_of_the_field(tmp_path):
    """68, 56, 78, ... is how every table with 100 classes and that seed begins."""
    x, y = torch.zeros(100, 3, 32, 32, dtype=torch.uint8), torch.arange(100)
    data = cl_engine.DataSet(cl_engine.Samples(x, y), cl_engine.Samples(x, y))
    stream = {"kind": "class-incremental", "step": 10, "class_order": 1993}
    scenario = Scenario.load({"data": data, "stream": stream, "strategy": "ncm"})
    assert exposure_order(scenario.labels.train, scenario.plan)[:8].tolist() == [68, 56, 78, 8, 23, 84, 90, 65]
