"""Scenario files: what is right is understood, what is wrong gets one line that says where."""

import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cl_engine.cli.app import _status
from cl_engine.config.document import SourceError, read
from cl_engine.config.keys import scenario_schema
from cl_engine.config.scenario import ConfigError, Scenario
from cl_engine.kinds.registry import load
from cl_engine.scenarios.shipped import FOLDER, shipped

GOOD = """\
name: example
data: digits
stream:
  kind: class-incremental
  step: 5
strategy:
  kind: replay
  total: 30
seed: 7
"""


def write(tmp_path, text):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    return path


def message(tmp_path, text, overrides=()):
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as raised:
        Scenario.load(path, overrides)
    return str(raised.value).replace(str(path), "a.yaml")


def test_defaults_are_filled_in_and_the_root_seed_reaches_the_stream(tmp_path):
    scenario = Scenario.load(write(tmp_path, GOOD))
    own = {
        "kind": "class-incremental",
        "first": None,
        "step": 5,
        "class_order": 1993,
        "remainder": "error",
        "seed": 7,
    }
    assert own.items() <= scenario.stream.items()
    assert scenario.stream["delivery"] == "offline"
    assert scenario.strategy["backbone"] == {"kind": "mlp", "width": 128, "depth": 2}
    assert Scenario.load(write(tmp_path, GOOD), ["stream.seed=3"]).stream["seed"] == 3


@pytest.mark.parametrize("kind", ["class-incremental", "task-incremental"])
def test_three_spellings_of_a_stream_are_one_scenario(kind):
    def made(**options):
        return Scenario.load({"data": "digits", "strategy": "ncm", "stream": {"kind": kind, **options}})

    spellings = [made(), made(step=2), made(first=2, step=2), made(experiences=5), made(step=2, experiences=5)]
    assert len({scenario.id for scenario in spellings}) == 1
    written = {"first": None, "step": 2, "experiences": None}
    assert written.items() <= spellings[3].stream.items()
    assert Scenario.load(spellings[3].to_dict()).id == spellings[3].id
    assert made(first=6, experiences=3).id == made(first=6, step=2).id != spellings[0].id


def test_the_resolved_scenario_loads_to_itself(tmp_path):
    scenario = Scenario.load(write(tmp_path, GOOD))
    again = Scenario.load(scenario.to_dict())
    assert again.to_dict() == scenario.to_dict()
    assert again.id == scenario.id


