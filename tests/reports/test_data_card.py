"""What is in a data set, against NumPy's own counting."""

import io
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from cl_engine.cli.app import _status
from cl_engine.data.samples import DataError, DataSet, Samples
from cl_engine.reports.contact_sheet import GAP, LABEL, SIDE, contact_sheet, write_sheet
from cl_engine.reports.data_card import card, data_facts, duplicates

ROWS = arrays(np.float32, st.tuples(st.integers(1, 12), st.just(1)), elements=st.sampled_from([0.0, 1.0, 2.0]))


def samples(x, y=None):
    return Samples(torch.from_numpy(x), torch.zeros(len(x), dtype=torch.int64) if y is None else torch.tensor(y))


@given(ROWS, ROWS)
def test_equal_samples_are_those_that_numpy_finds_equal(train, test):
    found = duplicates(samples(train), samples(test))
    assert found["train"] == len(train) - len(np.unique(train, axis=0))
    assert found["test"] == len(test) - len(np.unique(test, axis=0))
    assert found["both"] == int(np.isin(test, train).sum())
    assert found["contradicting"] == 0  # one class


def test_an_equal_sample_of_another_class_contradicts_unless_one_of_its_own_class_is_equal_too():
    x = np.zeros((3, 2), dtype=np.float32)
    assert duplicates(samples(x, [0, 1, 1]), samples(x[:2], [0, 2]))["contradicting"] == 1


@pytest.mark.parametrize("channels", [1, 3])
def test_moments_of_images_are_those_of_their_pixels_in_0_to_1(channels):
    x = np.random.RandomState(0).randint(0, 256, (50, channels, 6, 5)).astype(np.uint8)
    x[:, 0] = 7
    data = DataSet(samples(x), samples(x[:1]))
    facts = data_facts(data)
    np.testing.assert_allclose(facts["mean"], (x / 255).mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(facts["deviation"][1:], (x / 255).std((0, 2, 3))[1:], rtol=1e-12)
    assert facts["constant"] == 1


def test_moments_of_features_keep_their_digits_beside_a_large_mean():
    x = (np.random.RandomState(0).standard_normal((3000, 4)) + 1e4).astype(np.float32)
    x[:, 2] = 5
    facts = data_facts(DataSet(samples(x), samples(x[:1])))
    np.testing.assert_allclose(facts["mean"], [x.astype(np.float64).mean()], rtol=1e-12)
    np.testing.assert_allclose(facts["deviation"], [x.astype(np.float64).std()], rtol=1e-9)
    assert facts["constant"] == 1


def test_a_sheet_shows_the_first_images_of_each_class_in_its_row():
    x = np.zeros((4, 1, 8, 8), dtype=np.uint8)
    x[1], x[3] = 255, 128  # of class 0: black, grey; of class 1: white, black
    data = DataSet(samples(x, [0, 1, 1, 0]), samples(x[:2], [0, 1]), ("a", "b"))
    sheet = np.asarray(contact_sheet(data, 2))
    centre = [
        [int(sheet[GAP + r * (SIDE + GAP) + SIDE // 2, LABEL + c * (SIDE + GAP) + SIDE // 2, 0]) for c in (0, 1)]
        for r in (0, 1)
    ]
    assert centre == [[0, 128], [255, 0]]


def test_names_with_markup_newlines_and_letters_that_no_font_has_are_harmless(tmp_path):
    x = np.zeros((2, 3, 4, 9), dtype=np.uint8)
    names = ("<script>alert(1)</script>", "猫\n犬" * 30)
    data = DataSet(samples(x, [0, 1]), samples(x, [0, 1]), names)
    facts = data_facts(data)
    write_sheet(data, facts, tmp_path / "sheet.html")
    page = (tmp_path / "sheet.html").read_text()
    assert "<script" not in page
    assert "http" not in page
    assert len(card(facts).splitlines()) == 6 + 3  # facts, then a heading and a row a class


def test_a_sheet_of_features_or_of_another_kind_of_file_is_one_line(tmp_path):
    features = DataSet(samples(np.zeros((1, 2), np.float32)), samples(np.zeros((1, 2), np.float32)))
    with pytest.raises(DataError, match="allowed: images"):
        write_sheet(features, {}, tmp_path / "sheet.png")
    with pytest.raises(DataError, match=r"allowed: a name that ends in \.png or \.html"):
        write_sheet(features, {}, tmp_path / "sheet.gif")


def test_the_command_prints_one_json_object_and_writes_the_sheet(tmp_path, monkeypatch, capsys):
    sheet = tmp_path / "digits.png"
    monkeypatch.setattr("sys.argv", ["cl-engine", "data", "quickstart", "--json", "--sheet", str(sheet)])
    assert _status() == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["train"]["samples"], facts["test"]["samples"], facts["shape"]) == (1442, 355, [1, 8, 8])
    assert Image.open(io.BytesIO(sheet.read_bytes())).size[1] == 10 * (SIDE + GAP) + GAP


def test_the_command_says_what_was_left_out(tmp_path, monkeypatch, capsys):
    for label in "ab":
        (tmp_path / "pictures" / label).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (4, 4), (number, 0, 0)).save(tmp_path / "pictures" / label / f"{number}.png")
    (tmp_path / "pictures" / "a" / "notes.txt").write_text("x")
    monkeypatch.setenv("CL_ENGINE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "a.yaml").write_text(
        "data: {kind: folder, path: pictures, on_error: skip}\nstream: {step: 1}\nstrategy: ncm\n"
    )
    left_out = "files that are no pictures, left out: 1 (a/notes.txt)"
    monkeypatch.setattr("sys.argv", ["cl-engine", "data", str(tmp_path / "a.yaml")])
    assert _status() == 0
    assert f"note: {left_out}" in capsys.readouterr().out.splitlines()
    monkeypatch.setattr("sys.argv", ["cl-engine", "data", str(tmp_path / "a.yaml"), "--json"])
    assert _status() == 0
    assert json.loads(capsys.readouterr().out)["notes"] == [left_out]
