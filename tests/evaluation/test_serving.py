"""A service over the models of a run: against the service on the same features, resumed, counted and refused."""

import re
from pathlib import Path

import pytest
import torch
import yaml

import cl_engine
from cl_engine.config.scenario import Scenario
from cl_engine.evaluation.observing import observe
from cl_engine.metrics.by_faiss import faiss_is_there
from cl_engine.models.network import Network
from cl_engine.reports.service import service_text
from cl_engine.running import audit
from cl_engine.service.arrivals import poisson_arrivals
from cl_engine.service.policy import Policy
from cl_engine.service.service import Service
from tests.stopping import StopAfter

STREAM = {"kind": "class-incremental", "first": 2, "step": 3, "remainder": "drop"}
SLOW = {"rate": 0.2, "batch": 16, "seconds": 500.0, "look": 50.0, "initial": 0.5, "inserts": 0.1}


def scenario(changes=None, **keys):
    return {
        "name": "served",
        "data": "digits",
        "stream": STREAM,
        "strategy": {"kind": "cl2r", "reserved": 16, "backbone": {"kind": "mlp", "width": 16}, "total": 20},
        "training": {"epochs": 1},
        "service": {**SLOW, **(changes or {})},
        **keys,
    }


@pytest.fixture
def embedded(monkeypatch):
    found, plain = [], audit.observe

    def watch(strategy, what, x, device):
        made = plain(strategy, what, x, device)
        if what == "features":
            found.append(made["features"])
        return made

    monkeypatch.setattr(audit, "observe", watch)
    return found


def test_a_run_is_the_service_on_the_features_of_its_models(embedded):
    run = cl_engine.run(scenario({"switch": 0.6, "store": "int8", "prefix": 12}))
    loaded = Scenario.load(scenario())
    y, yq = (part.load().y for part in (loaded.service.gallery, loaded.service.queries))
    policy = Policy("backfill", rate=0.2, batch=16, switch=0.6)
    arrivals = poisson_arrivals(len(y), round(len(y) / 2), 0.1, 0)
    service = Service(y, yq, arrivals, policy, every=50.0, code="int8", prefix=12)
    store, accuracy, sizes, embedded_anew = None, [], [], 0
    assert len(embedded) == 2 * 3
    for t in range(3):
        gallery, queries = embedded[2 * t : 2 * t + 2]
        store, seen = service.serve(store, gallery, queries, t, 500.0 * t, 500.0 * (t + 1))
        accuracy, sizes = accuracy + seen.accuracy, sizes + seen.vector_bytes
        embedded_anew += seen.work.re_embedded + seen.work.twice
    found = run.to_dict()["service"]
    assert (found["accuracy"], found["vector_bytes"]) == (accuracy, sizes)
    assert found["re_embedded"] + found["twice"] == embedded_anew > 100
    assert found["renewal_flops"] == embedded_anew * found["flops_per_image"][0]
    assert found["mean_accuracy"] == pytest.approx(sum(accuracy) / 30)
    assert found["image_bytes"] == 64 * len(y)
    assert found["times"] == [50.0 * n for n in range(30)]


def test_the_operations_of_resnet_32_are_two_for_each_of_its_published_multiplications():
    network = Network("resnet32", (3, 32, 32), torch.Generator(), torch.device("cpu"))
    found = observe(network, "flops", torch.zeros(3, 3, 32, 32, dtype=torch.uint8), torch.device("cpu"))
    assert found["flops"] == pytest.approx(2 * 68_861_952, rel=1e-3)  # which has the classifier


@pytest.mark.parametrize(
    "changes",
    [
        {"switch": "when-finished"},
        {"policy": "transform", "map": "ridge", "pairs": 20, "store": "float16"},
        {"policy": "lazy", "traffic": 0.1},
        {"map": "ridge", "pairs": 20, "order": "sigma"},
    ],
    ids=["backfill", "transform", "lazy", "sigma"],
)
def test_a_run_that_is_resumed_inside_a_migration_saw_the_same(tmp_path, changes):
    whole = cl_engine.run(scenario(changes)).to_dict()["service"]
    for experiences in (1, 2):
        out = tmp_path / str(experiences)
        with pytest.raises(KeyboardInterrupt):
            cl_engine.run(scenario(changes), out=out, reporter=StopAfter(experiences))
        assert cl_engine.run(scenario(changes), out=out, resume=True).to_dict()["service"] == whole


def test_in_processes_of_their_own_the_service_is_the_same():
    keys = {"stream": {**STREAM, "first": 4, "step": 4}}
    here = cl_engine.run(scenario({"order": "popularity"}, **keys)).to_dict()
    alone = cl_engine.run(scenario({"order": "popularity"}, memory={"audit": "process"}, **keys)).to_dict()
    assert alone["service"] == here["service"]
    assert here["service"]["re_embedded"] > 0


def test_operations_of_renewal_add_up_over_models_and_those_of_maps_are_in_them():
    found = cl_engine.run(scenario({"map": "ridge", "pairs": 20})).to_dict()["service"]
    images = found["re_embedded"] + found["twice"]
    assert found["renewal_flops"] == images * found["flops_per_image"][0] + found["mapped"] * 2 * 15 * 15
    assert found["mapped"] > 0
    so_far = found["renewal_flops_so_far"]
    assert so_far == sorted(so_far)
    assert len(so_far) == len(found["times"])
    first_model = [flops for flops, time in zip(so_far, found["times"], strict=True) if time <= 500.0]
    assert set(first_model) == {0}
    assert 0.9 * found["renewal_flops"] < so_far[-1] <= found["renewal_flops"]


