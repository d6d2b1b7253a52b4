"""A strategy of ours in a script of Avalanche learns, predicts and holds what it does in the engine."""

import pytest

pytestmark = pytest.mark.avalanche
pytest.importorskip("avalanche", reason="needs the avalanche extra")

from avalanche.evaluation.metrics import accuracy_metrics  # noqa: E402
from avalanche.training.plugins import EvaluationPlugin  # noqa: E402

import cl_engine  # noqa: E402
from cl_engine import MemoryContractError  # noqa: E402
from cl_engine.adapters.avalanche import EngineStrategy, to_benchmark  # noqa: E402
from cl_engine.data.samples import DataError  # noqa: E402

DATA = {"kind": "gaussian", "classes": 10, "features": 8, "samples_per_class": 30}
TRAINING = {"epochs": 3, "batch_size": 16}
KINDS = [
    {"kind": "memo", "backbone": {"kind": "mlp", "width": 16}, "total": 40},
    {"kind": "g-acil", "width": 64},
    {"kind": "icarl", "backbone": {"kind": "mlp", "width": 16}, "total": 40},
]


def scenario(strategy, stream):
    return {"data": DATA, "stream": stream, "strategy": strategy, "training": TRAINING}


def script(strategy, made, **options):
    """Train and evaluate as a user of Avalanche does; return the strategy and its accuracy on all of the test stream."""
    benchmark = to_benchmark(made)
    evaluator = EvaluationPlugin(accuracy_metrics(stream=True), loggers=[])
    wrapped = EngineStrategy(strategy, training=TRAINING, evaluator=evaluator, **options)
    for experience in benchmark.train_stream:
        wrapped.train(experience)
    found = wrapped.eval(benchmark.test_stream)
    return wrapped, next(value for name, value in found.items() if name.startswith("Top1_Acc_Stream/eval"))


@pytest.mark.parametrize(
    "stream", [{"step": 5, "class_order": "natural"}, {"kind": "si-blurry", "experiences": 3}], ids=str
)
@pytest.mark.parametrize("strategy", KINDS, ids=lambda strategy: strategy["kind"])
def test_a_script_of_avalanche_finds_the_accuracy_and_the_bytes_of_the_engine(strategy, stream):
    made = scenario(strategy, stream)
    record = cl_engine.run(made)
    wrapped, accuracy = script(strategy, made)
    assert accuracy == pytest.approx(record.metrics["last_accuracy"], abs=1e-6)
    assert wrapped.held_bytes == record.memory["held_bytes"][-1]


def test_a_budget_that_is_exceeded_stops_the_script():
    made = scenario("finetune", {"step": 5})
    with pytest.raises(MemoryContractError, match="over the budget of 100"):
        script("finetune", made, memory={"budget": 100})


def test_before_anything_is_learned_nothing_can_be_predicted():
    wrapped = EngineStrategy("ncm")
    assert wrapped.held_bytes == 0
    with pytest.raises(DataError, match="nothing is learned yet"):
        wrapped.eval(to_benchmark(scenario("ncm", {"step": 5})).test_stream)
