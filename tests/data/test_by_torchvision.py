"""Sets that torchvision reads, laid out here as it expects them."""

import bz2

import numpy as np
import pytest
from PIL import Image

from cl_engine.config.scenario import ConfigError, Scenario
from cl_engine.data import KINDS
from cl_engine.data.by_torchvision import ELSEWHERE, SETS, Torchvision
from cl_engine.data.samples import DataError

SCENARIO = {"stream": "data-incremental", "strategy": "ncm"}
RNG = np.random.default_rng(0)


@pytest.fixture
def datasets():
    return pytest.importorskip("torchvision.datasets", reason="needs the vision extra")


@pytest.mark.parametrize("name", ELSEWHERE)
def test_sets_that_come_as_pickles_are_left_to_other_kinds(name):
    with pytest.raises(
        ConfigError, match=f"name: torchvision may read {name} by way of pickle.* allowed: kind: {ELSEWHERE[name]}$"
    ):
        Scenario.load({**SCENARIO, "data": {"kind": "torchvision", "name": name}})


def test_a_name_that_is_none_is_a_clear_error():
    with pytest.raises(ConfigError, match=r"name: 'SVHM' is not known .* did you mean 'SVHN'"):
        Scenario.load({**SCENARIO, "data": {"kind": "torchvision", "name": "SVHM"}})


def test_every_set_is_there_and_takes_the_arguments_that_tell_its_parts(datasets):
    import inspect

    for name, how in SETS.items():
        parameters = inspect.signature(getattr(datasets, name).__init__).parameters
        assert {"root", "download", how.argument} <= set(parameters), name


def test_no_set_is_read_by_code_that_loads_pickles(datasets):
    import inspect
    import sys

    for name in SETS:
        module = sys.modules[getattr(datasets, name).__module__]
        source = inspect.getsource(module)
        assert "pickle" not in source, name
        assert "torch.load" not in source, name


def test_a_missing_set_is_one_line(datasets, tmp_path, monkeypatch):
    monkeypatch.setenv("CL_ENGINE_DATA", str(tmp_path))
    for name in SETS:
        if name == "PCAM":
            continue  # asks for h5py first
        for root in (None, str(tmp_path)):
            with pytest.raises(
                DataError, match=f"torchvision cannot read {name}: .*allowed: a `root` laid out"
            ) as raised:
                Torchvision(name=name, root=root).labels()
            assert "\n" not in str(raised.value)


def test_usps_is_read_from_its_files(datasets, tmp_path):
    """USPS holds a line per picture: its digit from 1 on, and 256 numbers between -1 and 1."""
    pixels = RNG.integers(0, 256, (6, 16, 16))
    lines = [
        f"{digit} " + " ".join(f"{i + 1}:{value / 255 * 2 - 1:.9f}" for i, value in enumerate(picture.ravel()))
        for digit, picture in zip([1, 2, 3] * 2, pixels, strict=True)
    ]
    (tmp_path / "usps.bz2").write_bytes(bz2.compress("\n".join(lines).encode()))
    (tmp_path / "usps.t.bz2").write_bytes(bz2.compress("\n".join(lines[:3]).encode()))
    data = Torchvision(name="USPS", root=str(tmp_path)).load()
    assert data.train.y.tolist() == [0, 1, 2] * 2
    assert np.abs(data.train.x[:, 0].numpy().astype(int) - pixels).max() <= 1  # torchvision rounds down
    assert len(data.test) == 3


def test_pictures_of_different_sizes_need_a_size(datasets, tmp_path):
    root = tmp_path / "gtsrb" / "GTSRB"
    for label in (0, 1):
        folder = root / "Training" / f"{label:05d}"
        folder.mkdir(parents=True)
        for i in range(2):
            Image.new("RGB", (20 + i, 30), (50 * label, 9, 9)).save(folder / f"{i}.ppm")
    images = root / "Final_Test" / "Images"
    images.mkdir(parents=True)
    for i in range(2):
        Image.new("RGB", (8, 8), (50 * i, 9, 9)).save(images / f"{i:05d}.ppm")
    rows = "Filename;ClassId\n00000.ppm;0\n00001.ppm;1\n"
    (tmp_path / "gtsrb" / "GT-final_test.csv").write_text(rows)
    with pytest.raises(
        DataError, match=r"picture 1 is 2. x 30 pixels, picture 2 2. x 30; allowed: one size, or `size`"
    ):
        Torchvision(name="GTSRB", root=str(tmp_path)).labels()
    data = Torchvision(name="GTSRB", root=str(tmp_path), size=4).load()
    assert tuple(data.train.x.shape) == (4, 3, 4, 4)
    assert data.train.x[:, 0, 0, 0].tolist() == [50 * label for label in data.train.y.tolist()]
    assert data.test.y.tolist() == [0, 1]


def test_the_kinds_that_are_pointed_to_are_there():
    assert {*ELSEWHERE.values()} - {"folder"} <= {*KINDS}
