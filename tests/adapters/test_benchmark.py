"""A stream of ours as a benchmark of Avalanche: the same samples, and its own strategies train on it."""

import warnings

import pytest
import torch
from torch import nn

pytestmark = pytest.mark.avalanche
pytest.importorskip("avalanche", reason="needs the avalanche extra")

from avalanche import training  # noqa: E402
from avalanche.training.plugins import EvaluationPlugin  # noqa: E402

from cl_engine.adapters.avalanche import to_benchmark  # noqa: E402
from cl_engine.adapters.torch import Experiences  # noqa: E402
from cl_engine.config.scenario import Scenario  # noqa: E402

STREAMS = {
    "class-incremental": {"kind": "class-incremental", "step": 4, "remainder": "last"},
    "blurry": {"kind": "si-blurry", "experiences": 3},
    "repeating": {"kind": "gcil", "experiences": 3},
}
DATA = {"kind": "gaussian", "classes": 10, "features": 8, "samples_per_class": 30}


def scenario(stream):
    return Scenario.load({"data": DATA, "stream": STREAMS[stream], "strategy": "finetune"})


def trained(name, benchmark, **options):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 10))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        strategy = getattr(training, name)(
            model=model,
            optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
            criterion=nn.CrossEntropyLoss(),
            train_mb_size=16,
            train_epochs=8,
            eval_mb_size=64,
            evaluator=EvaluationPlugin(loggers=[]),
            **options,
        )
        for experience in benchmark.train_stream:
            strategy.train(experience)
    return model


@pytest.mark.parametrize("stream", STREAMS)
def test_a_benchmark_delivers_what_the_plan_says(stream):
    made = scenario(stream)
    benchmark = to_benchmark(made)
    for ours, theirs in zip(Experiences(made), benchmark.train_stream, strict=True):
        x, y, task = zip(*theirs.dataset, strict=True)
        assert torch.equal(torch.stack(x), ours.samples.x)
        assert list(y) == ours.targets
        assert {*task} == {0}
        assert theirs.classes_in_this_experience == {*ours.classes}
        assert len(theirs.classes_seen_so_far) == ours.seen_classes


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("Naive", {}),
        ("Replay", {"mem_size": 40}),
        ("EWC", {"ewc_lambda": 1.0}),
        ("LwF", {"alpha": 1.0, "temperature": 2.0}),
        ("DER", {"mem_size": 40}),
        ("ER_ACE", {"mem_size": 40}),
    ],
)
def test_strategies_of_avalanche_learn_on_it(stream, name, options):
    benchmark = to_benchmark(scenario(stream))
    model = trained(name, benchmark, **options)
    x, y, _ = zip(*(row for experience in benchmark.train_stream for row in experience.dataset), strict=True)
    assert (model(torch.stack(x)).argmax(1) == torch.tensor(y)).float().mean() > 0.15


def test_samples_of_a_task_incremental_stream_have_the_label_of_their_task():
    stream = {"kind": "task-incremental", "step": 5}
    benchmark = to_benchmark({"data": DATA, "stream": stream, "strategy": "finetune"})
    for part in (benchmark.train_stream, benchmark.test_stream):
        assert [{t for _, _, t in e.dataset} for e in part] == [{0}, {1}]


def test_images_are_seen_as_networks_here_see_them():
    made = {"data": "digits", "stream": {"step": 5}, "strategy": "finetune", "training": {"normalise": "range"}}
    x = to_benchmark(made).train_stream[0].dataset[0][0]
    assert torch.allclose(x, Experiences(made)[0][0][0].float() / 127.5 - 1, atol=1e-6)


def test_test_experiences_without_samples_are_left_out():
    made = scenario("repeating")
    groups = Experiences(made, "test")
    assert len(to_benchmark(made).test_stream) == sum(len(group) > 0 for group in groups)
