"""A run directory is all that what was learned needs to predict."""

import json
import shutil

import numpy as np
import pytest
import torch

import cl_engine
from cl_engine.errors import InputError
from cl_engine.running.loading import LEARNER
from cl_engine.running.store import ResumeError

MODULE = """
import torch
from cl_engine.strategies.prototypes.ncm import NCM

class Mine(NCM):
    '''Of the user's own.'''
"""


def pictures(path, classes=4):
    draw = np.random.default_rng(0)
    x = draw.integers(0, 256, (classes * 20, 6, 6, 1)).astype(np.uint8)
    y = np.arange(len(x)) % classes
    np.savez(path, x_train=x, y_train=y, x_test=x, y_test=y)
    return torch.from_numpy(x).permute(0, 3, 1, 2)


def test_a_copied_run_predicts_alike_where_its_data_is_gone(tmp_path):
    x = pictures(tmp_path / "data.npz")
    for strategy in ("ncm", {"kind": "icarl", "total": 8, "backbone": "mlp"}, {"kind": "memo", "backbone": "mlp"}):
        run = cl_engine.run(
            {
                "data": {"kind": "npz", "path": str(tmp_path / "data.npz")},
                "stream": {"step": 2},
                "strategy": strategy,
                "training": {"epochs": 1},
                "memory": {"budget": "1 MiB"},
            },
            out=tmp_path / "runs",
        )
        before = cl_engine.load(run.directory).predict(x)
        moved = tmp_path / f"moved-{run.directory.name}"
        shutil.copytree(run.directory, moved)
        (tmp_path / "data.npz").rename(tmp_path / "elsewhere.npz")
        assert torch.equal(cl_engine.load(moved).predict(x), before)
        (tmp_path / "elsewhere.npz").rename(tmp_path / "data.npz")


def test_the_labels_of_the_columns_are_those_of_the_data(tmp_path):
    pixels = np.repeat(np.arange(4) * 60, 10).astype(np.uint8)[:, None, None, None] * np.ones(
        (1, 4, 4, 1), np.uint8
    )
    y = np.repeat([3, 0, 2, 1], 10)
    np.savez(tmp_path / "data.npz", x_train=pixels, y_train=y, x_test=pixels, y_test=y)
    data = {"kind": "npz", "path": str(tmp_path / "data.npz")}
    run = cl_engine.run(
        {"data": data, "stream": {"step": 1}, "strategy": "ncm", "training": {"normalise": "range"}}, out=tmp_path
    )
    scores = cl_engine.load(run.directory).predict(torch.from_numpy(pixels).permute(0, 3, 1, 2))
    assert [run.classes[column] for column in scores.argmax(1)] == y.tolist()


def test_a_strategy_whose_code_has_changed_is_not_taken_for_what_was_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loading_mine.py").write_text(MODULE)
    run = cl_engine.run({"data": "digits", "strategy": "loading_mine:Mine"}, out=tmp_path / "runs")
    assert cl_engine.load(run.directory).predict(torch.zeros(1, 1, 8, 8, dtype=torch.uint8)).shape == (1, 10)
    (tmp_path / "loading_mine.py").write_text(MODULE + "\n# changed\n")
    with pytest.raises(ResumeError, match="the code of loading_mine:Mine has changed"):
        cl_engine.load(run.directory)


@pytest.mark.parametrize("written", ["", "[]", "{}", '{"strategy": 1}', "null"])
def test_a_damaged_description_is_said_in_one_line(tmp_path, written):
    run = cl_engine.run({"data": "digits", "strategy": "ncm"}, out=tmp_path)
    (run.directory / LEARNER).write_text(written)
    with pytest.raises(ResumeError, match=f"{LEARNER} is damaged"):
        cl_engine.load(run.directory)


@pytest.mark.parametrize(("key", "value"), [("terms", "{}"), ("terms", 3), ("options", []), ("strategy", "no")])
def test_a_description_that_was_edited_is_refused(tmp_path, key, value):
    run = cl_engine.run({"data": "digits", "strategy": "ncm"}, out=tmp_path)
    described = json.loads((run.directory / LEARNER).read_text())
    (run.directory / LEARNER).write_text(json.dumps({**described, key: value}))
    with pytest.raises((InputError, ResumeError)):
        cl_engine.load(run.directory)


def test_a_run_of_an_earlier_version_is_loaded_by_its_scenario(tmp_path):
    run = cl_engine.run({"data": "digits", "strategy": "ncm"}, out=tmp_path)
    x = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    before = cl_engine.load(run.directory).predict(x)
    (run.directory / LEARNER).unlink()
    assert torch.equal(cl_engine.load(run.directory).predict(x), before)
