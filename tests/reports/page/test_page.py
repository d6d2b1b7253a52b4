import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import cl_engine
from cl_engine.reports.exports import latex_table
from cl_engine.reports.page import Page, drawn, sections, write_page
from cl_engine.reports.page import page_of as page_of_results
from cl_engine.reports.page.page import html_of, shown_of
from tests.reports.page import synthetic

HOSTILE = '<script>alert("1")</script>&amp; \' "q"\nnew line var(--s0) d="M1.23456"'


def page_of(rows, **more):
    runs, experiences, curves, matrices = synthetic.frames_of(rows)
    facts = {"results": synthetic.raw_results(rows), "command": "cl-engine report sweep"} | more
    return Page("A sweep", runs, experiences, curves, matrices, **facts)


class Reader(HTMLParser):
    """Collects tables (rows of (text, attributes)), by the id of their section, and every tag."""

    def __init__(self, text):
        super().__init__()
        self.section, self.tables, self.tags, self.cell, self.open = None, {}, [], None, []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append((tag, attributes))
        if tag == "section":
            self.section = attributes["id"]
        elif tag == "table":
            self.tables.setdefault(self.section, []).append([])
        elif tag == "tr":
            self.tables[self.section][-1].append([])
        elif tag in ("td", "th"):
            self.cell = ["", attributes]
            self.tables[self.section][-1][-1].append(self.cell)

    def handle_endtag(self, tag):
        if tag in ("td", "th", "tr", "table"):
            self.cell = None

    def handle_data(self, data):
        if self.cell is not None:
            self.cell[0] += data


@pytest.fixture(scope="module")
def rows():
    return synthetic.sweep_rows(synthetic.strategies(6), 3, 4, ("full", "paper"))


@pytest.fixture(scope="module")
def text(rows):
    return html_of(page_of(rows))


@pytest.fixture(scope="module")
def read(text):
    return Reader(text)


