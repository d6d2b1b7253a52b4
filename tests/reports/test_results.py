import json
import math
import re
import shutil
from dataclasses import replace

import pytest

import cl_engine
from cl_engine.reports.result import FILE, read_result, sealed
from cl_engine.reports.results import NoResultsError, read_results

SCENARIO = {
    "name": "tiny",
    "data": {"kind": "gaussian", "classes": 4, "features": 8, "samples_per_class": 20},
    "stream": {"step": 2},
    "strategy": "ncm",
    "training": {"epochs": 1},
    "sweep": {
        "strategy": ["ncm", {"kind": "replay", "total": 4}, {"kind": "replay", "total": 8}],
        "memory.budget": ["1 KiB", "1 MiB"],
        "seeds": 2,
    },
}


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    out = tmp_path_factory.mktemp("sweeps")
    return cl_engine.sweep(SCENARIO, out=out, workers=0), out / "tiny"


def test_a_row_a_run_says_what_its_result_says(swept):
    _, folder = swept
    frame = cl_engine.load_results(folder)
    assert len(frame) == 12
    for row in frame[frame.status == "done"].itertuples():
        result = json.loads((folder / row.run / "result.json").read_text())
        assert row.strategy == result["config"]["strategy"]["kind"]
        assert row.seed == result["seed"]
        assert row.budget_bytes == result["memory"]["budget_bytes"]
        assert row.average_accuracy == result["metrics"]["average_accuracy"]
        assert row.end_held_bytes == result["memory"]["held_bytes"][-1]
    assert frame.attrs["schema"] == 1


def test_options_that_differ_are_in_the_label_and_nothing_else_is(swept):
    results, _ = swept
    assert {*results.frame().label} == {"ncm", "replay total 4", "replay total 8"}


def test_a_part_of_another_kind_goes_by_the_name_of_the_part(tmp_path):
    strategies = [{"kind": "replay", "total": 4, "backbone": backbone} for backbone in ("identity", "mlp")]
    frame = cl_engine.sweep(SCENARIO | {"sweep": {"strategy": strategies}}, out=tmp_path, workers=0).frame()
    assert {*frame.label} == {"replay backbone identity", "replay backbone mlp"}


def test_what_did_not_run_is_a_row_without_numbers(swept):
    frame = swept[0].frame()
    impossible = frame[frame.status == "impossible"]
    assert {*impossible.strategy} == {"replay"}
    assert len(impossible) == 4
    assert impossible.average_accuracy.isna().all()
    assert impossible.why.str.contains("holds at least").all()


def test_the_other_frames_have_a_row_an_experience_a_point_and_a_group(swept):
    results, folder = swept
    done = (results.frame().status == "done").sum()
    experiences, curve, matrix = (results.frame(per) for per in ("experience", "curve", "matrix"))
    assert (len(experiences), len(curve), len(matrix)) == (2 * done, 2 * done, 4 * done)
    row = experiences.iloc[1]
    result = json.loads((folder / row.run / "result.json").read_text())
    assert row.accuracy == result["accuracy"]["seen"][1]
    kinds = {k: v for k, v in row.items() if k.startswith("held.") and not math.isnan(v)}
    assert sum(kinds.values()) == row.held_bytes


