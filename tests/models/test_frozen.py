"""Frozen features as data: what they equal, when they are computed, and what becomes of the cache."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

import cl_engine
from cl_engine.cli.app import _status
from cl_engine.config.scenario import ConfigError, Scenario
from cl_engine.data import cache, kept_features
from cl_engine.data.cache import CacheError
from cl_engine.data.digits import Digits
from cl_engine.data.kept_features import FILE, KeptFeatures
from cl_engine.models import frozen
from cl_engine.models.backbone import build_backbone
from cl_engine.models.frozen import Frozen
from cl_engine.models.inputs import Inputs
from cl_engine.randomness import torch_generator

DATA = {"kind": "frozen", "of": "digits", "backbone": {"kind": "resnet14"}}
RESNET14 = (
    4 * 171_568 + 3_816
)  # bytes: 171,856 parameters on three channels, 288 fewer on one; statistics of its norms (MEMO's table)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.PLACE, str(tmp_path / "cache"))


def scenario(**changes):
    return {"data": DATA, "stream": {"step": 5}, "strategy": "ncm", **changes}


def made(**changes):
    return Scenario.load(scenario(data={**DATA, **changes})).source


@pytest.fixture
def counted(monkeypatch):
    """How many samples went through a backbone."""
    counts = []
    real = frozen.features_of

    def features_of(backbone, inputs, x, **options):
        counts.append(len(x))
        return real(backbone, inputs, x, **options)

    monkeypatch.setattr(frozen, "features_of", features_of)
    return counts


def test_they_are_what_the_backbone_makes_of_the_samples():
    found, digits = made().load(), Digits().load()
    backbone = build_backbone("resnet14", (1, 8, 8), torch_generator(0, "backbone")).eval()
    with torch.no_grad():
        expected = backbone(Inputs()(digits.train.x))
    torch.testing.assert_close(found.train.x, expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(found.train.y, digits.train.y)
    assert torch.equal(found.test.y, digits.test.y)
    assert found.classes == digits.classes


def test_runs_on_them_equal_runs_on_the_same_features_from_a_file(tmp_path, monkeypatch):
    for name in ("made.npz", "made.safetensors"):
        monkeypatch.setattr(
            "sys.argv", ["cl-engine", "features", str(_file(tmp_path)), "--out", str(tmp_path / name)]
        )
        assert _status() == 0
    accuracy = cl_engine.run(scenario(strategy="g-acil")).accuracy
    for name in ("made.npz", "made.safetensors"):
        data = {"kind": "features", "path": str(tmp_path / name)}
        assert cl_engine.run(scenario(data=data, strategy="g-acil")).accuracy == accuracy


def _file(folder):
    (folder / "frozen.yaml").write_text(json.dumps(scenario()))  # JSON is YAML
    return folder / "frozen.yaml"


def test_every_sample_goes_through_once_for_all_runs_budgets_and_plans(counted):
    Scenario.load(scenario()).shortage()
    assert not counted  # nothing is computed to check, or to find what budget is impossible
    cl_engine.run(scenario())
    assert sum(counted) == 1442 + 355
    cl_engine.run(scenario(strategy={"kind": "replay", "total": 20}, training={"epochs": 1}, seed=3))
    assert sum(counted) == 1442 + 355


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({"seed": 1}, True),
        ({"precision": "bf16"}, True),
        ({"backbone": {"kind": "resnet20"}}, True),
        ({"of": {"kind": "digits"}}, False),
    ],
    ids=str,
)
def test_another_backbone_is_another_key_and_another_spelling_is_not(change, again, counted):
    made().load()
    before = sum(counted)
    made(**change).load()
    assert (sum(counted) > before) is again


def test_the_backbone_is_in_the_ledger_and_exemplars_are_features():
    record = cl_engine.run(scenario(strategy={"kind": "replay", "total": 20}, training={"epochs": 1}))
    entries = record.memory["entries"][-1]
    held = sum(e["bytes"] for e in entries if e["name"].startswith("extractor."))
    assert held == RESNET14
    assert [e["shape"] for e in entries if e["kind"] == "exemplars"] == [[20, 64]]


def test_what_was_computed_before_a_kill_is_not_computed_again(counted, monkeypatch):
    monkeypatch.setattr(frozen, "BLOCK", 64 * 500)  # blocks of 500 samples
    real = kept_features.KeptFeatures._note

    def note(self, **facts):
        real(self, **facts)
        if facts["done"] >= 1000:
            raise KeyboardInterrupt

    monkeypatch.setattr(kept_features.KeptFeatures, "_note", note)
    with pytest.raises(KeyboardInterrupt):
        made().load()
    monkeypatch.setattr(kept_features.KeptFeatures, "_note", real)
    found = made().load()
    assert sum(counted) == 1442 + 355
    monkeypatch.setenv(cache.PLACE, os.environ[cache.PLACE] + "-whole")
    whole = made().load()
    assert torch.equal(found.train.x, whole.train.x)
    assert torch.equal(found.test.x, whole.test.x)


def test_damage_is_noticed_and_named():
    source = made()
    source.load()
    file = Path(os.environ[cache.PLACE]) / source.identity() / FILE
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)
    with pytest.raises(CacheError, match=r"do not match their checksum; allowed: .*cache clear"):
        made().load()


def test_a_write_into_features_changes_a_copy():
    found = made().load()
    before = found.train.x.clone()
    found.train.x.zero_()
    assert torch.equal(made().load().train.x, before)


def test_a_disk_with_too_little_room_is_told_before_anything_is_computed(monkeypatch, counted):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(kept_features.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(CacheError, match=r"the features need 0\.4 MiB, 0\.0 MiB are free"):
        made().load()
    assert not counted


def test_two_processes_at_once_compute_once(tmp_path):
    command = [sys.executable, "-m", "cl_engine", "features", str(_file(tmp_path))]
    environment = {**os.environ, "PYTHONPATH": str(Path(cl_engine.__file__).parent.parent)}
    both = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = "".join(process.communicate(timeout=120)[1] for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert told.count("computed in") == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"of": {"kind": "gaussian"}}, "data.backbone: resnet14 cannot take samples of shape"),
        ({"of": "nothing"}, "data.of.kind: there is no"),
        ({"of": {"kind": "gaussian", "classes": 0}}, "data.of.classes"),
        ({"backbone": "nothing"}, "data.backbone.kind: there is no"),
        ({"precision": "int8"}, "data.precision"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_named_by_its_key(change, told):
    with pytest.raises(ConfigError) as raised:
        made(**change)
    assert told in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_float16_halves_a_file_and_features_that_it_cannot_hold_are_refused(tmp_path):
    from cl_engine.models.frozen_file import write_features

    found = made().load()
    write_features(found, tmp_path / "half.safetensors", "float16")
    half = load_file(tmp_path / "half.safetensors")
    np.testing.assert_allclose(half["x_train"], found.train.x.numpy(), rtol=1e-3, atol=1e-4)
    found.train.x[0, 0] = 1e6
    with pytest.raises(cl_engine.data.samples.DataError, match="larger than float16 can hold"):
        write_features(found, tmp_path / "half.npz", "float16")


def test_rows_are_kept_as_they_come(tmp_path):
    rows = torch.arange(12.0).view(6, 2)
    kept = KeptFeatures("a" * 64, 6, 2, "test")
    assert torch.equal(kept.get(lambda first: iter([rows[first : first + 4], rows[first + 4 :]])), rows)
    assert torch.equal(KeptFeatures("a" * 64, 6, 2, "test").get(lambda first: iter([])), rows)


def test_frozen_is_a_source_that_python_may_hand_over():
    data = Frozen(of={"kind": "digits"}, backbone="resnet14")
    assert cl_engine.run(scenario(data=data)).accuracy == cl_engine.run(scenario()).accuracy


def test_what_was_left_out_of_the_data_stands_in_the_result(tmp_path):
    for label in "ab":
        (tmp_path / "pictures" / label).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / "pictures" / label / f"{number}.png")
    (tmp_path / "pictures" / "a" / "notes.txt").write_text("x")
    data = {**DATA, "of": {"kind": "folder", "path": str(tmp_path / "pictures"), "on_error": "skip"}}
    notes = cl_engine.run(scenario(data=data, stream={"step": 1})).to_dict()["notes"]
    assert notes == ["files that are no pictures, left out: 1 (a/notes.txt)"]
