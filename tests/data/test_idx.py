"""IDX files, written here as their documentation says."""

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

from cl_engine.data import idx
from cl_engine.data.idx import FashionMnist, Idx, Mnist, read_idx
from cl_engine.data.samples import DataError

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}
RNG = np.random.default_rng(0)


def encoded(array):
    code = CODES[array.dtype.str[1:]]
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
def test_every_type_is_read_back(tmp_path, kind, pack):
    array = RNG.integers(0, 100, (3, 4, 2)).astype(kind)
    (tmp_path / "a").write_bytes(pack(encoded(array)))
    assert np.array_equal(read_idx(tmp_path / "a"), array)


IMAGES = encoded(np.zeros((4, 3, 3), np.uint8))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04" + bytes(40),
        IMAGES[:-1],
        IMAGES + b"\0",
        gzip.compress(IMAGES)[:-12],
        gzip.compress(IMAGES[:-1]),
        gzip.compress(IMAGES + b"\0"),
        b"\x1f\x8bnot gzip at all",
        struct.pack(">BBBB3I", 0, 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1),
        gzip.compress(struct.pack(">BBBB3I", 0, 0, 8, 3, 2**31, 2**10, 2**10)),
        struct.pack(">BBBB", 0, 0, 8, 255) + bytes(8),
        struct.pack(">BBBB", 0, 0, 8, 0),
    ],
    ids=[
        "nothing",
        "zip",
        "short",
        "long",
        "gzip cut off",
        "short in gzip",
        "long in gzip",
        "no gzip",
        "overflowing sizes",
        "huge in gzip",
        "255 axes",
        "no axis",
    ],
)
def test_damage_is_one_clear_line(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(DataError, match="allowed: an IDX file") as raised:
        read_idx(tmp_path / "a")
    assert "\n" not in str(raised.value)


def four(tmp_path, pack=bytes, ending="", **changes):
    x, y = RNG.integers(0, 256, (6, 5, 4), dtype=np.uint8), np.array([0, 1, 2] * 2, np.uint8)
    arrays = dict(zip(idx.PARTS, (x, y, x[:3], y[:3]), strict=True))
    for name, array in {**arrays, **changes}.items():
        (tmp_path / f"{name}{ending}").write_bytes(pack(encoded(array)))
    return x, [str(tmp_path / f"{name}{ending}") for name in idx.PARTS]


def of(paths):
    return Idx(**dict(zip(("train_images", "train_labels", "test_images", "test_labels"), paths, strict=True)))


def test_four_files_are_grey_images(tmp_path):
    x, paths = four(tmp_path)
    data = of(paths).load()
    assert np.array_equal(data.train.x.numpy(), x[:, None])
    assert data.train.y.tolist() == [0, 1, 2] * 2
    assert data.train.x.is_contiguous()
    data.train.x.zero_()  # ours to write into


@pytest.mark.parametrize(
    ("part", "array", "complaint"),
    [
        (0, np.zeros((6, 5, 4), np.float32), "allowed: uint8 images"),
        (0, np.zeros(6, np.uint8), "allowed: uint8 images"),
        (1, np.zeros(5, np.uint8), "beside 6 samples"),
        (1, np.zeros(6, np.float32), "allowed: integers"),
        (3, np.array([0, 1, 9], np.uint8), "test label 9 never occurs"),
        (2, np.zeros((3, 9, 9), np.uint8), "the same shape"),
    ],
)
def test_files_that_do_not_fit_are_a_clear_error(tmp_path, part, array, complaint):
    with pytest.raises(DataError, match=complaint):
        of(four(tmp_path, **{idx.PARTS[part]: array})[1]).labels()


def test_official_files_are_checked_and_named(tmp_path, monkeypatch):
    x, paths = four(tmp_path, gzip.compress, ".gz")
    with pytest.raises(DataError, match=r"has MD5 .* allowed: f68b3c2dcbeaaa9fbdd348bbdeb94873"):
        Mnist(root=str(tmp_path)).labels()
    digests = [hashlib.md5(Path(path).read_bytes()).hexdigest() for path in paths]
    files = tuple(f._replace(md5=md5) for f, md5 in zip(idx.MNIST, digests, strict=True))
    monkeypatch.setattr(idx, "MNIST", files)
    assert np.array_equal(Mnist(root=str(tmp_path)).load().train.x.numpy()[:, 0], x)


def test_plain_files_under_their_official_names_are_read(tmp_path):
    x, _ = four(tmp_path)
    data = FashionMnist(root=str(tmp_path)).load()
    assert np.array_equal(data.train.x.numpy()[:, 0], x)
    assert data.classes[-1] == "Ankle boot"


def test_missing_files_are_all_named_with_where_they_are_to_be_had(tmp_path, monkeypatch):
    monkeypatch.setenv("CL_ENGINE_DATA", str(tmp_path))
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / idx.MNIST[0].name).write_bytes(b"")
    with pytest.raises(DataError, match="allowed: download https://") as raised:
        Mnist().labels()
    assert str(tmp_path / "mnist") in str(raised.value)
    for file in idx.MNIST:
        assert (file.url in str(raised.value)) == (file is not idx.MNIST[0])
