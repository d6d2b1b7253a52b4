import pytest
import typer

from cl_engine.cli import sweep


def test_cells_are_chosen_by_numbers_and_stretches():
    assert sweep._numbers("3,7,10-12", 12) == {3, 7, 10, 11, 12}


def test_a_stretch_of_cells_that_ends_before_it_begins_is_an_error_that_names_it():
    with pytest.raises(typer.BadParameter, match=r"'7,3-1': 3-1 ends before it begins; allowed: 1-3"):
        sweep._numbers("7,3-1", 9)