def test_the_policy_forbids_everything_but_what_is_in_the_file(read):
    (policy,) = [
        a["content"] for tag, a in read.tags if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def test_nothing_is_loaded_from_anywhere(text, read):
    loading = {"src", "srcset", "poster", "background", "action", "xlink:href"}
    assert not [(tag, a) for tag, a in read.tags if loading & a.keys()]
    assert not [tag for tag, _ in read.tags if tag in ("link", "iframe", "object", "embed", "img", "base")]
    assert not re.search(r"https?://|@import|url\(", text)


def test_no_name_becomes_markup():
    rows = synthetic.oracle_rows(seeds=2)
    for row in rows:
        if row["label"] == "memo":
            row["label"] = row["strategy"] = HOSTILE
    plain = Reader(html_of(page_of(synthetic.oracle_rows(seeds=2))))
    page = page_of(rows, command=HOSTILE, left_out=[(HOSTILE, HOSTILE, HOSTILE)], links={rows[0]["run"]: HOSTILE})
    page = Page(HOSTILE, **{k: v for k, v in vars(page).items() if k != "title"})
    hostile = Reader(html_of(page))
    count = [sum(tag == "script" for tag, _ in r.tags) for r in (plain, hostile)]
    assert count == [3, 3]  # two blocks of data and the page's own
    assert not [a for _, a in hostile.tags if any(key.startswith("on") for key in a)]
    assert any(HOSTILE in cell[0] for table in hostile.tables["ranking"] for row in table for cell in row)


def test_the_blocks_of_data_are_json_and_equal_the_frame(text, rows):
    blocks = dict(re.findall(r'<script type="application/json" id="([\w-]+)">(.*?)</script>', text, re.S))
    found = json.loads(blocks["results"])["runs"]
    runs = pd.DataFrame(rows)
    assert found["label"] == runs["label"].tolist()
    expected = [None if np.isnan(a) else round(a, 7) for a in runs["average_accuracy"]]
    assert found["average_accuracy"] == expected


def test_the_ranking_table_has_the_means_and_half_widths_of_the_frame(read, rows):
    runs = pd.DataFrame(rows)
    done = runs[runs["status"] == "done"]
    checked = 0
    views = [(p, m) for p in ("full", "paper") for m in ("average_accuracy", "last_accuracy")]
    for (policy, metric), table in zip(views, read.tables["ranking"], strict=True):
        for name, *cells in table[1:]:
            for budget, (shown, attributes) in zip(sorted(runs["budget_bytes"].unique()), cells, strict=True):
                own = done[
                    (done["label"] == name[0]) & (done["policy"] == policy) & (done["budget_bytes"] == budget)
                ][metric]
                if not len(own):
                    assert shown == "impossible"
                    continue
                half = stats.sem(own) * stats.t.ppf(0.975, len(own) - 1)
                assert f"{own.mean() * 100:.1f} ± {half * 100:.1f}" in shown
                assert float(attributes["data-v"]) == pytest.approx(own.mean(), rel=1e-5)
                checked += 1
    assert checked == 2 * 2 * (6 * 3 - 1)


def test_every_cell_of_the_sweep_is_a_row_with_the_frames_numbers(read, rows):
    (table,) = read.tables["all-cells"]
    assert len(table) == 1 + len(rows)
    heads = [cell[0] for cell in table[0]]
    for row, shown in zip(rows, table[1:], strict=True):
        found = dict(zip(heads, shown, strict=True))
        assert (found["strategy"][0], found["status"][0], found["run"][0]) == (
            row["label"],
            row["status"],
            row["run"],
        )
        for head, key in (
            ("average, %", "average_accuracy"),
            ("last, %", "last_accuracy"),
            ("forgetting, %", "forgetting"),
        ):
            if row["status"] == "done":
                assert found[head][0] == f"{row[key] * 100:.1f}"
                assert float(found[head][1]["data-v"]) == pytest.approx(row[key], rel=1e-5)
            else:
                assert found[head][0] == "\u2013"


def test_the_differences_are_those_of_a_paired_t_test(read, rows):
    runs = pd.DataFrame(rows)
    done = runs[(runs["status"] == "done") & (runs["policy"] == "full")]
    at = {
        (label, budget): group.set_index("seed")["average_accuracy"]
        for (label, budget), group in done.groupby(["label", "budget_bytes"])
    }
    last = runs["budget_bytes"].max()
    table = read.tables["differences"][2]  # policy full, average accuracy, the last of three budgets
    names = [row[0][0] for row in table[1:]]
    ranked = [label for label in runs["label"].unique() if label not in ("finetune", "joint")]
    whole = [label for label in ranked if len(at[label, last]) == 4]  # one that lacks a seed leads nobody
    leader = max(whole, key=lambda label: at[label, last].mean())
    assert sorted(names) == sorted(set(ranked) - {leader})
    for name, difference, higher, p, _ in table[1:]:
        d = (at[name[0], last] - at[leader, last]).dropna()
        test = stats.ttest_1samp(d, 0)
        assert float(difference[1]["data-v"]) == pytest.approx(d.mean(), rel=1e-5)
        assert higher[0] == f"{(d > 0).sum()} of {len(d)}"
        assert p[0] == ("< .0001" if test.pvalue < 0.0001 else f"{test.pvalue:.4f}"[1:])


def test_the_areas_are_the_trapezoids_of_the_frame():
    read = Reader(html_of(page_of(synthetic.oracle_rows())))
    found = {row[0][0]: row for row in read.tables["areas"][0][1:]}
    # the specification's oracles
    assert found["memo"][1][0].startswith("0.571")
    assert found["memo"][2][0].startswith("● 65.26")
    assert "61.90" in found["icarl"][3][0] or "61.89" in found["icarl"][3][0]


def test_what_did_not_finish_is_listed_with_its_reason(read, rows):
    (table,) = read.tables["left-out"]
    assert [row[0][0] for row in table[1:]] == ["failed", "impossible"]  # one line for equal reasons
    for row in table[1:]:
        seeds = [len(re.split(": seeds? ", part)[1].split(", ")) for part in row[2][0].split("; ")]
        assert int(row[1][0]) == sum(seeds) == sum(found["status"] == row[0][0] for found in rows)
        assert row[3][0] == "it broke"


def test_where_the_winner_changes_with_the_policy_the_page_says_so():
    rows = [
        synthetic.run_row(f"{policy}{label}{seed}", label, seed, policy, 65536, base + 0.001 * seed)
        for policy, bases in (("full", (0.9, 0.5)), ("paper", (0.5, 0.9)))
        for label, base in zip(("memo", "icarl"), bases, strict=True)
        for seed in range(3)
    ]
    text = html_of(page_of(rows))
    assert (
        text.count("memo leads within 64 KiB; counted as the MEMO paper counts, icarl.") == 3
    )  # answer, both metrics


def test_without_a_policy_axis_the_other_policy_is_a_view_without_ranking():
    read = Reader(html_of(page_of(synthetic.oracle_rows())))
    assert len(read.tables["ranking"]) == 2  # one policy, two metrics
    labels = [a.get("aria-label", "") for tag, a in read.tags if tag == "svg"]
    assert any("counted as paper" in label and "no ranking here" in label for label in labels)


def test_a_method_that_holds_nothing_by_a_policy_is_in_its_view():
    rows = synthetic.oracle_rows(("paper",), seeds=3)
    for row in rows:
        if row["label"] == "g-acil":
            row["paper_bytes"] = 0.0
    labels = [a.get("aria-label", "") for _, a in Reader(html_of(page_of(rows))).tags]
    assert any(
        label.startswith("g-acil") and "held at most 0 B (paper) · on the front" in label for label in labels
    )


SCENARIO = {
    "name": "tiny",
    "data": {"kind": "gaussian", "classes": 4, "features": 8, "samples_per_class": 20},
    "stream": {"step": 2},
    "strategy": "ncm",
    "training": {"epochs": 1},
    "sweep": {"strategy": ["ncm", {"kind": "replay", "total": 4}], "memory.budget": ["1 KiB", "1 MiB"], "seeds": 2},
}


def test_a_page_of_real_runs_has_their_numbers_and_leads_to_their_folders(tmp_path):
    results = cl_engine.sweep(SCENARIO, out=tmp_path / "sweeps", workers=0)
    read = Reader(html_of(page_of_results(results, "Tiny", tmp_path)))
    runs = results.frame()
    (table,) = read.tables["all-cells"]
    for row, shown in zip(runs.to_dict("records"), table[1:], strict=True):
        assert shown[4][0] == (f"{row['average_accuracy'] * 100:.1f}" if row["status"] == "done" else "\u2013")
    links = [a["href"] for tag, a in read.tags if tag == "a" and not a["href"].startswith("#")]
    assert len(links) == (runs["status"] == "done").sum() == 6
    assert all((tmp_path / link / "result.json").exists() for link in links)
    assert any("holds at least" in row[3][0] for row in read.tables["left-out"][0])


def test_a_page_of_runs_of_which_none_finished_says_so(tmp_path):
    scenario = SCENARIO | {"sweep": {"strategy": [{"kind": "replay", "total": 4}], "memory.budget": ["1 KiB"]}}
    results = cl_engine.sweep(scenario, out=tmp_path, workers=0)
    assert "no strategy can be ranked" in html_of(page_of_results(results, "Tiny", tmp_path))


def test_every_point_of_a_chart_has_words(read):
    points = [a for tag, a in read.tags if tag == "path" and a.get("role") == "img"]
    assert len(points) > 200
    assert all("\u00b7" in a["aria-label"] for a in points)


def test_the_page_is_the_same_each_time(rows, text):
    assert html_of(page_of(rows)) == text


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([synthetic.run_row(0, "memo", 0, "full", 65536, 0.5)], id="one cell"),
        pytest.param([synthetic.run_row(k, "memo", k, "full", None, 0.5) for k in range(2)], id="no budget"),
        pytest.param([synthetic.run_row(0, "memo", 0, "full", 65536, 0.5, "failed")], id="nothing finished"),
        pytest.param([synthetic.run_row(0, "joint", 0, "full", None, 0.5)], id="a reference alone"),
        pytest.param(
            [synthetic.run_row(0, "joint", 0, "full", None, 0.9)]
            + [synthetic.run_row(k, "mine.py:Own", k, "full", 65536, 0.5, family="") for k in (1, 2)],
            id="a reference without a budget and a strategy of one's own",
        ),
    ],
)
def test_small_and_odd_sweeps_have_a_page(rows):
    assert "<h2>Answer</h2>" in html_of(page_of(rows))


