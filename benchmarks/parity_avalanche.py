"""Methods that Avalanche and we both have: natively in Avalanche, its object rebuilt in the engine, and our own.

python benchmarks/parity_avalanche.py [--seeds 5]

Digits, five experiences of two classes, one MLP of 100 units, batches of 32, 5 epochs, a constant rate of 0.05, 200
exemplars.  Average and last accuracy over all test samples of classes seen, mean and standard deviation over seeds.
Natively and in the engine weights begin alike and experiences are seeded alike, so that these two columns are equal
to the last digit wherever a method runs in both.
"""

import argparse
import statistics
import warnings

import torch
from torch import nn

import cl_engine
from cl_engine.adapters.avalanche import to_benchmark
from cl_engine.config.scenario import Scenario
from cl_engine.randomness import isolated

NETWORK = {"kind": "mlp", "width": 100, "depth": 1}
TRAINING = {"epochs": 5, "batch_size": 32, "lr": 0.05, "schedule": "constant", "normalise": "range"}
METHODS = {  # name and arguments in Avalanche, options here
    "naive": ("Naive", {}, {"kind": "finetune"}),
    "replay": ("Replay", {"mem_size": 200}, {"kind": "replay", "total": 200}),
    "ewc": ("EWC", {"ewc_lambda": 100.0}, {"kind": "ewc"}),
    "lwf": ("LwF", {"alpha": 1.0, "temperature": 2.0}, {"kind": "lwf"}),
    "der++": ("DER", {"mem_size": 200, "alpha": 0.5}, {"kind": "dark-er", "total": 200, "alpha": 0.5, "beta": 0.5}),
    "er-ace": ("ER_ACE", {"mem_size": 200, "batch_size_mem": 32}, {"kind": "er-ace", "total": 200}),
    "icarl": ("ICaRL", {"memory_size": 200, "fixed_memory": True}, {"kind": "icarl", "total": 200}),
}


def scenario(strategy, seed):
    stream = {"kind": "class-incremental", "step": 2, "class_order": seed}
    strategy = {"backbone": NETWORK, **strategy}
    return Scenario.load(
        {
            "data": "digits",
            "stream": stream,
            "strategy": strategy,
            "training": TRAINING,
            "seed": seed,
            "device": "cpu",
        }
    )


def natively(name, arguments, seed):
    """Return the accuracy after each experience of Avalanche's own object, which lives through the stream."""
    import avalanche.training as strategies
    from avalanche.training.plugins import EvaluationPlugin

    made = scenario({"kind": "avalanche", "name": "Naive"}, seed)
    benchmark = to_benchmark(made)
    network = made.rebuilder(made.terms()).begun(1).model
    common = {
        "train_mb_size": 32,
        "train_epochs": 5,
        "eval_mb_size": 512,
        "evaluator": EvaluationPlugin(loggers=[]),
    }
    sgd = torch.optim.SGD(network.parameters(), 0.05, 0.9)
    if name == "ICaRL":
        parts = {"feature_extractor": network.backbone, "classifier": network.classifier, "buffer_transform": None}
        learner = strategies.ICaRL(optimizer=sgd, **parts, **arguments, **common)
    else:
        criterion = nn.CrossEntropyLoss()
        learner = getattr(strategies, name)(
            model=network, optimizer=sgd, criterion=criterion, **arguments, **common
        )
    seen, classes = [], 0
    for index, experience in enumerate(benchmark.train_stream):
        with isolated(seed, f"learn/{index}"):
            learner.train(experience, eval_streams=[])
        classes += 2
        rows = [row for each in benchmark.test_stream[: index + 1] for row in each.dataset]
        x, y = torch.stack([row[0] for row in rows]), torch.tensor([row[1] for row in rows])
        learner.model.eval()
        with torch.no_grad():
            seen.append((learner.model(x)[:, :classes].argmax(1) == y).float().mean().item())
    return seen


def in_the_engine(strategy, seed):
    return cl_engine.run(scenario(strategy, seed)).accuracy["seen"]


def words(runs):
    """Return mean and deviation of average and last accuracy over runs."""
    found = []
    for numbers in ([statistics.mean(run) for run in runs], [run[-1] for run in runs]):
        spread = statistics.stdev(numbers) if len(numbers) > 1 else 0.0
        found.append(f"{100 * statistics.mean(numbers):5.1f} +- {100 * spread:3.1f}")
    return " ".join(found)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    seeds = range(parser.parse_args().seeds)
    torch.set_num_threads(1)
    print(f"{'':8} {'natively':27} {'its object in the engine':27} ours      (average, last accuracy, %)")
    for method, (name, arguments, ours) in METHODS.items():
        with warnings.catch_warnings(record=True):
            native = words([natively(name, arguments, seed) for seed in seeds])
            rebuilt = "-"
            if name != "ICaRL":
                strategy = {"kind": "avalanche", "name": name, **arguments}
                rebuilt = words([in_the_engine(strategy, seed) for seed in seeds])
            own = words([in_the_engine(ours, seed) for seed in seeds])
        print(f"{method:8} {native:27} {rebuilt:27} {own}", flush=True)


if __name__ == "__main__":
    main()
