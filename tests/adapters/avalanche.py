"""Small scenarios for strategies of Avalanche, and the same strategy living through a stream in Avalanche itself."""

import copy
import importlib
import warnings

import torch
from torch import nn

from cl_engine.config.scenario import Scenario
from cl_engine.randomness import isolated

ARGUMENTS = {
    "EWC": {"ewc_lambda": 0.4},
    "AGEM": {"patterns_per_exp": 20, "sample_size": 16},
    "GEM": {"patterns_per_exp": 20},
    "GSS_greedy": {"mem_size": 100},
    "SynapticIntelligence": {"si_lambda": 1.0},
    "LwF": {"alpha": 1.0, "temperature": 2.0},
    "LFL": {"lambda_e": 1.0},
    "Replay": {"mem_size": 40},
    "GDumb": {"mem_size": 40},
    "DER": {"mem_size": 40},
    "ER_ACE": {"mem_size": 40},
    "ER_AML": {"mem_size": 160},
    "MIR": {"mem_size": 40, "subsample": 20, "batch_size_mem": 5},
    "MER": {"mem_size": 40, "n_inner_steps": 1},
    "SCR": {"mem_size": 40, "batch_size_mem": 16},
    "FeatureReplay": {"mem_size": 40},
    "CoPE": {"mem_size": 40},
}
STREAMS = {
    "class-incremental": {"kind": "class-incremental", "step": 4, "remainder": "last", "class_order": "natural"},
    "repeating": {"kind": "gcil", "experiences": 3},
    "online": {"kind": "si-blurry", "experiences": 2, "delivery": "online", "micro_batch": 10},
}
TRAINING = {"epochs": 2, "batch_size": 16, "lr": 0.05, "schedule": "constant", "updates_per_sample": 0.1}


def scenario(name, stream="class-incremental", **changes):
    samples = 12 if stream == "online" else 30
    return {
        "data": {"kind": "gaussian", "classes": 10, "features": 8, "samples_per_class": samples},
        "stream": STREAMS[stream],
        "strategy": {
            "kind": "avalanche",
            "name": name,
            "backbone": {"kind": "mlp", "width": 16, "depth": 1},
            **ARGUMENTS.get(name, {}),
        },
        "training": TRAINING,
        **changes,
    }


def lived_through(name, made, model):
    """Return the object of Avalanche that trained ``model`` on a whole stream; nothing is rebuilt on the way."""
    from avalanche.training.losses import MaskedCrossEntropy
    from avalanche.training.plugins import EvaluationPlugin

    from cl_engine.adapters.avalanche import to_benchmark
    from cl_engine.adapters.avalanche.known import SUPPORTED

    made = Scenario.load(made)
    training, own = made.training, dict(ARGUMENTS.get(name, {}))
    own |= {
        "CoPE": {"n_classes": 10, "p_size": 10},
        "CWRStar": {"cwr_layer_name": "classifier"},
        "GSS_greedy": {"input_size": [8]},
        "ER_AML": {"feature_extractor": getattr(model, "backbone", None)},
        "FeatureReplay": {"criterion": MaskedCrossEntropy()},
        "StreamingLDA": {"slda_model": model, "input_size": 16, "num_classes": 10},
    }.get(name, {})
    if name not in ("SCR", "FeatureReplay"):
        own["criterion"] = nn.CrossEntropyLoss()
    if name != "StreamingLDA":
        own |= {"model": model, "optimizer": torch.optim.SGD(model.parameters(), training.lr, training.momentum)}
    home = importlib.import_module(f"avalanche.training.supervised.{SUPPORTED[name].home}")
    with warnings.catch_warnings(record=True):
        strategy = getattr(home, name)(
            train_mb_size=training.batch_size,
            train_epochs=training.epochs,
            eval_mb_size=64,
            evaluator=EvaluationPlugin(loggers=[]),
            **own,
        )
        for index, experience in enumerate(to_benchmark(made).train_stream):
            with isolated(made.seed, f"learn/{index}"):
                strategy.train(experience, eval_streams=[])
    return strategy


def begun(made):
    """Return a copy of the model that a scenario's strategy begins with."""
    made = Scenario.load(made)
    return copy.deepcopy(made.rebuilder(made.terms()).begun(1).model)
