"""`unlearn` and `merge` write runs that equal runs that learned: what they hold, say and refuse."""

import io
import json
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pytest
import torch
import typer
from sklearn.linear_model import Ridge

import cl_engine
from cl_engine.cli.app import app
from cl_engine.cli.status import exit_status
from cl_engine.config.scenario import ConfigError, Scenario
from cl_engine.errors import InputError
from cl_engine.reports.result import sealed
from cl_engine.reports.results import read_results
from cl_engine.running.merging import merge_runs
from cl_engine.running.planner import plan_memory
from cl_engine.running.store import StoreError
from cl_engine.running.unlearning import unlearn_run
from cl_engine.scenarios.plan import class_ids, exposure_order

GAUSSIAN = {"kind": "gaussian", "classes": 8, "features": 6, "samples_per_class": 20}
SCENARIO = {
    "name": "tiny",
    "data": GAUSSIAN,
    "stream": {"kind": "class-incremental", "step": 2},
    "strategy": {"kind": "acil", "width": 12},
}
STREAMS = {
    "class-incremental": {"kind": "class-incremental", "step": 2},
    "hidden boundaries, online": {"kind": "gaussian-schedule", "experiences": 3, "delivery": "online"},
    "blurry": {"kind": "si-blurry", "experiences": 3},
    "returning": {"kind": "gcil", "experiences": 4, "size": 40, "max_classes": 5},
    "wrong labels": {"kind": "class-incremental", "step": 2, "label_noise": {"rate": 0.2}},
    "transformed": {"kind": "domain-incremental", "experiences": 2},
}
STRATEGIES = ["acil", "g-acil", "f-oal", "air", "aef-ocl", "slda", "lda", "ncm"]


def ran(folder, **changes):
    return cl_engine.run(SCENARIO, out=folder, **changes)