def test_the_id_tells_scenarios_apart(tmp_path):
    path = write(tmp_path, GOOD)
    ids = {Scenario.load(path, [o]).id for o in ("seed=7", "seed=8", "training.lr=0.1", "strategy.total=31")}
    assert len(ids) == 4


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("data: digits", "dta: digits", "a.yaml:2:1: dta: unknown option, did you mean 'data'?; allowed: name, data"),
        ("data: digits", "data: digit", "a.yaml:2:7: data.kind: there is no data source 'digit', did you mean 'digits'"),
        ("  step: 5", "  stepp: 5", "a.yaml:5:3: stream.stepp: unknown option, did you mean 'step'?"),
        ("  step: 5", "  step: 0", "a.yaml:5:9: stream.step: got 0; allowed: an integer >= 1"),
        ("  step: 5", "  step: '5'", "a.yaml:5:9: stream.step: got '5'; allowed: an integer >= 1"),
        ("  step: 5", "  step: 5.5", "a.yaml:5:9: stream.step: got 5.5"),
        ("  step: 5", "  step: true", "a.yaml:5:9: stream.step: got true"),
        ("  step: 5", "  step: 3", "a.yaml:5:9: stream.step: 10 classes - 3 in the first experience leave 7"),
        ("  step: 5", "  first: 11", "a.yaml:5:10: stream.first: 11 classes in the first experience, but the data has 10"),
        ("  step: 5", "  step: 5\n  step: 2", "a.yaml:6:3: stream.step: this key stands here twice"),
        ("  kind: replay", "  kind: reply", "a.yaml:7:9: strategy.kind: there is no strategy 'reply', did you mean 'replay'"),
        ("  kind: replay", "  kind: textwrap:dedent", "a.yaml:7:9: strategy.kind: 'textwrap:dedent' is no strategy; allowed: a subclass"),
        ("  kind: replay", "  kind: nowhere:X", "a.yaml:7:9: strategy.kind: cannot import 'nowhere'"),
        ("  kind: replay", "  kind: [1]", "a.yaml:7:9: strategy.kind: got [1]"),
        ("  kind: replay\n", "", "a.yaml:7:3: strategy: kind missing; allowed: finetune"),
        ("  total: 30", "  backbone: {kind: mlp, wdith: 3}", "a.yaml:8:25: strategy.backbone.wdith: unknown option, did"),
        ("  total: 30", "  backbone: vgg", "a.yaml:8:13: strategy.backbone.kind: there is no backbone 'vgg'"),
        ("data: digits", "data: {kind: gaussian}\nx: 1", "a.yaml:3:1: x: unknown option"),
        ("data: digits", "data: {kind: gaussian, classes: 4}", "a.yaml:5:9: stream.step: 5 classes in the first"),
        ("  total: 30", "  total: 30\n  backbone: convnet2\ntraining: {lr: 0}", "a.yaml:10:16: training.lr: got 0"),
        ("seed: 7", "seed: -7", "a.yaml:9:7: seed: got -7; allowed: an integer >= 0"),
        ("seed: 7", "memory: {budget: 10 B}", "a.yaml:9:18: memory.budget: 10 B is less than one exemplar, 68 bytes"),
        ("seed: 7", "memory: {budget: lots}", "a.yaml:9:18: memory.budget: got 'lots'; allowed: bytes such as"),
        ("seed: 7", "memory: {budget: 0 exemplars}", "a.yaml:9:18: memory.budget: got '0 exemplars'; allowed: "),
        ("seed: 7", "memory: {budget: '7000'}", "a.yaml:9:18: memory.budget: got '7000', a text without a unit; write 7000 "
         "without quotes for bytes, or '7000 exemplars'; allowed: bytes such as"),
        ("seed: 7", "memory: {budget: 9 exemplers}", "a.yaml:9:18: memory.budget: got '9 exemplers', did you mean 'exemplars'?"),
        ("seed: 7", "memory: {policy: ful}", "a.yaml:9:18: memory.policy: got 'ful', did you mean 'full'?; allowed: full, paper"),
        ("seed: 7", "memory: {policy: [head, paramters]}", "a.yaml:9:25: memory.policy.1: nothing is held as 'paramters', did "
         "you mean 'parameters'?; allowed: parameters, head, "),
        ("seed: 7", "memory: {budget: {aligned_to: memmo}}", "a.yaml:9:31: memory.budget.aligned_to: got 'memmo', did you mean"),
        ("  total: 30", "  selection: herdin", "a.yaml:8:14: strategy.selection: got 'herdin', did you mean 'herding'?"),
        ("data: digits", "data: {kind: npz, path: ''}", "a.yaml:2:25: data.path: got ''; allowed: a path"),
        ("data: digits", "data: {kind: folder, path: ''}", "a.yaml:2:28: data.path: got ''; allowed: a path"),
        ("seed: 7", "memory: 3", "a.yaml:9:9: memory: got 3; allowed: a mapping"),
        ("seed: 7", "training: {epochs: .inf}", "a.yaml:9:20: training.epochs: got inf"),
        ("seed: 7", "training: {lr: .nan}", "a.yaml:9:16: training.lr: got nan"),
        ("seed: 7", "device: tpu", "a.yaml:9:9: device: got 'tpu'; allowed: auto, cpu or cuda"),
        ("name: example", "name: ../x", "a.yaml:1:7: name: got '../x'"),
        ("data: digits\n", "", "a.yaml:1:1: option 'data' is missing"),
        ("data: digits", "data: {kind: npz}", "a.yaml:2:7: data: option 'path' is missing; allowed: a text"),
        ("data: digits", "data: {kind: npz, path: no.npz}", "a.yaml:2:25: data.path: there is no file"),
        ("  total: 30", "  selection: reservoir\n  per_class: 3", "a.yaml:9:14: strategy.per_class: a reservoir has no"),
        ("data: digits", "data: [", "a.yaml:4:7: no YAML"),
    ],
)  # fmt: skip
def test_one_line_says_where_what_and_what_is_allowed(tmp_path, old, new, expected):
    assert old in GOOD
    found = message(tmp_path, GOOD.replace(old, new, 1))
    assert found.startswith(expected)
    assert "\n" not in found


def test_convnet2_refuses_features(tmp_path):
    text = "data: gaussian\nstrategy: {kind: finetune, backbone: convnet2}"
    assert message(tmp_path, text).startswith(
        "a.yaml:2:38: strategy.backbone: convnet2 cannot take samples of shape [32]"
    )


