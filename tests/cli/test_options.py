"""What `--set` loses is said, and nothing else is; a name that means no scenario is answered with those that do."""

import pytest

from cl_engine.cli.app import _status

LOST = "cl-engine: --set {!r} is lost: the later --set {!r} replaces it"


@pytest.mark.parametrize(
    ("assignments", "lost"),
    [
        (["stream.step=5", "stream=class-incremental"], [("stream.step=5", "stream=class-incremental")]),
        (["seed=1", "seed=2", "seed=3"], [("seed=1", "seed=2"), ("seed=2", "seed=3")]),
        (["strategy.backbone.width=9", "strategy=ncm"], [("strategy.backbone.width=9", "strategy=ncm")]),
        (["stream=class-incremental", "stream.step=5"], []),
        (["stream.step=4", "strategy=ncm", "seed=3"], []),
        (["stream.first=5", "stream.step=5"], []),
        (["memory.budget=1 MiB", "memory.budget=2 MiB"], [("memory.budget=1 MiB", "memory.budget=2 MiB")]),
    ],
    ids=str,
)
def test_an_assignment_that_a_later_one_replaces_is_named(assignments, lost, monkeypatch, capsys):
    options = [word for assignment in assignments for word in ("--set", assignment)]
    monkeypatch.setattr("sys.argv", ["cl-engine", "check", "quickstart", *options])
    assert _status() == 0
    out, err = capsys.readouterr()
    assert err.splitlines() == [LOST.format(*pair) for pair in lost]
    assert out.startswith("quickstart: fine")


def test_a_key_whose_name_begins_alike_is_another_key(monkeypatch, capsys):
    """`memory` does not replace `memory_size`, which is wrong for a reason of its own."""
    monkeypatch.setattr(
        "sys.argv", ["cl-engine", "check", "quickstart", "--set", "memory_size=3", "--set", "memory={}"]
    )
    assert _status() == 2
    assert "is lost" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "memory-sweeep",
            "no shipped scenario of this name, did you mean 'memory-sweep'?; allowed: the path of a YAML",
        ),
        ("nothing-like-it", "no shipped scenario of this name; allowed: the path of a YAML file, or a name of"),
    ],
)
def test_a_word_that_is_neither_a_file_nor_shipped_is_answered_as_both(name, said, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["cl-engine", "check", name])
    assert _status() == 2
    assert f"{name}: there is no such file and {said}" in capsys.readouterr().err
