"""What the documentation shows runs."""

import contextlib
import io
import itertools
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors.numpy import save_file

import cl_engine
from cl_engine.config.document import parse
from cl_engine.kinds.registry import kinds, load
from cl_engine.kinds.validation import validate

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.S)


@pytest.mark.parametrize(
    "page",
    [
        p for p in PAGES if blocks(p, "python") and p.name not in ("codecs.md", "folder.md")
    ],  # that has its own tests
    ids=lambda p: p.name,
)
def test_the_code_of_a_page_runs_from_top_to_bottom(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for block in blocks(page, "python"):
        exec(compile(block, page.name, "exec"), names)


def test_the_training_section_that_is_shown_is_valid():
    (block,) = blocks(ROOT / "docs" / "training.md", "yaml")
    training = parse(block, "training.md").tree["training"]
    cl_engine.Scenario.load({"data": "digits", "strategy": "finetune", "training": training})


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The files that docs/data.md names, with few samples each; the data folder is empty."""
    monkeypatch.setenv("CL_ENGINE_DATA", str(tmp_path / "empty"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    x, y = np.random.default_rng(0).normal(size=(24, 3)).astype("f4"), np.arange(24) % 3
    arrays = {"x": x, "y": y, "batch": np.arange(24) // 12}
    np.savez(tmp_path / "drift.npz", **arrays)
    for name in ("train", "test"):
        save_file({"x": x, "y": y}, tmp_path / f"{name}.safetensors")
    images(tmp_path, "my", 3)
    part = np.where(np.arange(24) < 12, "train", "test")
    table = pd.DataFrame({"resistance": x[:, 0], "slope": x[:, 1], "gas": y, "batch": arrays["batch"]})
    table.to_csv(tmp_path / "sensors.csv", index=False)
    with contextlib.suppress(ImportError):
        table.assign(part=part, note="words").to_parquet(tmp_path / "sensors.parquet")
    for name, array in (
        ("images-idx3", np.zeros((8, 2, 2), np.uint8)),
        ("labels-idx1", np.arange(8, dtype=np.uint8) % 2),
    ):
        head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
        for split in ("train", "t10k"):
            (tmp_path / f"{split}-{name}-ubyte.gz").write_bytes(head + array.tobytes())
    for label, number in itertools.product(("ant", "bee"), range(10)):
        (tmp_path / "pets" / label).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 8), (number, 0, 0)).save(tmp_path / "pets" / label / f"{number}.png")
    (tmp_path / "lite0.safetensors").write_bytes(b"")  # hashed, but not read before features are computed
    with tarfile.open(tmp_path / "strips.tar", "w") as tar:
        for split, label in itertools.product(("train", "test"), range(10)):
            strip = io.BytesIO()
            Image.new("RGB", (32, 64)).save(strip, "webp")
            info = tarfile.TarInfo(f"{split}/c{label}.webp")
            info.size = len(strip.getvalue())
            tar.addfile(info, io.BytesIO(strip.getvalue()))
    return tmp_path


@pytest.mark.parametrize("block", blocks(ROOT / "docs" / "data.md", "yaml"))
def test_the_data_sections_that_are_shown_are_valid(block, files):
    tree = {"stream": "data-incremental", "strategy": "ncm", **parse(block, "data.md").tree}
    (files / "a.yaml").write_text(json.dumps(tree))
    kind = tree["data"] if isinstance(tree["data"], str) else tree["data"]["kind"]
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="needs the parquet extra")
    if kind not in ("cifar100", "mnist", "torchvision", "hf"):
        assert len(cl_engine.Scenario.load(files / "a.yaml").plan) > 1
        return
    options = {} if kind == tree["data"] else {k: v for k, v in tree["data"].items() if k != "kind"}
    source = load("data", kind)
    source(**validate(source, options, files))
    if "download" not in options:
        with pytest.raises(cl_engine.ConfigError, match=r"allowed|pip install"):
            cl_engine.Scenario.load(files / "a.yaml")


def test_the_page_on_data_has_every_kind():
    text = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    assert {kind for kind in kinds("data") if f"`{kind}`" not in text} == set()


def images(folder, name, classes):
    """Write a data set with the labels and the shape of CIFAR's, few images of each class."""
    x, y = np.zeros((5 * classes, 32, 32, 3), np.uint8), np.arange(5 * classes) % classes
    np.savez(folder / f"{name}.npz", x_train=x, y_train=y, x_test=x[:classes], y_test=y[:classes])


@pytest.fixture
def translated(tmp_path):
    images(tmp_path, "cifar100", 100)
    images(tmp_path, "cifar10", 10)
    found = []
    for number, block in enumerate(blocks(ROOT / "docs" / "terms.md", "yaml")):
        (tmp_path / f"{number}.yaml").write_text(block)
        found.append(cl_engine.Scenario.load(tmp_path / f"{number}.yaml"))
    return found


def test_the_translated_json_means_what_the_json_says(translated):
    (block,) = blocks(ROOT / "docs" / "terms.md", "json")
    theirs, ours = json.loads(block), translated[0]
    (seed,) = theirs["seed"]
    increments = [theirs["init_cls"], *[theirs["increment"]] * 9]
    assert [len(exposure.new_classes) for exposure in ours.exposures] == increments
    order = np.random.RandomState(seed).permutation(100)
    assert set(ours.labels.train[ours.plan.experience(0)]) == set(order[: theirs["init_cls"]])
    assert (ours.strategy["kind"], ours.strategy["total"]) == (theirs["model_name"], theirs["memory_size"])
    assert ours.strategy["backbone"]["kind"] == theirs["convnet_type"]


def test_the_translated_command_line_means_what_it_says(translated):
    (line,) = re.findall(r"^python main.py (.*)$", (ROOT / "docs" / "terms.md").read_text(), re.M)
    words = line.split()
    theirs, ours = dict(zip(words[::2], words[1::2], strict=True)), translated[1]
    assert [exposure.new_classes for exposure in ours.exposures] == [(c, c + 1) for c in range(0, 10, 2)]
    assert set(ours.labels.train[ours.plan.experience(0)]) == {
        0,
        1,
    }  # without permutation the lowest labels come first
    assert ours.strategy["total"] == int(theirs["--buffer_size"])
    training = ours.training
    assert (training.lr, training.epochs) == (float(theirs["--lr"]), int(theirs["--n_epochs"]))
    assert training.batch_size == int(theirs["--batch_size"])


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.name)
def test_an_example_runs(example, tmp_path):
    done = subprocess.run([sys.executable, str(example)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_scenario_that_looks_into_the_network_runs():
    (block,) = blocks(ROOT / "docs" / "analyses.md", "yaml")
    tree = parse(block, "analyses.md").tree
    found = cl_engine.run({**tree, "training": {"epochs": 1}}).to_dict()
    assert [*found["analyses"]] == tree["analyses"]
    assert set(tree["evaluate"]["probes"]) < set(found["probes"])
