"""An option may have a second name: both mean the same, and what is resolved has one."""

from typing import Annotated

import jsonschema
import pytest
from pydantic import Field

from cl_engine import ConfigError, Scenario
from cl_engine.config.keys import scenario_schema
from cl_engine.kinds.problems import Problems
from cl_engine.kinds.schema import schema
from cl_engine.kinds.signature import Alias, Section
from cl_engine.kinds.validation import validate


def inner(*, depth: Annotated[int, Alias("layers"), Field(ge=1)]) -> None:
    """Take an option that is required under either name."""


def outer(
    *,
    total: Annotated[int | None, Alias("memory_size"), Field(ge=1)] = None,
    net: Annotated[dict, Section(inner)] = {},  # noqa: B006
) -> None:
    """Take a section with an alias in it."""


@pytest.mark.parametrize("strategy", ["replay", "icarl", "memo"])
def test_memory_size_is_total_and_the_scenario_is_the_same_one(strategy):
    named, alias = (
        Scenario.load({"data": "digits", "strategy": {"kind": strategy, option: 30}})
        for option in ("total", "memory_size")
    )
    assert alias.strategy == named.strategy
    assert alias.strategy["total"] == 30
    assert "memory_size" not in alias.strategy
    assert alias.id == named.id


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ("memory_size: 5, total: 5", "a.yaml:2:26: strategy.memory_size: is another name of 'total', which is given too; allowed: one of them"),
        ("memory_size: 0", "a.yaml:2:39: strategy.memory_size: got 0; allowed: an integer >= 1"),
        ("memory_sise: 5", "a.yaml:2:26: strategy.memory_sise: unknown option, did you mean 'memory_size'?; allowed: backbone"),
        ("memory_size: 5, totl: 5", "a.yaml:2:42: strategy.totl: unknown option, did you mean 'total'?"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_of_the_name_that_was_given(options, line, tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(f"data: digits\nstrategy: {{kind: replay, {options}}}\n")
    with pytest.raises(ConfigError) as raised:
        Scenario.load(path)
    found = str(raised.value).replace(str(path), "a.yaml")
    assert found.startswith(line)
    assert "\n" not in found


def test_aliases_resolve_at_any_depth_and_satisfy_what_is_required():
    assert validate(outer, {"memory_size": 3, "net": {"layers": 2}}) == {"total": 3, "net": {"depth": 2}}
    with pytest.raises(Problems, match=r"^net\.layers: got 0; allowed: an integer >= 1$"):
        validate(outer, {"net": {"layers": 0}})
    with pytest.raises(Problems, match="option 'depth' is missing"):
        validate(outer, {"net": {}})


def test_the_schema_takes_either_name_and_not_both():
    validator = jsonschema.Draft202012Validator(schema(inner))
    assert validator.is_valid({"depth": 1})
    assert validator.is_valid({"layers": 1})
    for wrong in ({}, {"layers": 0}, {"depth": 1, "layers": 1}, {"lairs": 1}):
        assert not validator.is_valid(wrong)
    whole = jsonschema.Draft202012Validator(scenario_schema())
    assert whole.is_valid({"data": "digits", "strategy": {"kind": "replay", "memory_size": 9}})
    assert not whole.is_valid({"data": "digits", "strategy": {"kind": "replay", "memory_size": "9"}})


def test_a_python_constructor_keeps_its_own_name():
    from cl_engine.strategies.rehearsal.replay import Replay

    assert Replay(total=3).total == 3
    with pytest.raises(TypeError, match="memory_size"):
        Replay(memory_size=3)