def test_the_written_file_is_whole_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "report.html"
    size = write_page(page_of(synthetic.oracle_rows(seeds=2)), path)
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert path.stat().st_size == size
    assert path.read_text(encoding="utf-8").endswith("</html>\n")


def test_a_file_that_cannot_be_written_leaves_nothing_beside_it(tmp_path):
    (tmp_path / "page.html").mkdir()
    with pytest.raises(OSError, match=r"page\.html"):
        write_page(page_of(synthetic.oracle_rows(seeds=2)), tmp_path / "page.html")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.parametrize(("strategies", "budgets", "limit"), [(8, 5, 1_000_000), (29, 7, 3_000_000)])
def test_a_page_of_hundreds_of_cells_is_small(strategies, budgets, limit):
    rows = synthetic.sweep_rows(synthetic.strategies(strategies), budgets, 5)
    assert len(html_of(page_of(rows)).encode()) < limit


def header(text):
    return re.sub(r"<[^>]+>", "", re.search(r'<p class="facts">(.*?)</p>', text, re.DOTALL)[1])


def test_the_header_counts_the_cells_that_there_are():
    rows = synthetic.sweep_rows(synthetic.strategies(6), 3, 4)
    assert header(html_of(page_of(rows))).startswith("6 strategies \u00d7 3 budgets \u00d7 4 seeds: 72 cells; ")
    some = [row for row in rows if not (row["label"] == "memo" and row["seed"] == 1) or row["label"] == "joint"]
    left = len(rows) - len(some)
    assert left
    assert f"{len(some)} cells of 72, {left} excluded" in header(html_of(page_of(some)))
    twice = [row | {"cell": row["cell"] % 9} for row in some]  # of two sweeps, which have no product
    assert header(html_of(page_of(twice))).startswith(
        f"6 strategies \u00d7 3 budgets \u00d7 4 seeds: {len(some)} cells; "
    )
    unknown = [row | {"cell": None} for row in some]  # folders of runs, not of a sweep
    assert f"{len(some)} cells of 72, {left} missing" in header(html_of(page_of(unknown)))


