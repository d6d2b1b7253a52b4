import re
from itertools import pairwise

import pytest

from cl_engine.reports.page.palette import DARK, FAMILIES, LIGHT, Look, colour, contrast, looks, style, text_colour
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
@pytest.mark.parametrize("shade", range(4))
@pytest.mark.parametrize(("theme", "ground"), [("light", LIGHT), ("dark", DARK)])
def test_the_name_of_every_strategy_can_be_read_and_its_marks_be_seen(family, shade, theme, ground):
    assert ratio(text_colour(family, shade, theme), ground) >= 4.5
    assert ratio(colour(family, shade, theme), ground) >= 3


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("theme", "ground"), [("light", LIGHT), ("dark", DARK)])
def test_two_shades_of_a_family_differ_in_contrast_which_every_eye_sees(family, theme, ground):
    contrasts = sorted(ratio(colour(family, shade, theme), ground) for shade in range(4))
    assert all(high / low > 1.13 for low, high in pairwise(contrasts))
    first, second = (ratio(colour(family, shade, theme), ground) for shade in (0, 1))
    assert max(first, second) / min(first, second) > 1.5


def test_contrast_is_that_of_the_web_guidelines():
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # the guidelines' well-known near miss


def test_the_style_sheet_holds_the_colours_that_were_checked():
    sheet = style([Look("expansion", 1, [], "circle", False)])
    for name, value in (("s", colour), ("t", text_colour)):
        found = re.findall(rf"--{name}0:(#\w+)", sheet)
        assert found == [value("expansion", 1, theme) for theme in ("light", "dark", "dark")]


def test_no_two_strategies_look_alike_and_none_changes_with_the_company():
    everybody = [(kind, kind, home.split(".")[2]) for kind, home in KINDS.items()]
    everybody += [(f"own-{k}", f"own-{k}", "expansion") for k in range(9)]
    found = looks(everybody)
    assert len({(f, s, tuple(d), m, h) for f, s, d, m, h in found.values()}) == len(everybody)
    for kind, home in KINDS.items():
        assert looks([(kind, kind, home.split(".")[2])])[kind] == found[kind]


def test_variants_of_a_strategy_differ():
    found = looks([("memo", "memo", "expansion"), ("memo jpeg", "memo", "expansion")])
    for one, two in zip(*(found[label][1:4] for label in found), strict=True):
        assert one != two  # shade, dash and mark, each of them


def test_a_strategy_of_ones_own_has_a_family_of_its_own():
    assert looks([("mine:Mine", "mine:Mine", "")])["mine:Mine"].family == "own"


def test_looks_keep_the_order_given():
    names = [("memo jpeg", "memo", "expansion"), ("icarl", "icarl", "rehearsal"), ("memo", "memo", "expansion")]
    assert [*looks(names)] == ["memo jpeg", "icarl", "memo"]
