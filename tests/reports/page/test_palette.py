import re

import pytest

from cl_engine.reports.page.palette import DARK, FAMILIES, LIGHT, contrast, looks, style, text_colour
from cl_engine.strategies import KINDS


def luminance(colour):
    """Relative luminance as WCAG 2.2 defines it, written out."""
    total = 0.0
    for start, weight in ((1, 0.2126), (3, 0.7152), (5, 0.0722)):
        part = int(colour[start : start + 2], 16) / 255
        total += weight * (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4)
    return total


def ratio(one, two):
    high, low = sorted((luminance(one), luminance(two)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("theme", "ground"), [("light", LIGHT), ("dark", DARK)])
def test_the_name_of_every_family_can_be_read_and_its_marks_be_seen(family, theme, ground):
    assert ratio(text_colour(family, theme), ground) >= 4.5
    assert ratio(FAMILIES[family][theme == "dark"], ground) >= 3


def test_contrast_is_that_of_the_web_guidelines():
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # the guidelines' well-known near miss


def test_the_style_sheet_holds_the_colours_that_were_checked():
    sheet = style(["expansion"])
    assert re.findall(r"--t0:(#\w+)", sheet) == [text_colour("expansion", t) for t in ("light", "dark", "dark")]


def test_no_two_strategies_look_alike_and_none_changes_with_the_company():
    everybody = [(kind, kind, home.split(".")[2]) for kind, home in KINDS.items()]
    everybody += [(f"own-{k}", f"own-{k}", "expansion") for k in range(9)]
    found = looks(everybody)
    assert len({(f, tuple(d), m, h) for f, d, m, h in found.values()}) == len(everybody)
    for kind, home in KINDS.items():
        assert looks([(kind, kind, home.split(".")[2])])[kind] == found[kind]


def test_variants_of_a_strategy_differ():
    found = looks([("memo", "memo", "expansion"), ("memo jpeg", "memo", "expansion")])
    assert found["memo"] != found["memo jpeg"]


def test_looks_keep_the_order_given():
    names = [("memo jpeg", "memo", "expansion"), ("icarl", "icarl", "rehearsal"), ("memo", "memo", "expansion")]
    assert [*looks(names)] == ["memo jpeg", "icarl", "memo"]