def test_a_bound_without_a_budget_has_its_number_once_in_the_column_that_latex_has_too():
    rows = synthetic.oracle_rows(seeds=3)
    rows += [synthetic.run_row(f"j{seed}", "joint", seed, "full", None, 0.9) for seed in range(3)]
    table = Reader(html_of(page_of(rows))).tables["ranking"][0]
    heads = [cell[0] for cell in table[0]]
    assert heads[1:] == ["128 KiB", "256 KiB", "512 KiB", "1 MiB", "no budget"]
    (joint,) = [row for row in table if row[0][0] == "joint"]
    assert [cell[0] for cell in joint[1:5]] == [""] * 4
    assert joint[5][0].startswith("90.0 ± 0.0")
    text = latex_table(pd.DataFrame(rows), "average_accuracy")
    assert " & " + " & ".join(heads[1:]) in text
    assert r"joint &  &  &  &  & $90.0 \pm 0.0$" in text


def test_nothing_is_minus_zero_and_a_tie_is_no_half_seed():
    values = {"memo": [0.9, 0.91], "icarl": [0.90001, 0.90998], "der": [0.9, 0.91]}
    rows = [
        synthetic.run_row(f"{label}{seed}", label, seed, "full", 65536, value, forgetting=-0.0001)
        for label, own in values.items()
        for seed, value in enumerate(own)
    ]
    text = html_of(page_of(rows))
    read = Reader(text)
    shown = [cell[0] for tables in read.tables.values() for table in tables for row in table for cell in row]
    assert not [cell for cell in shown if re.search(r"[-+\u2212]0\.0+(?!\d)", cell)]
    assert not [cell for cell in shown if re.search(r"\d\.\d+ of \d", cell)]
    assert "0 of 2, 2 equal" in shown


def test_a_strategy_of_ones_own_stands_under_own():
    rows = synthetic.oracle_rows(seeds=2)
    for row in rows:
        if row["label"] == "der":
            row.update(label="mine:Mine", strategy="mine:Mine", family="own")
    chips = re.search(r'<fieldset class="chips">(.*?)</fieldset>', html_of(page_of(rows)), re.DOTALL)[1]
    groups = [re.sub("<[^>]+>", " ", group).split() for group in chips.split('<span class="of">')[1:]]
    assert ["own", "mine:Mine"] in groups
    assert not any("stationary" in group for group in groups)


def test_each_strategy_has_a_key_of_its_own_beside_its_name():
    rows = synthetic.oracle_rows(seeds=2)
    for row in rows:
        if row["label"] == "der":
            row.update(label="memo jpeg", strategy="memo")
    read = Reader(html_of(page_of(rows)))
    keys = [a["href"] for tag, a in read.tags if tag == "use"]
    assert len({*keys}) == 4
    text = html_of(page_of(rows))
    symbols = re.findall(r'<symbol id="m\d+"[^>]*>(.*?)</symbol>', text)
    for theme in (":root{", "(prefers-color-scheme:dark){"):  # print has the first
        colours = re.findall(
            r"--s\d:(#\w+)", text[text.index(theme + ("--ground" if theme == ":root{" else "")) :]
        )[:4]
        assert len({*zip(symbols, colours, strict=True)}) == len({*colours}) == 4