def test_what_cannot_be_read_is_left_out_with_a_reason(tmp_path, swept):
    _, folder = swept
    source = next(path.parent for path in folder.glob("*/result.json"))
    text = (source / "result.json").read_text()
    for name, content in {
        "damaged": text[:-40],
        "edited": text.replace('"status": "done"', '"status": "best"'),
        "foreign": "[1, 2]",
        "renamed": text,
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text(content)
    (tmp_path / "holiday").mkdir()
    (tmp_path / source.name).mkdir()
    (tmp_path / source.name / "result.json").write_text(text)
    results = read_results(tmp_path)
    assert [run.run for run in results.runs] == [source.name]
    assert {path.name for path, _ in results.left_out} == {"damaged", "edited", "foreign", "renamed"}
    assert all(why for _, why in results.left_out)


def test_a_folder_without_runs_is_one_line(tmp_path):
    with pytest.raises(NoResultsError, match="holds no run"):
        read_results(tmp_path)
    with pytest.raises(NoResultsError, match="no such folder"):
        read_results(tmp_path / "nowhere")


def test_a_notebook_shows_means_of_finished_runs_and_no_name_as_markup(swept):
    results, folder = swept
    shown = results._repr_html_()
    rows = re.findall(r"<tr><td>(.*?)</td><td>(.*?)</td><td>(.*?)</td><td>(.*?)</td></tr>", shown)
    frame = cl_engine.load_results(folder)
    assert len(rows) == 4  # three labels, of which two are impossible within the smaller budget
    for label, budget, mean, seeds in rows:
        own = frame[(frame.label == label) & (frame.budget_bytes == {"1 KiB": 1024, "1 MiB": 2**20}[budget])]
        assert (mean, seeds) == (f"{100 * own.average_accuracy.mean():.1f}", "2")
    named = [replace(run, config={**run.config, "name": "<b>"}) for run in results.runs]
    assert "<b>" not in replace(results, runs=named)._repr_html_()


def test_a_notebook_shows_at_most_20_rows_and_a_table_without_any(swept):
    results, _ = swept
    many = [
        replace(run, run=f"{run.run}-{k}", budget=1024 + k)
        for run in results.runs
        if run.status == "done"
        for k in range(9)
    ]
    shown = replace(results, runs=many)._repr_html_()
    assert shown.count("<tr><td>") == 20
    assert "more rows" in shown
    none = [run for run in results.runs if run.status != "done"]
    assert "0 of 4 runs done" in replace(results, runs=none)._repr_html_()


def test_a_run_that_two_folders_hold_is_there_once(tmp_path, swept):
    _, folder = swept
    shutil.copytree(folder, tmp_path / "copy")
    frame = cl_engine.load_results(folder, tmp_path / "copy")
    assert len(frame) == 12
    assert frame.run.is_unique
    assert not read_results(folder, tmp_path / "copy").left_out


def test_the_same_run_with_another_result_is_left_out_with_a_note(tmp_path, swept):
    _, folder = swept
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    path = next(other.glob("*/result.json")).parent
    result = read_result(path)
    result["metrics"]["last_accuracy"] += 0.25
    (path / FILE).write_text(json.dumps(sealed({key: v for key, v in result.items() if key != "sha256"})))
    found = read_results(folder, other)
    assert len(found.runs) == 12
    assert [left for left, _ in found.left_out] == [path]
    assert found.left_out[0][1] == f"the same run with another result is in {folder}, which counts"


def test_of_a_run_that_one_folder_has_not_finished_the_finished_one_counts(tmp_path, swept):
    results, folder = swept
    done = next(run for run in results.runs if run.status == "done")
    (tmp_path / done.run).mkdir()
    shutil.copy(folder / done.run / "config.yaml", tmp_path / done.run)
    assert [run.status for run in read_results(tmp_path).runs] == ["unfinished"]
    found = {run.run: run.status for run in read_results(tmp_path, folder).runs}
    assert found[done.run] == "done"
    assert len(found) == 12


def test_a_run_directory_is_read_as_the_run_it_is(swept, monkeypatch):
    results, folder = swept
    done = next(run for run in results.runs if run.status == "done")
    assert [run.run for run in read_results(folder / done.run).runs] == [done.run]
    monkeypatch.chdir(folder / done.run)
    assert [run.run for run in read_results(".").runs] == [done.run]


def test_data_and_stream_make_scenarios_and_no_labels(tmp_path):
    sweep = {"data.classes": [4, 6], "stream.step": [1, 2], "strategy": ["ncm", "finetune"]}
    frame = cl_engine.sweep(SCENARIO | {"sweep": sweep}, out=tmp_path, workers=0).frame()
    assert {*frame.label} == {"ncm", "finetune"}
    assert {*frame.scenario} == {f"classes {c} step {s}" for c in (4, 6) for s in (1, 2)}
    first = frame[(frame["data.classes"] == 4) & (frame["stream.step"] == 2)]
    assert {*first.scenario} == {"classes 4 step 2"}


def test_one_scenario_has_no_name_and_neither_has_one_a_seed(tmp_path, swept):
    assert {*swept[0].frame().scenario} == {""}
    sweep = {"zip": {"stream.class_order": [1, 2], "seed": [1, 2]}, "strategy": ["ncm"]}
    frame = cl_engine.sweep(SCENARIO | {"sweep": sweep}, out=tmp_path, workers=0).frame()
    assert {*frame.scenario} == {""}


def test_runs_of_two_folders_that_differ_in_what_neither_varied_have_labels_that_say_so(tmp_path):
    for name, epochs in (("a", 1), ("b", 2)):
        scenario = SCENARIO | {
            "name": name,
            "training": {"epochs": epochs},
            "sweep": {"strategy": ["ncm", "finetune"]},
        }
        cl_engine.sweep(scenario, out=tmp_path, workers=0)
    frame = cl_engine.load_results(tmp_path / "a", tmp_path / "b")
    assert {*frame.label} == {f"{kind} epochs {n}" for kind in ("ncm", "finetune") for n in (1, 2)}
