"""The page in a browser: what a reader can do with it, with and without a script.

Needs playwright, and a Chromium that it finds itself or on the path.
"""

import shutil

import pytest

from cl_engine.reports.page import Page, write_page
from tests.reports.page import synthetic

playwright = pytest.importorskip("playwright.sync_api", reason="no playwright, so no browser")
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as p:
        found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        try:
            started = p.chromium.launch(executable_path=found, args=["--no-sandbox"])
        except playwright.Error as error:
            pytest.skip(f"no browser: {str(error).splitlines()[0]}")
        yield started
        started.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    rows = synthetic.sweep_rows(synthetic.strategies(8), 4, 3, ("full", "paper"))
    path = tmp_path_factory.mktemp("page") / "report.html"
    frames = synthetic.frames_of(rows)
    write_page(Page("A sweep", *frames, results=synthetic.raw_results(rows)), path)
    return path.as_uri()


@pytest.fixture
def page(browser, address):
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.said, opened.asked = [], []
    opened.on("console", lambda message: opened.said.append(message.text))
    opened.on("pageerror", lambda error: opened.said.append(str(error)))
    opened.on("request", lambda request: opened.asked.append(request.url))
    opened.goto(address)
    yield opened
    assert not opened.said
    assert opened.asked == [address]
    opened.close()


def column(page, table, index):
    return page.eval_on_selector_all(f"{table} tbody tr", f"rows => rows.map(r => r.cells[{index}].textContent)")


def test_a_heading_sorts_the_cells_and_says_so(page):
    heads = page.locator("#cells thead th")
    head = heads.filter(has_text="average, %")
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    shown = [float(v) for v in column(page, "#cells", 4) if v != "\u2013"]
    assert shown == sorted(shown, reverse=True)
    head.locator("button").press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    values = column(page, "#cells", 4)
    shown = [float(v) for v in values if v != "\u2013"]
    assert shown == sorted(shown)
    assert values[len(shown) :] == ["\u2013"] * (len(values) - len(shown))  # what is missing stays last


def test_words_filter_the_cells(page):
    page.fill("#filter", "memo 512")
    shown = page.locator("#cells tbody tr:visible")
    assert shown.count() == 6  # three seeds under two policies
    assert page.locator("#filtered").text_content() == f"6 of {8 * 4 * 3 * 2} cells"


def test_a_chip_hides_a_strategy_everywhere_and_changes_no_number(page):
    before = column(page, "#ranking table", 1)
    assert page.locator('#curves svg [aria-label^="memo"]:visible').count() > 0
    page.locator(".chips button", has_text="memo").click()
    assert page.locator('#curves svg [aria-label^="memo"]:visible').count() == 0
    assert page.locator("#ranking tbody tr:visible", has_text="memo").count() == 0
    assert column(page, "#ranking table", 1) == before
    page.click("#everything")
    assert page.locator("#ranking tbody tr:visible", has_text="memo").count() == 2


def test_policy_and_metric_switch_what_is_shown(page):
    title = page.locator("#ranking h3:visible")
    assert title.all_text_contents() == ["Average accuracy, policy full", "Average accuracy, policy paper"]
    page.click('.bar button[value="paper"]')
    assert title.all_text_contents() == ["Average accuracy, policy paper"]
    page.click('.bar button[value="last_accuracy"]')
    assert title.all_text_contents() == ["Last accuracy, policy paper"]
    assert page.get_attribute('.bar button[value="last_accuracy"]', "aria-pressed") == "true"


def test_differences_to_whom_a_reader_picks(page):
    page.select_option("#against", label="memo")
    tables = page.locator("#differences table:visible")
    assert tables.count() == 2
    names = tables.first.locator("tbody th").all_text_contents()
    assert "memo" not in names
    assert len(names) == 5
    # one pair seen from both of its sides
    one = tables.first.locator("tbody tr", has_text="icarl").locator("td").first.get_attribute("data-v")
    page.select_option("#against", label="icarl")
    two = tables.first.locator("tbody tr", has_text="memo").locator("td").first.get_attribute("data-v")
    assert float(one) == -float(two)


def test_a_point_tells_its_numbers_under_the_mouse(page):
    point = page.locator('#curves .wide svg [aria-label^="icarl · 512 KiB"]:visible').first
    point.hover()
    assert page.locator("#tip").text_content() == point.get_attribute("aria-label")
    assert "average accuracy" in page.locator("#tip").text_content()


def test_the_arrow_keys_walk_the_points_and_say_them(page):
    figure = page.locator("#curves figure:visible").first
    figure.focus()
    page.keyboard.press("ArrowRight")
    first = page.locator("#spoken").text_content()
    page.keyboard.press("ArrowRight")
    second = page.locator("#spoken").text_content()
    assert first.split(" · ")[0] == second.split(" · ")[0]  # the same strategy
    assert [first.split(" · ")[1], second.split(" · ")[1]] == ["64 KiB", "128 KiB"]
    page.keyboard.press("ArrowDown")
    third = page.locator("#spoken").text_content()
    assert third.split(" · ")[0] != second.split(" · ")[0]
    assert third.split(" · ")[1] == "128 KiB"
    assert page.locator("#tip").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#tip").is_visible()