def test_the_stream_of_images_does_not_depend_on_the_policy_and_nothing_else_on_the_service():
    plain = cl_engine.run({key: value for key, value in scenario().items() if key != "service"}).to_dict()
    policies = ("keep", "never", "backfill", "lazy")
    runs = [cl_engine.run(scenario({"policy": policy})).to_dict() for policy in policies]
    assert len({run["service"]["inserted"] for run in runs}) == 1
    assert all(run["metrics"] == plain["metrics"] and run["memory"] == plain["memory"] for run in runs)
    assert "service" not in plain["config"]
    assert [run["service"]["image_bytes"] > 0 for run in runs] == [False, False, True, True]
    assert runs[0]["service"]["switched"] == [None] * 3
    assert Scenario.load(runs[2]["config"]).id == runs[2]["id"]


def test_the_summary_says_what_the_service_cost():
    found = {
        "policy": "backfill",
        "mean_accuracy": 0.5,
        "mean_accuracy_if_renewed_at_once": 0.75,
        "re_embedded": 1000,
    }
    found |= {"twice": 100, "mapped": 0, "renewal_flops": 151.496e9, "busy": 55.0, "max_vector_bytes": 2048}
    assert service_text({**found, "image_bytes": 4096}).splitlines() == [
        "service (backfill): accuracy over time 50.0 %, 75.0 % if renewed at once",
        "1,100 images embedded anew and 0 vectors mapped (151 GFLOP, 55 s); vectors at most 2 KiB, images kept 4 KiB",
    ]
    coded = service_text({**found, "image_bytes": 0, "codebook_bytes": [512, 1024, 512]})
    assert coded.endswith("vectors at most 2 KiB (codebooks 1 KiB)")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"policy": "never", "switch": 0.5}, r"service\.switch: 0\.5 under never; allowed: immediately"),
        ({"policy": "transform"}, r"service\.map: None under transform; allowed: a map"),
        ({"switch": "later"}, r"service\.switch: "),
        (
            {"policy": "lazy", "switch": "when-finished"},
            r"service\.switch: when-finished under lazy; allowed: immed",
        ),
        ({"order": "sigma"}, r"service\.order: sigma under backfill without a map; allowed: backfill with a map"),
        (
            {"order": "best"},
            r"service\.order: got 'best'; allowed: random, oldest, newest, popularity, distance or sigma",
        ),
        ({"store": "zip"}, r"service\.store: got 'zip'; allowed: float32, float16, int8 or pq"),
        ({"store": "pq"}, r"service\.store: pq with \d+ images at first; allowed: 256 or more"),
        ({"store": "pq", "map": "ridge"}, r"service\.store: pq with a map; allowed: no map"),
        ({"gallery": {"classes": [8]}}, r"service\.gallery\.classes: fewer than two classes"),
        ({"initial": 0.0}, r"service\.initial: "),
    ],
)
def test_a_service_that_cannot_be_is_refused_before_anything_is_trained(changes, message):
    with pytest.raises(cl_engine.ConfigError, match=message):
        Scenario.load(scenario(changes, stream={**STREAM, "class_order": list(range(10))}))


def test_the_service_that_the_documentation_shows_runs():
    page = Path(__file__).parents[2] / "docs" / "compatibility.md"
    _, *blocks = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    (block,) = (yaml.safe_load(block) for block in blocks if "service:" in block)
    assert cl_engine.run(scenario(**block)).to_dict()["service"]["policy"] == "backfill"


def commands():
    page = Path(__file__).parents[2] / "docs" / "compatibility.md"
    return re.findall(
        r"^    cl-engine run scenario\.yaml((?: --set \S+)+)$", page.read_text(encoding="utf-8"), re.M
    )


@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_documentation_runs(command, tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "compatibility.md").read_text(encoding="utf-8")
    _, *blocks = re.findall(r"```yaml\n(.*?)```", page, re.S)
    (block,) = (yaml.safe_load(block) for block in blocks if "service:" in block)
    tree = {**scenario(), "service": {**block["service"], "seconds": 300.0, "look": 100.0}}
    (tmp_path / "scenario.yaml").write_text(yaml.safe_dump(tree))
    (lines,) = re.findall(r"^    printf '(.*)' > arrivals\.csv$", page, re.M)
    (tmp_path / "arrivals.csv").write_text(lines.replace("\\n", "\n"))
    assignments = re.findall(r"--set (\S+)", command)
    if "service.store=pq" in assignments and not faiss_is_there():
        with pytest.raises(cl_engine.ConfigError, match=r"service\.store: pq: .*pip install 'cl-engine\[faiss\]'"):
            Scenario.load(tmp_path / "scenario.yaml", assignments)
        return
    loaded = Scenario.load(tmp_path / "scenario.yaml", assignments)
    found = cl_engine.run(loaded).to_dict()
    for key, value in (assignment.removeprefix("service.").split("=") for assignment in assignments):
        assert (
            str(found["config"]["service"][key]).endswith(value) or float(value) == found["config"]["service"][key]
        )
    assert len(found["service"]["accuracy"]) == 9
