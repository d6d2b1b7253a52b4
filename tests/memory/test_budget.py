"""Budgets as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_engine.memory.budget import Budget, MemoryOptions, parse_budget
from cl_engine.memory.ledger import Entry, MemoryContractError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("256 KiB", 262_144),
        ("7.6 MiB", 7_969_177),
        ("1MB", 1_000_000),
        ("3 B", 3),
        (12, 12),
        ("0.5 GiB", 2**29),
        ("64 kib", 65_536),
        ("64KIB", 65_536),
        ("64 kb", 64_000),
        ("64 Kb", 64_000),
        ("2 mIb", 2**21),
    ],
)
def test_sizes(text, expected):
    assert parse_budget(text) == ("bytes", expected)


@pytest.mark.parametrize(
    "text",
    ["", "KiB", "-1 B", "0", 0, -5, "1 KIBI", "1e3 B", "2.5 exemplars", "0 exemplars", "5", "1 B B", "0.1 B"],
)
def test_what_is_no_size(text):
    with pytest.raises(ValueError, match="allowed: bytes such as"):
        parse_budget(text)


@given(st.text())
def test_any_text_is_a_size_or_a_clear_error(text):
    try:
        unit, amount = parse_budget(text)
    except ValueError as error:
        assert "allowed" in str(error)  # noqa: PT017
    else:
        assert amount > 0
        assert unit in ("bytes", "exemplars")


def entry(kind, amount):
    return Entry(kind, kind, (amount,), "uint8", amount)


def test_fill_leaves_what_the_rest_does_not_take():
    budget = Budget.from_options(MemoryOptions(budget=1000), sample_bytes=6)
    rest = [entry("parameters", 300), entry("head", 99)]
    assert budget.exemplars([*rest, entry("exemplars", 60), entry("labels", 40)]) == (1000 - 399) // 10
    paper = Budget.from_options(MemoryOptions(budget=1000, policy="paper"), sample_bytes=6)
    assert paper.exemplars(rest) == 700 // 6
    assert budget.exemplars([entry("statistics", 5000)]) == 0


def test_over_the_budget_by_one_byte():
    budget = Budget.from_options(MemoryOptions(budget=1000), sample_bytes=6)
    budget.enforce([entry("statistics", 1000)], {}, 0)
    with pytest.raises(MemoryContractError, match=r"1,001 bytes .* 1 over the budget of 1,000"):
        budget.enforce([entry("statistics", 1001)], {}, 0)


def test_a_budget_under_one_exemplar():
    with pytest.raises(ValueError, match="less than one exemplar, 10 bytes under the full policy"):
        Budget.from_options(MemoryOptions(budget=9), sample_bytes=6)
    assert Budget.from_options(MemoryOptions(budget=9, policy="paper"), sample_bytes=6) is not None