def test_the_pareto_view_is_the_other_tab(page):
    assert not page.locator("#curves h3", has_text="By bytes held").is_visible()
    page.click(".tabs button[value=held]")
    assert page.locator("#curves h3", has_text="By bytes held").is_visible()


def test_the_button_changes_the_theme(page):
    ground = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(ground)
    page.click("#theme")
    assert page.evaluate(ground) != before
    page.click("#theme")
    assert page.evaluate(ground) == before


def test_without_a_script_everything_can_be_read(browser, address):
    context = browser.new_context(java_script_enabled=False)
    opened = context.new_page()
    opened.goto(address)
    assert opened.locator("#answer p").count() > 3
    assert opened.locator("#ranking table:visible").count() == 4  # two policies, two metrics
    assert opened.locator("#curves svg:visible").count() >= 8
    assert opened.locator("#cells tbody tr:visible").count() == 8 * 4 * 3 * 2
    assert not opened.locator(".bar").is_visible()
    context.close()


def test_a_telephone_scrolls_no_page_sideways_and_has_its_own_chart(browser, address):
    opened = browser.new_page(viewport={"width": 360, "height": 740})
    opened.goto(address)
    assert opened.evaluate("document.documentElement.scrollWidth") <= 360
    assert opened.locator("#curves .narrow svg:visible").count() == 2
    assert opened.locator("#curves .wide svg:visible").count() == 0
    opened.close()


def test_print_is_light_and_leaves_the_tools_out(browser, address):
    opened = browser.new_page(color_scheme="dark")
    opened.goto(address)
    opened.emulate_media(media="print")
    assert opened.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--ground')") == "#ffffff"
    assert not opened.locator(".bar").is_visible()
    assert not opened.locator("#cells").is_visible()
    assert opened.locator("#ranking table:visible").count() == 2
    opened.close()


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """Two scenarios, and a wide gap that parts the curves into two panels."""
    rows = [
        synthetic.run_row(f"{task}{label}{seed}{b}", label, seed, "full", 1024 * 4**b, value + shift, scenario=task)
        for task, shift in (("digits", 0.0), ("blobs", 0.02))
        for label, value in (("memo", 0.9), ("icarl", 0.92), ("ewc", 0.2))
        for seed in range(3)
        for b in range(3)
    ]
    path = tmp_path_factory.mktemp("odd") / "report.html"
    write_page(Page("Odd", *synthetic.frames_of(rows), results=synthetic.raw_results(rows)), path)
    return path.as_uri()


def test_up_and_down_go_from_one_panel_to_the_other_and_stay_at_a_budget(browser, odd):
    opened = browser.new_page()
    opened.goto(odd)
    opened.locator("#curves figure:visible").first.focus()
    told = []
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowDown", "ArrowDown", "ArrowUp", "ArrowLeft"):
        opened.keyboard.press(key)
        told.append(opened.locator("#spoken").text_content().split(" · ")[:2])
    assert told == [
        ["icarl", "1 KiB"], ["icarl", "4 KiB"], ["memo", "4 KiB"], ["ewc", "4 KiB"],
        ["icarl", "4 KiB"], ["ewc", "4 KiB"], ["ewc", "1 KiB"],
    ]  # fmt: skip
    opened.close()


def test_a_scenario_is_chosen_and_the_others_are_hidden(browser, odd):
    opened = browser.new_page()
    opened.goto(odd)
    shown = opened.locator("#experiences figcaption:visible")
    assert [text.rpartition(", ")[2] for text in shown.all_text_contents()] == ["digits."]
    opened.select_option("#scenario", label="blobs")
    assert [text.rpartition(", ")[2] for text in shown.all_text_contents()] == ["blobs."]
    assert opened.locator("#scenarios table:visible").count() == 1
    opened.close()


def test_a_long_name_widens_no_telephone(browser, tmp_path):
    rows = synthetic.oracle_rows(seeds=2)
    for row in rows:
        if row["label"] == "der":
            row.update(label=f"module:{'VeryLongName' * 6} width 32", strategy="module:Long", family="own")
    path = tmp_path / "report.html"
    write_page(Page("Long", *synthetic.frames_of(rows), results=synthetic.raw_results(rows)), path)
    opened = browser.new_page(viewport={"width": 360, "height": 740})
    opened.goto(path.as_uri())
    assert opened.evaluate("document.documentElement.scrollWidth") <= 360
    opened.close()


def test_the_keys_of_strategies_are_as_high_as_their_names(browser, address):
    opened = browser.new_page()
    opened.goto(address)
    keys = opened.locator("#ranking svg.sw:visible, .chips svg.sw:visible")
    assert keys.count() > 8
    assert all(0 < keys.nth(k).bounding_box()["height"] < 20 for k in range(keys.count()))
    opened.close()