def test_above_a_limit_cells_are_means_over_seeds_unless_all_are_asked_for(monkeypatch):
    rows = synthetic.oracle_rows(seeds=3)
    monkeypatch.setattr(sections, "CELLS", len(rows) - 1)
    few, every = (Reader(html_of(page_of(rows), cells)).tables["all-cells"][0] for cells in ("auto", "all"))
    assert (len(few), len(every)) == (1 + 4 * 4, 1 + len(rows))
    row = next(row for row in few if row[0][0] == "icarl" and row[1][0] == "128 KiB")
    assert row[4][0] == "3"
    assert float(row[6][1]["data-v"]) == pytest.approx(0.511667, abs=1e-5)  # the specification's oracle
    monkeypatch.setattr(sections, "CELLS", len(rows))
    assert len(Reader(html_of(page_of(rows))).tables["all-cells"][0]) == 1 + len(rows)


SCENARIOS = [[0.61, 0.72, 0.55, 0.90], [0.63, 0.70, 0.58, 0.91], [0.60, 0.74, 0.52, 0.89]]  # seeds by scenarios


def scenario_rows(names="abcd"):
    made = []
    for seed, own in enumerate(SCENARIOS):
        for name, value in zip(names, own, strict=False):
            for label, accuracy in (("finetune", 0.2), ("joint", 1.0), ("memo", value), ("icarl", value / 2)):
                made.append(
                    synthetic.run_row(f"{name}{label}{seed}", label, seed, "full", 65536, accuracy, scenario=name)
                )
    return made


def test_several_scenarios_are_one_number_a_seed_and_a_column_each():
    read = Reader(html_of(page_of(scenario_rows())))
    heads, *body = read.tables["scenarios"][0]
    assert [cell[0] for cell in heads] == [
        "strategy", "mean", "interquartile mean", "from finetune (0) to joint (100)", *"abcd",
    ]  # fmt: skip
    (memo,) = [row for row in body if row[0][0] == "memo"]
    # mean .695833 and interquartile mean .666667 are rliable's; the half of the t interval over .695, .705, .6875
    assert memo[1][0].startswith("● 69.6 ± 2.2")
    assert memo[2][0] == "66.7"
    assert memo[3][0].startswith("62.0 ± ")  # (.695833 - .2) / .8
    assert memo[5][0].startswith("● 72.0 ± ")
    assert "memo" in {row[0][0] for row in read.tables["ranking"][0]}  # scenarios do not mix with methods
    assert {row[1][0] for row in read.tables["all-cells"][0][1:]} == {*"abcd"}


def test_three_scenarios_have_no_interquartile_mean_and_one_no_section():
    read = Reader(html_of(page_of(scenario_rows("abc"))))
    assert not any("interquartile" in cell[0] for cell in read.tables["scenarios"][0][0])
    one = [row | {"scenario": ""} for row in scenario_rows("a")]
    assert "scenarios" not in Reader(html_of(page_of(one))).tables


def test_a_scenario_is_chosen_for_what_follows_a_stream():
    text = html_of(page_of(scenario_rows("ab")))
    assert re.search(r'<select id="scenario"><option value="a">a</option><option value="b">b</option>', text)
    titles = re.findall(r"<figcaption>(By experience[^<]*)", text)
    assert titles == [f"By experience, budget 64 KiB, policy full, {name}." for name in "ab"]


def test_a_kind_that_a_run_does_not_hold_counts_as_nothing_in_the_mean_and_lifts_no_bar():
    page = page_of([synthetic.run_row(seed, "icarl", seed, "full", None, 0.5) for seed in (0, 1)])
    frame = page.experiences
    whole = frame.loc[frame["experience"] == 5, "held.exemplars"].iloc[0]
    frame.loc[(frame["experience"] == 1) | (frame["seed"] == 1), "held.exemplars"] = np.nan
    ((*_, spec),) = drawn.ledgers(shown_of(page))
    bars = spec["hconcat"][0]["layer"][0]["data"]["values"]
    assert all(np.isfinite([bar["from"], bar["to"]]).all() for bar in bars)
    assert min(bar["from"] for bar in bars if bar["x"] < 1) == 0
    (last,) = [row for row in Reader(html_of(page)).tables["ledger"][0] if row[0][0] == "icarl"]
    assert whole / 2 in [float(cell["data-v"]) for _, cell in last if "data-v" in cell]
