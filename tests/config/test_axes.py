import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_engine.config.axes import assignments_of
from cl_engine.config.scenario import ConfigError
from cl_engine.kinds.problems import Problems
from cl_engine.sweeping.cells import sweep_of


def test_the_product_runs_through_the_last_axis_fastest_and_seeds_faster_still():
    found = assignments_of({"strategy": ["a", "b"], "memory.budget": [1, 2], "seeds": 2}, seed=5)
    assert [tuple(cell.values()) for cell in found] == [
        ("a", 1, 5), ("a", 1, 6), ("a", 2, 5), ("a", 2, 6), ("b", 1, 5), ("b", 1, 6), ("b", 2, 5), ("b", 2, 6),
    ]  # fmt: skip


def test_zipped_keys_move_together():
    found = assignments_of({"zip": {"training.lr": [0.1, 0.2], "training.epochs": [5, 9]}, "strategy": ["a", "b"]})
    assert {(c["training.lr"], c["training.epochs"]) for c in found} == {(0.1, 5), (0.2, 9)}
    assert len(found) == 4


def test_included_cells_join_with_every_seed_and_excluded_ones_leave():
    found = assignments_of(
        {
            "strategy": ["a", "b"],
            "seeds": [3, 8],
            "include": [{"strategy": "joint", "memory.budget": None}],
            "exclude": [{"strategy": "b", "seed": 8}],
        }
    )
    assert found == [
        {"strategy": "a", "seed": 3},
        {"strategy": "a", "seed": 8},
        {"strategy": "b", "seed": 3},
        {"strategy": "joint", "memory.budget": None, "seed": 3},
        {"strategy": "joint", "memory.budget": None, "seed": 8},
    ]


def test_budgets_on_a_log_scale_have_equal_ratios_and_whole_bytes():
    found = assignments_of({"memory.budget": {"range": ["128 KiB", "4 MiB"], "points": 6}})
    assert [c["memory.budget"] for c in found] == [2**17, 2**18, 2**19, 2**20, 2**21, 2**22]
    found = assignments_of({"memory.budget": {"range": ["10 exemplars", "40 exemplars"], "points": 3}})
    assert [c["memory.budget"] for c in found] == ["10 exemplars", "20 exemplars", "40 exemplars"]


@given(
    st.floats(1e-6, 1e3), st.floats(1e-6, 1e3), st.integers(2, 30), st.sampled_from(["log", "linear"])
)  # fmt: skip
def test_a_range_of_numbers_is_monotone_and_ends_where_it_says(first, last, points, scale):
    given_ = {"training.lr": {"range": [first, last], "points": points, "scale": scale}}
    values = [c["training.lr"] for c in assignments_of(given_)]
    assert len(values) == points
    assert values in (sorted(values), sorted(values, reverse=True))
    assert (values[0], values[-1]) == (float(f"{first:.6g}"), float(f"{last:.6g}"))


@pytest.mark.parametrize(
    ("sweep", "complaint"),
    [
        ({}, "names no key"),
        ({"strategy": "replay"}, "strategy: got 'replay'; allowed: a list"),
        ({"strategy": []}, "strategy: got"),
        ({"seeds": 0}, "seeds: got 0"),
        ({"seeds": 2, "seed": [1]}, "beside the axis"),
        ({"seed_s": 3}, "did you mean 'seeds'"),
        ({"zip": {"a": [1, 2], "b": [1]}}, "zip: keys that move together need lists of one length, got a: 2, b: 1"),
        ({"zip": 3}, "zip: got 3"),
        ({"a": {"range": [1, 2]}}, "a: allowed: {range"),
        ({"a": {"range": [0, 2], "points": 3}}, "numbers above 0"),
        ({"a": {"range": ["1 MiB", "5 exemplars"], "points": 3}}, "both in bytes"),
        ({"a": {"range": [1, 2], "points": 3, "scale": "square"}}, "log or linear"),
        ({"a": {"range": ["1e-3", "1e999"], "points": 3}}, "finite numbers"),
        ({"a": [*range(1000)], "b": [*range(1000)]}, "1,000,000 cells"),
        ({"a": [1], "exclude": [3]}, "exclude: got"),
    ],
)
def test_a_wrong_section_is_one_clear_line(sweep, complaint):
    with pytest.raises(Problems) as caught:
        assignments_of(sweep)
    assert complaint in str(caught.value)
    assert len(caught.value.problems) == 1


def test_what_is_excluded_is_recognised_however_it_is_written():
    sweep = {
        "strategy": [{"kind": "replay", "total": 5}, "ncm"],
        "memory.budget": ["1 MiB", 2**19],
        "exclude": [
            {"strategy": "replay", "memory.budget": "1024 KiB"},
            {"memory.budget": "512 KiB", "strategy": "ncm"},
        ],
    }
    left = [(str(c["strategy"])[:3], c["memory.budget"]) for c in assignments_of(sweep)]
    assert left == [("{'k", 2**19), ("ncm", "1 MiB")]


@pytest.mark.parametrize(
    ("sweep", "complaint"),
    [
        ({"strategy": ["a"], "exclude": [{"stratgy": "a"}]}, "matches no cell"),
        ({"strategy": ["a"], "exclude": [{"strategy": "a"}]}, "leaves no cell"),
        ({"strategy.total": [1], "strategy": ["a"]}, "strategy would overwrite strategy.total"),
        ({"stream.step": [1], "zip": {"stream.step": [2]}}, "stream.step would overwrite stream.step"),
        ({"zip": {"seed": [1]}, "seeds": 2}, "seed would overwrite seed"),
        ({"name": ["a"]}, "name: cannot be varied"),
    ],
)
def test_an_axis_that_would_be_lost_is_refused(sweep, complaint):
    with pytest.raises(Problems, match=complaint):
        assignments_of(sweep)


@pytest.mark.parametrize("given", [{"range": ["1e-3", "1e-1"], "points": 3}, ["1e-3", "1.0E-2", 0.1]])
def test_what_yaml_reads_as_text_and_a_person_means_as_a_number_is_a_number(given):
    assert [cell["training.lr"] for cell in assignments_of({"training.lr": given})] == pytest.approx(
        [1e-3, 1e-2, 0.1]
    )


def test_a_text_that_only_looks_a_little_like_a_number_stays_text():
    texts = ["e-3", "1e", "memo1e3", "128 KiB"]
    assert [cell["a"] for cell in assignments_of({"a": texts})] == texts


@pytest.mark.parametrize("key", ["scenario", "overrides", "common", "cls"])
def test_an_axis_that_is_no_key_is_told_whatever_its_name(key):
    with pytest.raises(ConfigError, match=rf"{key}: unknown option; allowed: name, data, stream"):
        sweep_of({"data": "digits", "strategy": "ncm", "sweep": {key: ["a", "b"]}})
