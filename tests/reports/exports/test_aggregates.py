"""The two statistical tables against numbers computed apart from the package."""

import math

import pandas as pd
import pytest

from cl_engine.errors import InputError
from cl_engine.reports.exports import pairs, summary
from tests.reports.exports.runs import frame, row, rows, sweep

SUMMARY = summary(sweep())
PAIRS = pairs(sweep())


def at(table, **keys):
    for name, value in keys.items():
        table = table[table[name] == value]
    (found,) = table.to_dict("records")
    return found


def test_the_columns_are_those_that_are_documented():
    assert list(SUMMARY) == ["strategy", "label", "policy", "scenario", "budget", "metric", "n", "mean", "sd", "se", "t_low", "t_high",
                             "boot_low", "boot_high", "rank_low", "rank_high", "may_be_best"]  # fmt: skip
    assert list(PAIRS) == ["a", "b", "policy", "scenario", "budget", "metric", "n", "mean", "sd", "low", "high", "p", "p_holm", "wins",
                           "ties", "seeds_needed", "seeds_needed_upper"]  # fmt: skip
    assert list(summary(sweep().iloc[:0])) == list(SUMMARY)
    assert list(pairs(sweep().iloc[:0])) == list(PAIRS)


def test_a_row_of_the_summary():
    found = at(SUMMARY, label="icarl", budget=2**17)
    names = ("mean", "sd", "se", "t_low", "t_high", "boot_low", "boot_high")
    expected = (0.512200, 0.010474, 0.004684, 0.499195, 0.525205, 0.504, 0.5202)
    assert [found[name] for name in names] == pytest.approx(expected, abs=5e-7)
    assert (found["n"], found["rank_low"], found["rank_high"], found["may_be_best"]) == (5, 2, 2, False)
    assert at(SUMMARY, label="memo", budget=2**20)["may_be_best"]