def command(*words):
    """Return status, output and errors of a command that runs in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = exit_status(
            lambda: typer.main.get_command(app).main(
                [*map(str, words)], prog_name="cl-engine", standalone_mode=False
            )
        )
    return status, out.getvalue(), err.getvalue()


def relative(a, b):
    return float(torch.linalg.norm(a - b) / torch.linalg.norm(b))


@pytest.mark.parametrize("stream", STREAMS)
def test_an_unlearned_run_has_the_weights_of_scikit_learn_on_the_rest_and_of_a_run_without(stream, tmp_path):
    if stream == "transformed":
        data = {"data": "digits", "strategy": {"kind": "acil", "width": 12, "gamma": 1.0}}
    else:
        data = {}
    run = ran(tmp_path, stream=STREAMS[stream], **data)
    before = Scenario.load(run.directory / "config.yaml")
    label, places = exposure_order(before.labels.train, before.plan)[1], before.plan.indices[[3, 25]]
    made = unlearn_run(run.directory, classes=[label], samples=places, certify=True)
    certificate = made.to_dict()["derived"]["certificate"]
    assert certificate["equal"]
    assert certificate["relative_difference"] < 1e-9
    strategy, scenario = cl_engine.load(made.directory), Scenario.load(made.directory / "config.yaml")
    plan, labels, train = scenario.plan, scenario.labels.train, scenario.source.load().train
    y = plan.delivered(labels)
    assert label not in y
    assert not np.isin(places, plan.indices).any()
    if plan.transforms is None:
        phi = strategy.features(train.x[torch.from_numpy(plan.indices.copy())]).numpy()
        order = exposure_order(labels, plan)
        onehot = np.eye(len(order))[class_ids(y, order)]
        expected = Ridge(alpha=0.1, fit_intercept=False, solver="cholesky").fit(phi, onehot).coef_.T
        assert relative(strategy.weights(), torch.from_numpy(expected)) < 1e-9


@pytest.mark.parametrize("kind", STRATEGIES)
def test_shards_that_are_merged_and_a_class_that_is_unlearned_give_the_run_without_it(kind, tmp_path):
    strategy = {"kind": kind, **({} if kind in ("slda", "lda", "ncm") else {"width": 12})}
    shards = [ran(tmp_path, strategy=strategy, **{"stream.shard": {"of": 3, "parts": [k]}}) for k in range(3)]
    merged = merge_runs(*[shard.directory for shard in shards])
    whole = ran(tmp_path, strategy=strategy)
    assert merged.to_dict()["stream"]["fingerprint"] == whole.to_dict()["stream"]["fingerprint"]
    found, expected = (cl_engine.load(run.directory).readout() for run in (merged, whole))
    assert relative(found, expected) < 1e-9
    assert merged.metrics["last_accuracy"] == whole.metrics["last_accuracy"]

    without = ran(tmp_path, strategy=strategy, **{"stream.without": {"classes": [5]}})
    made = unlearn_run(merged.directory, classes=[5])
    found, expected = (cl_engine.load(run.directory).readout() for run in (made, without))
    assert relative(found, expected) < 1e-9


def test_some_shards_merge_into_what_is_still_a_shard_and_later_into_all(tmp_path):
    shards = [ran(tmp_path, **{"stream.shard": {"of": 3, "parts": [k]}}).directory for k in range(3)]
    two = merge_runs(shards[2], shards[0])
    assert two.to_dict()["config"]["stream"]["shard"] == {"of": 3, "parts": [0, 2]}
    every = merge_runs(two.directory, shards[1])
    assert "shard" not in every.to_dict()["config"]["stream"]
    found, expected = cl_engine.load(every.directory).weights(), cl_engine.load(ran(tmp_path).directory).weights()
    assert relative(found, expected) < 1e-9


def test_a_run_unlearns_twice_what_another_unlearns_at_once(tmp_path):
    run = ran(tmp_path)
    once = unlearn_run(run.directory, classes=[1, 2], samples=[100])
    held = (once.directory / "checkpoint.safetensors").read_bytes()
    first = unlearn_run(run.directory, classes=[2], samples=[100])
    twice = unlearn_run(first.directory, classes=[1])
    assert twice.to_dict()["id"] == once.to_dict()["id"]  # one scenario, so one directory; the earlier is set aside
    assert twice.directory == once.directory
    assert (once.directory.with_name(once.directory.name + ".1") / "checkpoint.safetensors").read_bytes() == held
    with pytest.raises(InputError, match="nothing to remove; allowed"):
        unlearn_run(twice.directory, classes=[1])


def test_a_derived_run_says_what_it_is_and_its_ledger_is_the_plan_of_the_stream_without(tmp_path):
    run = ran(tmp_path)
    before = {file.name: file.read_bytes() for file in run.directory.iterdir()}
    made = unlearn_run(run.directory, classes=[1])
    result = made.to_dict()
    assert cl_engine.RunRecord.load(made.directory).to_dict() == result  # sealed
    assert made.directory.name == f"tiny-unlearned-{result['id']}"
    assert result["derived"] == {
        "how": "unlearned",
        "from": [{"run": run.directory.name, "id": run.to_dict()["id"], "sha256": run.to_dict()["sha256"]}],
        "removed": {"classes": [1], "samples": [], "deliveries": 20},
        "certificate": None,
    }
    plan = plan_memory(Scenario.load(made.directory / "config.yaml"))
    assert made.memory["held_bytes"] == [experience["held_bytes"] for experience in plan["experiences"]]
    assert made.memory["entries"] == [experience["entries"] for experience in plan["experiences"]]
    assert made.accuracy["seen"][:-1] == [None] * 3
    measured = {name for name, value in made.metrics.items() if value is not None}
    assert measured == {"last_accuracy", "balanced_accuracy"}
    assert {file.name: file.read_bytes() for file in run.directory.iterdir()} == before
    assert [row.status for row in read_results(tmp_path).runs] == ["done", "done"]
    assert cl_engine.load(made.directory).predict(torch.zeros(2, 6)).shape == (2, 7)


def test_no_file_of_an_unlearned_run_holds_the_features_that_were_removed(tmp_path):
    strategy = {"kind": "acil", "width": 60, "storage": "smallest"}
    run = ran(tmp_path, strategy=strategy)
    train = Scenario.load(run.directory / "config.yaml").source.load().train
    gone = train.x[train.y == 1].numpy()
    made = unlearn_run(run.directory, classes=[1])

    def holding(folder):
        return [f.name for f in folder.iterdir() if any(row.tobytes() in f.read_bytes() for row in gone)]

    assert holding(run.directory) == ["checkpoint.safetensors"]
    assert holding(made.directory) == []


@pytest.mark.parametrize(
    ("strategy", "told"),
    [
        ("ds-al", "what ds-al holds is no sum over samples; allowed: ncm, acil, "),
        ("finetune", "what finetune holds is no sum over samples; allowed: ncm, acil, "),
        ({"kind": "ranpac", "width": 12}, "RanPAC cannot unlearn exactly: ridge: search .*; allowed: a number"),
        ({"kind": "acil", "width": 12, "solver": "recursive"}, "solver: recursive .*; allowed: solver: accumulate"),
        ({"kind": "gkeal", "width": 12}, "centres were drawn from the first samples; allowed: centres: FILE"),
    ],
    ids=["ds-al", "finetune", "search", "recursive", "centres"],
)
def test_a_strategy_that_cannot_says_so_and_nothing_is_written(strategy, told, tmp_path):
    run = ran(tmp_path, strategy=strategy, training={"epochs": 1})
    with pytest.raises(InputError, match=told):
        unlearn_run(run.directory, classes=[1])
    assert [*tmp_path.iterdir()] == [run.directory]


def test_what_is_not_in_the_stream_or_no_finished_run_is_refused(tmp_path):
    run = ran(tmp_path)
    with pytest.raises(ConfigError, match="99 is not in the stream; allowed"):
        unlearn_run(run.directory, classes=[99])
    (run.directory / "result.json").unlink()
    with pytest.raises(StoreError, match="the run is not finished; allowed"):
        unlearn_run(run.directory, classes=[1])
    with pytest.raises(ConfigError, match="there is no such file"):
        unlearn_run(tmp_path / "none", classes=[1])


def test_a_run_that_was_learned_on_a_gpu_cannot_unlearn(tmp_path):
    run = ran(tmp_path)
    result = run.to_dict()
    del result["sha256"]
    result["environment"]["device"] = "cuda"
    (run.directory / "result.json").write_text(json.dumps(sealed(result)))
    with pytest.raises(InputError, match=r"was learned on cuda; .* single precision.*; allowed: the CPU"):
        unlearn_run(run.directory, classes=[1])


def test_runs_that_do_not_fit_each_other_are_not_merged(tmp_path):
    one, two = ({"stream.shard": {"of": 2, "parts": [k]}} for k in range(2))
    first = ran(tmp_path, **one).directory
    for changes, told in (
        (one, "saw shard 0, as .* did; allowed: each shard once"),
        ({**two, "seed": 1}, "its seed is not that of"),
        ({**two, "strategy": {"kind": "acil", "width": 13}}, "its strategy.width is not that of"),
        ({**two, "data": {**GAUSSIAN, "features": 7}}, "its data.features is not that of"),
        ({"stream.shard": {"of": 3, "parts": [1]}}, "its stream.shard.of is not that of"),
        ({}, "its stream.shard.of is not that of"),
    ):
        with pytest.raises(InputError, match=told) as error:
            merge_runs(first, ran(tmp_path, **changes).directory)
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="got 1 run; allowed: two or more"):
        merge_runs(first)
    whole = ran(tmp_path).directory
    with pytest.raises(InputError, match="its stream is no shard"):
        merge_runs(whole, whole)


def test_a_class_that_is_unlearned_by_its_name_is_the_one_of_that_name(tmp_path):
    train, test = (cl_engine.Samples(torch.randn(12, 3), torch.arange(12) % 4) for _ in range(2))
    names = ("ant", "bee", "cat", "dog")
    parts = {
        f"{array}_{part}": getattr(own, array).numpy()
        for part, own in (("train", train), ("test", test))
        for array in "xy"
    }
    np.savez(tmp_path / "animals.npz", **parts, classes=names)
    run = ran(tmp_path, data={"kind": "npz", "path": str(tmp_path / "animals.npz")}).directory
    status, out, _ = command("unlearn", run, "--classes", "cat, 1", "--json")
    assert status == 0
    assert json.loads(out)["derived"]["removed"]["classes"] == [1, 2]
    status, _, err = command("unlearn", run, "--classes", "cats")
    assert (status, "there is no class 'cats', did you mean 'cat'?; allowed: labels, and names" in err) == (2, True)


def test_the_commands_print_what_was_done_and_one_line_where_they_cannot(tmp_path):
    shards = [ran(tmp_path, **{"stream.shard": {"of": 2, "parts": [k]}}).directory for k in range(2)]
    status, out, err = command("merge", *shards, "--json")
    assert (status, err) == (0, "")
    merged = json.loads(out)
    assert merged["derived"]["how"] == "merged"
    run = tmp_path / f"tiny-merged-{merged['id']}"
    (tmp_path / "places.txt").write_text("0 1\n2\n")
    words = ("unlearn", run, "--classes", "3,7", "--samples", tmp_path / "places.txt", "--certify")
    status, out, err = command(*words, "--out", tmp_path / "new")
    assert (status, err) == (0, "")
    (made,) = (tmp_path / "new").iterdir()
    removed, certificate, last = out.splitlines()[-3:]
    assert (removed, last) == ("removed: 43 deliveries", f"run: {made}")
    assert certificate.startswith("certificate: equal to a run without them; largest difference of weights ")
    for words, told in (
        (("unlearn", run), "allowed: --classes, --samples, or both"),
        (("unlearn", run, "--classes", "3,x"), "--classes: there is no class 'x'; allowed: labels, and names such"),
        (("unlearn", run, "--samples", tmp_path / "no.txt"), "cannot be read: No such file"),
        (("merge", run), "allowed: two or more to merge"),
    ):
        status, out, err = command(*words)
        assert (status, out, len(err.splitlines())) == (2, "", 1)
        assert told in err
