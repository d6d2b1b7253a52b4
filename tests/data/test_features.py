"""Features from files: three containers, three ways to tell training from test samples, and mapped memory."""

import re

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

import cl_engine
from cl_engine.config.scenario import ConfigError, Scenario
from cl_engine.data.feature_files import Features
from cl_engine.data.samples import DataError

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(12, 5)).astype("f4"), np.arange(12) % 3
PARTS = {"x_train": X, "y_train": Y, "x_test": X[:6], "y_test": Y[:6]}


def npz(folder, arrays):
    np.savez(folder / "a.npz", **arrays)
    return folder / "a.npz"


def packed(folder, arrays):
    np.savez_compressed(folder / "b.npz", **arrays)
    return folder / "b.npz"


def tensors(folder, arrays):
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / "a.safetensors")
    return folder / "a.safetensors"


def npy(folder, arrays):
    (folder / "arrays").mkdir(exist_ok=True)
    for name, array in arrays.items():
        np.save(folder / "arrays" / name, array)
    return folder / "arrays"


CONTAINERS = [npz, packed, tensors, npy]


@pytest.mark.parametrize("write", CONTAINERS)
@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
def test_every_container_gives_the_same_features(tmp_path, write, kind):
    arrays = {**PARTS, "x_train": X.astype(kind), "x_test": X[:6].astype(kind)}
    data = Features(path=str(write(tmp_path, arrays))).load()
    assert np.array_equal(data.train.x.numpy(), X.astype(kind).astype("f4"))
    assert data.test.y.tolist() == Y[:6].tolist()
    assert data.train.x.dtype == torch.float32


def test_containers_do_not_matter_to_the_identity_and_their_content_does(tmp_path):
    found = {Features(path=str(write(tmp_path, PARTS))).identity() for write in CONTAINERS}
    assert len(found) == 1
    changed = Features(path=str(npz(tmp_path, {**PARTS, "x_test": X[1:7]}))).identity()
    assert changed not in found


def test_brain_floats_are_read(tmp_path):
    x, y = torch.from_numpy(X).bfloat16(), torch.from_numpy(Y)
    save_torch({"x": x, "y": y}, tmp_path / "a.safetensors")
    data = Features(train=str(tmp_path / "a.safetensors"), test=str(tmp_path / "a.safetensors")).load()
    assert torch.equal(data.train.x, x.float())


def test_two_files_or_one_with_other_names_or_none_split(tmp_path):
    (tmp_path / "t").mkdir()
    train, test = npz(tmp_path, {"x": X, "y": Y}), tensors(tmp_path / "t", {"x": X[:6], "y": Y[:6]})
    two = Features(train=str(train), test=str(test)).identity()
    assert two == Features(path=str(npz(tmp_path, PARTS))).identity()
    named = {name.replace("x", "emb").replace("y", "lab"): array for name, array in PARTS.items()}
    assert Features(path=str(npy(tmp_path, named)), x="emb", y="lab").identity() == two
    one = Features(path=str(npz(tmp_path, {"x": X, "y": Y, "site": Y // 2})), domain="site", test_share=0.25).load()
    assert (len(one.train), len(one.test)) == (9, 3)
    assert one.labels().test_domains.tolist() == (one.test.y // 2).tolist()


@pytest.mark.parametrize("write", [npy, tensors])
def test_float32_stays_on_the_disk_until_it_is_used(tmp_path, write):
    x = np.zeros((1 << 16, 256), np.float32)  # 64 MiB
    y = np.arange(len(x)) % 2
    path = write(tmp_path, {"x_train": x, "y_train": y, "x_test": x[:2], "y_test": y[:2]})
    found = Features(path=str(path)).load().train.x
    files = {str(path)} if path.is_file() else {str(path / "x_train.npy")}
    lines = open("/proc/self/maps").read().splitlines()  # noqa: SIM115
    ranges = [re.match(r"(\w+)-(\w+)", line).groups() for line in lines if line.split()[-1] in files]
    assert any(int(a, 16) <= found.data_ptr() < int(b, 16) for a, b in ranges)
    found[0, 0] = 7  # ours to write into; the file is nobody's
    assert Features(path=str(path)).load().train.x[0, 0] == 0


@pytest.mark.parametrize("write", CONTAINERS)
@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"y_test": None}, "lacks y_test; allowed: names of arrays among"),
        ({"x_train": X[0]}, r"x_train is float32 \[5\]; allowed: float \[N, D\]"),
        ({"x_train": X.astype(int)}, "x_train is int64"),
        ({"x_train": X[:0], "y_train": Y[:0]}, "allowed: float"),
        ({"x_train": np.where(X[3, 2] == X, np.nan, X)}, "NaN or infinite"),
        ({"x_train": np.full((12, 5), 1e300)}, "NaN or infinite"),
        ({"y_train": Y[:5]}, "beside 12 samples"),
        ({"y_train": Y - 1}, "holds the label -1"),
        ({"y_train": Y.astype("f4")}, "y_train is float32"),
        ({"x_test": X[:6, :4]}, "the same shape"),
    ],
)
def test_every_malformed_array_is_a_clear_error(tmp_path, write, changes, complaint):
    arrays = {name: array for name, array in {**PARTS, **changes}.items() if array is not None}
    for standardise in (False, True):
        with pytest.raises(DataError, match=complaint) as raised:
            Features(path=str(write(tmp_path, arrays)), standardise=standardise).labels()
        assert "allowed" in str(raised.value)


@pytest.mark.parametrize("name", ["a.npz", "a.safetensors", "arrays/x_train.npy"])
@pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x01\x00junk", b"\xff" * 8 + b"{}", b"PK\x03\x04" + bytes(30)])
def test_damaged_files_are_one_clear_line(tmp_path, name, content):
    path = tmp_path / name
    npy(tmp_path, PARTS)
    path.write_bytes(content)
    with pytest.raises(DataError, match="allowed") as raised:
        Features(path=str(path if path.suffix != ".npy" else path.parent)).labels()
    assert "\n" not in str(raised.value)


def test_pickled_objects_are_never_loaded(tmp_path):
    arrays = {**PARTS, "x_train": np.array([None] * 12)}
    for write in (npz, npy):
        with pytest.raises(DataError, match="x_train holds pickled Python objects, which are never loaded"):
            Features(path=str(write(tmp_path, arrays))).labels()


def test_files_must_be_named_one_way_and_be_there(tmp_path):
    scenario = {"stream": "class-incremental", "strategy": "ncm"}
    for options in ({}, {"path": "a", "train": "b", "test": "c"}, {"train": "a"}):
        with pytest.raises(
            ConfigError, match=r"path: neither or more than one way .*; allowed: path, or train and test together"
        ):
            Scenario.load({**scenario, "data": {"kind": "features", **options}})
    with pytest.raises(ConfigError, match=r"there is no '.*nowhere.npz'"):
        Scenario.load({**scenario, "data": {"kind": "features", "path": "nowhere.npz"}})


def test_a_path_is_relative_to_the_scenario_file(tmp_path):
    npy(tmp_path, PARTS)
    text = "data: {kind: features, path: arrays}\nstream: {kind: class-incremental, step: 1}\nstrategy: ncm\n"
    (tmp_path / "a.yaml").write_text(text)
    assert cl_engine.run(tmp_path / "a.yaml").metrics["last_accuracy"] is not None