def test_references_have_means_and_no_ranks_and_take_no_part():
    found = at(SUMMARY, label="joint", budget=2**19)
    assert found["mean"] == pytest.approx(0.95)
    assert pd.isna(found["rank_low"])
    assert pd.isna(found["may_be_best"])
    assert not set(PAIRS["a"]) & {"finetune", "joint"}
    alone = sweep()
    alone = summary(alone[alone["family"] != "references"])
    ranked = SUMMARY[~SUMMARY["strategy"].isin(["finetune", "joint"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, ranked)


def test_a_row_of_the_pairs():
    found = at(PAIRS, a="memo", b="icarl", budget=2**19)
    expected = (0.018600, 0.006289, 0.030911, 0.013752, 0.027504)
    assert [found[name] for name in ("mean", "low", "high", "p", "p_holm")] == pytest.approx(expected, abs=1e-6)
    assert (found["wins"], found["ties"], found["n"]) == (5, 0, 5)
    assert pd.isna(found["seeds_needed"])
    back = at(PAIRS, a="icarl", b="memo", budget=2**19)
    assert (back["mean"], back["low"], back["wins"]) == (-found["mean"], -found["high"], 0)
    wanting = at(PAIRS, a="memo", b="der", budget=2**18)
    assert (wanting["seeds_needed"], wanting["seeds_needed_upper"]) == (13, 27)


def test_adding_a_strategy_changes_no_difference_and_no_mean():
    more = pd.concat([sweep(), frame(rows("new", [0.9] * 5, budget=2.0**19))])
    names = [name for name in PAIRS if name != "p_holm"]
    both = pairs(more)
    both = both[(both["a"] != "new") & (both["b"] != "new")].reset_index(drop=True)
    pd.testing.assert_frame_equal(both[names], PAIRS[names])
    kept = summary(more)
    columns = list(SUMMARY)[:-3]
    pd.testing.assert_frame_equal(kept[kept["label"] != "new"][columns].reset_index(drop=True), SUMMARY[columns])


def test_failed_and_impossible_runs_are_rows_without_a_number():
    runs = frame(
        rows("good", [0.8, 0.82, 0.81]),
        rows("dead", [0, 0, 0], status="failed"),
        rows("big", [0, 0, 0], status="impossible"),
        [row("half", 0, 0.7), row("half", 1, 0.7), row("half", 2, 0, status="unfinished")],
    )
    found = {r["label"]: r for r in summary(runs).to_dict("records")}
    assert [found[name]["n"] for name in found] == [3, 0, 0, 2]
    assert math.isnan(found["dead"]["mean"])
    assert pd.isna(found["dead"]["may_be_best"])
    assert found["big"]["may_be_best"] is False
    assert pd.isna(found["big"]["rank_low"])
    assert {r["n"] for r in pairs(runs).to_dict("records")} == {2}


def test_a_metric_that_a_run_leaves_undefined_lowers_n():
    runs = frame(rows("a", [0.8, 0.82, 0.81]), rows("b", [0.6, float("nan"), 0.61]))
    assert at(summary(runs), label="b")["n"] == 2


def test_the_least_forgetting_is_the_best():
    runs = frame(rows("a", [0.5] * 3), rows("b", [0.5] * 3))
    runs["forgetting"] = [0.1] * 3 + [0.4] * 3
    found = summary(runs)
    assert at(found, label="a", metric="forgetting")["rank_low"] == 1
    assert at(found, label="b", metric="forgetting")["rank_low"] == 2
    assert at(pairs(runs), a="a", b="b", metric="forgetting")["mean"] == pytest.approx(-0.3)


def test_one_seed_has_a_mean_and_nothing_else():
    found = summary(frame([row("a", 0, 0.5), row("b", 0, 0.6)])).to_dict("records")
    for r in found:
        assert all(pd.isna(r[name]) for name in ("sd", "t_low", "boot_low", "rank_low", "may_be_best"))
    (first, _) = pairs(frame([row("a", 0, 0.5), row("b", 0, 0.6)])).to_dict("records")
    assert first["n"] == 1
    assert pd.isna(first["p"])
    assert pd.isna(first["p_holm"])


def test_variants_of_one_strategy_are_told_apart_by_label():
    runs = frame(rows("memo lr 0.1", [0.5, 0.6], strategy="memo"), rows("memo lr 1", [0.7, 0.8], strategy="memo"))
    assert set(summary(runs)["label"]) == {"memo lr 0.1", "memo lr 1"}
    assert set(summary(runs)["strategy"]) == {"memo"}


def test_policies_and_swept_streams_are_ranked_apart_and_no_budget_is_one_column():
    runs = frame(
        rows("a", [0.5, 0.6], budget=float("nan")),
        rows("b", [0.5, 0.6], budget=float("nan"), policy="paper"),
    )
    found = summary(runs)
    assert set(found["policy"]) == {"full", "paper"}
    assert found["budget"].isna().all()
    assert pairs(runs).empty
    runs = frame(
        rows("a digits", [0.5, 0.6], **{"data": "digits"}),
        [row("a wine", s, 0.9, data="wine", fingerprint=f"other {s}") for s in range(2)],
    )
    assert pairs(runs).empty


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        (frame([row("a", 0, 0.5), row("a", 0, 0.6)]), "two of a, seed 0, budget 1024"),
        (frame([row("a", 0, 0.5), row("b", 0, 0.6, fingerprint="other")]), "seed 0 saw different streams"),
        (pd.DataFrame({"label": ["a"]}), "the frame lacks strategy, family, seed"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused_in_one_line(runs, message):
    for function in (summary, pairs):
        with pytest.raises(InputError, match=message) as caught:
            function(runs)
        assert "\n" not in str(caught.value)


SCENARIOS = [[0.61, 0.72, 0.55, 0.90], [0.63, 0.70, 0.58, 0.91], [0.60, 0.74, 0.52, 0.89]]  # seeds by scenarios


def several_scenarios():
    values = enumerate(SCENARIOS)
    return frame(
        [row("memo", seed, v, scenario=name) for seed, own in values for name, v in zip("abcd", own, strict=True)],
        [row("icarl", seed, 0.5, scenario=name) for seed in range(3) for name in "abc"],  # lacks one
    )


def test_over_scenarios_a_seed_is_one_number_and_one_that_lacks_a_scenario_is_none():
    found = summary(several_scenarios()).set_index(["label", "scenario"])
    assert {*found.index.get_level_values("scenario")} == {*"abcd", "mean of 4 scenarios"}
    mean = found.loc["memo", "mean of 4 scenarios"]
    # from the per-seed means .695, .705, .6875: t(.975, 2) is 4.302653
    assert (mean.n, mean["mean"]) == (3, pytest.approx(0.695833, abs=1e-6))
    assert (mean.t_low, mean.t_high) == pytest.approx((0.674023, 0.717643), abs=1e-6)
    assert found.loc["icarl", "mean of 4 scenarios"].n == 0
    assert found.loc["icarl", "a"].n == 3
