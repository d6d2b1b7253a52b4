"""Options that a class hands on to the class above it."""

from typing import Annotated, TypedDict

import pytest
from pydantic import Field
from typing_extensions import Unpack

from cl_engine.kinds.listing import options
from cl_engine.kinds.problems import Problems
from cl_engine.kinds.registry import kinds, load
from cl_engine.kinds.validation import validate


class Names(TypedDict, total=False):
    size: int
    name: str


class Above:
    def __init__(
        self,
        *,
        size: Annotated[int, Field(ge=1, description="how large")] = 3,
        mode: str = "plain",
        name: str = "above",
        hidden: bool = False,
    ) -> None:
        self.given = size, mode, name, hidden


class Between(Above):
    """Has no ``__init__`` of its own."""


class Below(Between):
    def __init__(self, *, own: float = 0.5, mode: str = "fancy", **options: Unpack[Names]) -> None:
        super().__init__(mode=mode, **options)
        self.own = own


class Free(Above):
    def __init__(self, *, own: float = 0.5, **options: object) -> None:
        super().__init__()


def test_what_is_handed_on_keeps_type_bound_default_and_description():
    size = next(option for option in options(Below) if option.name == "size")
    assert (size.default, size.allowed, size.description) == (3, "an integer >= 1", "how large")


def test_an_option_stands_where_the_class_above_has_it_and_a_new_one_follows():
    assert [option.name for option in options(Below)] == ["size", "mode", "name", "own"]


def test_a_default_of_its_own_replaces_that_of_the_class_above():
    resolved = validate(Below, {"size": 7})
    assert resolved == {"size": 7, "mode": "fancy", "name": "above", "own": 0.5}
    assert Below(**resolved).given == (7, "fancy", "above", False)


def test_what_is_not_named_is_no_option():
    with pytest.raises(Problems, match="unknown option; allowed: size, mode, name, own"):
        validate(Below, {"hidden": True})


def test_keywords_without_names_hand_nothing_on():
    assert [option.name for option in options(Free)] == ["own"]


@pytest.mark.parametrize("kind", kinds("strategies"))
def test_every_strategy_can_be_made_from_all_its_defaults(kind):
    strategy = load("strategies", kind)
    resolved = validate(strategy, {})
    assert strategy(**resolved).options == resolved