def test_several_faults_are_all_reported(tmp_path):
    found = message(tmp_path, GOOD.replace("seed: 7", "sed: 7").replace("step: 5", "step: x")).splitlines()
    assert [
        re.sub(r":.*", "", line.removeprefix("a.yaml:9:1: ").removeprefix("a.yaml:5:9: ")) for line in found
    ] == [
        "sed",
        "stream.step",
    ]


@pytest.mark.parametrize("value", [0, True, [1], float("nan")])
@pytest.mark.parametrize("option", ["backbone", "codec"])
def test_a_part_inside_a_part_that_is_none_is_told_once(option, value):
    with pytest.raises(ConfigError, match=rf"^scenario: strategy.{option}: got [^\n]*; allowed: [^\n]*$"):
        Scenario.load({"data": "digits", "strategy": {"kind": "replay", option: value}})


def test_an_override_reaches_an_entry_of_a_list_and_says_which_there_are(tmp_path):
    swept = GOOD + "sweep:\n  strategy: [ncm, {kind: replay, total: 5}]\n"
    path = tmp_path / "swept.yaml"
    path.write_text(swept)
    document = read(path)
    for assignment in ("sweep.strategy.1.total=7", "sweep.strategy.0.backbone=mlp"):
        document.override(assignment)
    assert document.tree["sweep"]["strategy"] == [
        {"kind": "ncm", "backbone": "mlp"},
        {"kind": "replay", "total": 7},
    ]
    for missing in ("sweep.strategy.2=ncm", "sweep.strategy.-1=ncm", "sweep.strategy.x.total=1"):
        with pytest.raises(SourceError, match=r"has no entry '.+'; allowed: sweep.strategy.0 to sweep.strategy.1"):
            document.override(missing)


def test_overrides_go_through_the_same_checks(tmp_path):
    path = write(tmp_path, GOOD)
    assert Scenario.load(path, ["strategy=ncm", "stream.step=2"]).strategy["kind"] == "ncm"
    assert Scenario.load(path, ["data.kind=digits", "training.lr=1e-3"]).training.lr == 1e-3
    assert message(tmp_path, GOOD, ["stream.step=0"]).startswith("--set 'stream.step=0': stream.step: got 0")
    assert message(tmp_path, GOOD, ["stream.stp=1"]).startswith("--set 'stream.stp=1': stream.stp: unknown option")
    assert "is no assignment" in message(tmp_path, GOOD, ["seed"])


@pytest.mark.parametrize(
    "text", ["", "- a", "3", "\x00", "a: *x", "? {a: 1}\n: 2", "a: !!python/object:os.x 1", "--- 1\n--- 2"]
)
def test_what_is_no_scenario_at_all_is_one_line(tmp_path, text):
    assert "\n" not in message(tmp_path, text)


def test_files_that_cannot_be_read(tmp_path):
    for name, content in [("folder", None), ("binary.yaml", b"\xff\xfe\x00"), ("missing.yaml", ...)]:
        path = tmp_path / name
        if content is None:
            path.mkdir()
        elif content is not ...:
            path.write_bytes(content)
        with pytest.raises(ConfigError, match=re.escape(str(path))):
            Scenario.load(path)


def test_relative_paths_are_relative_to_the_file(tmp_path, monkeypatch):
    x, y = np.zeros((4, 3)), np.array([0, 0, 1, 1])
    (tmp_path / "sub").mkdir()
    np.savez(tmp_path / "sub" / "d.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    (tmp_path / "sub" / "s.yaml").write_text(
        "data: {kind: npz, path: d.npz}\nstrategy: ncm\nstream: {step: 1, kind: class-incremental}"
    )
    monkeypatch.chdir(tmp_path)
    assert Scenario.load("sub/s.yaml").data["path"] == str(tmp_path / "sub" / "d.npz")


def test_python_objects_take_the_place_of_kinds(tmp_path):
    from cl_engine.data.digits import Digits
    from cl_engine.strategies.rehearsal.replay import Replay

    by_name = Scenario.load({"data": "digits", "strategy": {"kind": "replay", "total": 9}})
    for strategy in ({"kind": Replay, "total": 9}, Replay(total=9)):
        scenario = Scenario.load({"data": "digits", "strategy": strategy})
        assert scenario.strategy == by_name.strategy
        assert scenario.id == by_name.id
    assert Scenario.load({"data": Digits().load(), "strategy": Replay}).data["kind"] == "object"


