import pytest
import typer

from cl_engine.cli import sweep
from cl_engine.sweeping.cells import sweep_of


def test_cells_are_chosen_by_numbers_and_stretches():
    assert sweep._numbers("3,7,10-12", 12) == {3, 7, 10, 11, 12}


def test_a_stretch_of_cells_that_ends_before_it_begins_is_an_error_that_names_it():
    with pytest.raises(typer.BadParameter, match=r"'7,3-1': 3-1 ends before it begins; allowed: 1-3"):
        sweep._numbers("7,3-1", 9)


def cells_of(**axes):
    document = {"data": "digits", "stream": {"step": 5}, "strategy": "ncm", "sweep": {**axes, "seeds": 2}}
    return sweep_of(document).cells


def chosen(cells, *only):
    return [
        (str(c.assignments["strategy"]["kind"]), c.scenario.seed) for c in sweep._chosen(cells, None, list(only))
    ]


STRATEGIES = [{"kind": "ncm"}, {"kind": "replay", "mix": "joint"}, {"kind": "replay"}]


def test_only_takes_either_value_of_one_key_and_all_keys():
    cells = cells_of(strategy=[{"kind": "ncm"}, {"kind": "slda"}, {"kind": "replay"}])
    assert chosen(cells, "strategy=ncm", "strategy=slda", "seed=1") == [("ncm", 1), ("slda", 1)]


def test_only_takes_what_no_text_equals_a_boolean_a_budget_in_any_unit_and_a_mapping():
    budgets = [{"aligned_to": "memo", "exemplars": 2}, "1 MiB"]
    cells = cells_of(
        **{"strategy": [{"kind": "replay"}], "memory.budget": budgets, "training.nesterov": [False, True]}
    )
    for value in (
        "memory.budget={aligned_to: memo, exemplars: 2}",
        "memory.budget=1024 KiB",
        "training.nesterov=true",
    ):
        assert len(sweep._chosen(cells, None, [value])) == 4


def test_only_what_no_cell_has_is_answered_with_the_values_or_the_keys_that_cells_have():
    cells = cells_of(strategy=STRATEGIES)
    with pytest.raises(typer.BadParameter, match=r"no cell has strategy=meno; allowed: strategy=ncm, replay$"):
        chosen(cells, "strategy=meno")
    with pytest.raises(typer.BadParameter, match=r"no cell has strategi=ncm; allowed: the keys strategy, seed$"):
        chosen(cells, "strategi=ncm")