def test_every_option_of_a_part_that_is_missing_is_told(tmp_path):
    lines = message(tmp_path, GOOD, ["data={kind: idx, train_images: a.yaml}"]).splitlines()
    assert [line.partition("option ")[2].split()[0] for line in lines] == [
        "'train_labels'",
        "'test_images'",
        "'test_labels'",
    ]


@pytest.mark.parametrize(
    ("key", "home"),
    [("step", "stream.step"), ("drift", "stream.drift"), ("memory_size", "strategy.memory_size"), ("lr", "training.lr"),
     ("selection", "strategy.selection"), ("budget", "memory.budget"), ("every", "evaluate.every")],
)  # fmt: skip
def test_an_option_at_the_top_level_is_told_where_it_belongs(tmp_path, key, home):
    what = f"{key}: unknown option, did you mean '{home}'?; allowed: name, data, stream"
    assert message(tmp_path, GOOD, [f"{key}=1"]).startswith(f"--set '{key}=1': {what}")
    assert message(tmp_path, f"{GOOD}{key}: 1\n").startswith(f"a.yaml:10:1: {what}")


def test_only_what_the_chosen_kinds_take_is_suggested(tmp_path):
    assert "did you mean" not in message(tmp_path, GOOD, ["gamma=1"])
    assert "did you mean 'strategy.gamma'?" in message(tmp_path, GOOD, ["strategy=g-acil", "gamma=1"])
    assert "did you mean 'seed'?" in message(tmp_path, GOOD, ["sed=1"])
    assert "did you mean 'data.path'?" in message(tmp_path, GOOD, ["data={kind: npz, path: a.yaml}", "path=1"])
    both = message(tmp_path, GOOD, ["strategy=reply", "step=1"]).splitlines()
    assert (
        sorted("did you mean 'replay'" in line or "did you mean 'stream.step'" in line for line in both)
        == [True] * 2
    )
    with pytest.raises(ConfigError, match=r"^total=3: total: unknown option, did you mean 'strategy.total'"):
        Scenario.load({"data": "digits", "strategy": {"kind": load("strategies", "replay")}}, total=3)


def test_the_schema_accepts_what_the_checker_accepts(tmp_path):
    import jsonschema
    import yaml

    validator = jsonschema.Draft202012Validator(scenario_schema())
    jsonschema.Draft202012Validator.check_schema(scenario_schema())
    for name in shipped():
        validator.validate(yaml.safe_load((FOLDER / f"{name}.yaml").read_text()))
    validator.validate(yaml.safe_load(GOOD))
    for broken in (GOOD.replace("step: 5", "step: 0"), GOOD.replace("total", "ttal"), GOOD.replace("seed", "sed")):
        assert not validator.is_valid(yaml.safe_load(broken))


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"strategy": {"kind": "replay", "total": 0}}, ["strategy", "total"]),
        ({"strategy": {"kind": "replay", "totl": 9}}, ["strategy"]),
        ({"strategy": {"kind": "reply"}}, ["strategy", "kind"]),
        ({"strategy": {"total": 9}}, ["strategy"]),
        ({"strategy": "reply"}, ["strategy"]),
        ({"strategy": 3}, ["strategy"]),
        ({"strategy": {"kind": "replay", "backbone": {"kind": "mlp", "width": 0}}}, ["strategy", "backbone", "width"]),
        ({"strategy": {"kind": "replay", "backbone": {"width": 0}}}, ["strategy", "backbone", "width"]),
        ({"strategy": {"kind": "replay", "codec": {"kind": "jpeg", "quality": "x"}}}, ["strategy", "codec", "quality"]),
        ({"stream": {"step": 0}}, ["stream", "step"]),
        ({"stream": {"kind": "blurry", "imbalance": {"ratio": 2}}}, ["stream", "imbalance", "ratio"]),
        ({"data": {"kind": "npz"}}, ["data"]),
        ({"data": "npz"}, ["data"]),
        ({"training": {"lr": 0}}, ["training", "lr"]),
        ({"sed": 1}, []),
    ],
    ids=str,
)  # fmt: skip
def test_the_schema_has_one_error_for_one_fault_and_places_it(change, path):
    import jsonschema

    validator = jsonschema.Draft202012Validator(scenario_schema())
    (error,) = validator.iter_errors({"data": "digits", "strategy": "replay", **change})
    assert list(error.absolute_path) == path


@pytest.mark.parametrize(
    "change",
    [
        {"strategy": {"kind": "mine:Own", "anything": 1}},
        {"strategy": "mine:Own"},
        {"strategy": {"kind": "replay", "backbone": {"width": 9}}},
        {"strategy": {"kind": "replay", "backbone": "mine:Net"}},
        {"strategy": {"kind": "replay", "memory_size": 9}},
        {"stream": {"step": 5}},
        {"stream": {"kind": "blurry", "imbalance": None}},
        {"stream": "gcil"},
        {"data": {"kind": "npz", "path": "a.npz"}},
        {"memory": {"budget": {"aligned_to": "memo"}}},
    ],
    ids=str,
)
def test_the_schema_takes_every_form_that_a_part_may_be_written_in(change):
    import jsonschema

    jsonschema.Draft202012Validator(scenario_schema()).validate({"data": "digits", "strategy": "replay", **change})


NAMES = st.sampled_from(
    ["name", "data", "stream", "strategy", "memory", "training", "evaluate", "seed", "device", "sweep", "kind", "step",
     "first", "class_order", "remainder", "total", "per_class", "selection", "backbone", "width", "depth", "gamma",
     "budget", "policy", "exemplars", "audit", "epochs", "lr", "classes", "features", "samples_per_class", "path", "x"]
)  # fmt: skip
WORDS = st.sampled_from(
    ["digits", "gaussian", "npz", "class-incremental", "replay", "ncm", "g-acil", "finetune", "joint", "mlp", "identity",
     "convnet2", "herding", "reservoir", "natural", "drop", "last", "64 KiB", "20 exemplars", "full", "paper", "fill",
     "fixed", "process", "adam", "cosine", "cpu", "experience", "~", "a:b", "json:loads", "os.path:join", ".", ""]
)  # fmt: skip
SCALARS = st.one_of(
    WORDS, st.integers(-3, 30), st.integers(), st.booleans(), st.none(), st.floats(), st.text(max_size=8)
)
TREES = st.recursive(
    SCALARS,
    lambda t: st.lists(t, max_size=3) | st.dictionaries(NAMES | st.text(max_size=4), t, max_size=4),
    max_leaves=8,
)
SECTIONS = st.fixed_dictionaries(
    {"data": WORDS | TREES, "strategy": WORDS | TREES},
    optional={
        "stream": st.dictionaries(NAMES, SCALARS, max_size=3).map(lambda d: {"kind": "class-incremental", **d})
        | TREES,
        "memory": st.dictionaries(st.sampled_from(["budget", "policy", "exemplars", "audit"]), SCALARS) | TREES,
        "training": st.dictionaries(st.sampled_from(["epochs", "lr", "batch_size"]), SCALARS) | TREES,
        "seed": SCALARS,
        "device": SCALARS,
        "sweep": TREES,
    },
)


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(SECTIONS | TREES, st.randoms(use_true_random=False))
def test_no_config_whatever_ends_in_a_traceback(tmp_path_factory, tree, random):
    """At least 500 random files, valid and broken, through the command `check`."""
    import io
    import sys
    from contextlib import redirect_stderr, redirect_stdout

    import yaml

    text = yaml.safe_dump(tree, allow_unicode=True)
    if random.random() < 0.2:  # and some that are no YAML
        cut = random.randrange(len(text) + 1)
        text = text[:cut] + random.choice(["[", "{", "\t", "'", "&a", "*a", ":", "\x07"]) + text[cut:]
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_text(text, encoding="utf-8")
    out, err, argv = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["cl-engine", "check", str(path)]
    try:
        with redirect_stdout(out), redirect_stderr(err):
            status = _status()
    finally:
        sys.argv = argv
    assert status in (0, 2)
    lines = err.getvalue().splitlines()
    assert bool(lines) == (status == 2)
    assert all(line.startswith((str(path), "cl-engine: ")) for line in lines), lines
    assert "Traceback" not in err.getvalue()


@pytest.mark.parametrize("section", ["evaluate: {{compatibility: {{gallery: {}}}}}", "service: {{gallery: {}}}"])
def test_a_run_is_of_the_code_that_only_its_gallery_names_too(section, tmp_path):
    module = tmp_path / f"gallery_of_{section[:8].strip(': {')}.py"
    module.write_text("from cl_engine.data.digits import Digits\n\n\nclass Own(Digits):\n    pass\n")
    gallery = f"{{data: '{module.stem}:Own', classes: [8, 9]}}"
    scenario = Scenario.load(write(tmp_path, GOOD.replace("replay\n  total: 30", "ncm") + section.format(gallery)))
    assert scenario.sources == [module]
    assert scenario.identity["code"] is not None
