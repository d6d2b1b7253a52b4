"""The strategies of avalanche-lib 0.6: what each keeps, and why the others cannot run here.  None is imported."""

from __future__ import annotations

from typing import NamedTuple


class Known(NamedTuple):
    """A strategy of Avalanche that runs here.

    Attributes:
        keeps: what it keeps between experiences beside model and optimizer, in words.
        home: the module that defines it, below ``avalanche.training.supervised``.
        filled: arguments of its own that follow from the scenario.
        network: the model that it takes.
        optimizer: whether the optimizer's state goes on from one experience to the next.
    """

    keeps: str
    home: str = "strategy_wrappers"
    filled: frozenset[str] = frozenset()
    network: str = "classifier"
    optimizer: bool = True


SUPPORTED = {
    "Naive": Known("nothing"),
    "Cumulative": Known("all samples so far", "cumulative"),
    "FromScratchTraining": Known("nothing; the first weights are drawn anew from the seed", optimizer=False),
    "Replay": Known("exemplars, as many of each experience"),
    "GDumb": Known("exemplars, as many of each class; the first weights are drawn anew", optimizer=False),
    "AGEM": Known("`patterns_per_exp` exemplars of every experience"),
    "GEM": Known("`patterns_per_exp` exemplars of every experience, as floats"),
    "GSS_greedy": Known("exemplars as floats, a score for each", filled=frozenset({"input_size"})),
    "EWC": Known("importances and weights (2V) of every experience; `mode: online`: of the last"),
    "SynapticIntelligence": Known("importances and summed path integrals (2V)"),
    "MAS": Known("importances and weights (2V)"),
    "LwF": Known("the network as it was, which classes it knew"),
    "LFL": Known("the network as it was"),
    "CWRStar": Known("a row of the classifier and a count for each class", filled=frozenset({"cwr_layer_name"})),
    "CoPE": Known(
        "exemplars, as many of each class; a prototype for each output",
        filled=frozenset({"n_classes", "p_size"}),
        network="embedding",
    ),
    "DER": Known("exemplars, as many of each class, and their logits", "der"),
    "ER_ACE": Known("exemplars, as many of each class", "er_ace"),
    "ER_AML": Known("exemplars, as many of each class", "er_aml", frozenset({"feature_extractor"})),
    "MIR": Known("exemplars, as many of each class; which classes the last batch had"),
    "MER": Known("exemplars of a reservoir", "mer"),
    "SCR": Known(
        "exemplars, as many of each class; a mean for each class",
        "supervised_contrastive_replay",
        frozenset({"augmentations"}),
        network="contrastive",
    ),
    "FeatureReplay": Known(
        "features, as many of each class; which classes were seen", "feature_replay", frozenset({"last_layer_name"})
    ),
    "StreamingLDA": Known(
        "a mean and a count for each output, a covariance",
        "deep_slda",
        frozenset({"slda_model", "input_size", "num_classes", "output_layer_name"}),
        network="features",
        optimizer=False,
    ),
}

UNSUPPORTED = {
    "ICaRL": "asks its benchmark for all classes to come, and has no answer where classes return; use `icarl`",
    "BiC": "passes torch an argument that it no longer takes, and assigns a data set that cannot be; use `bic`",
    "JointTraining": "trains on the whole stream at once, before anything is measured; use `joint`",
    "AR1": "builds a MobileNet of its own from weights that it downloads",
    "LearningToPrompt": "builds a vision transformer of its own from weights that it downloads",
    "ExpertGateStrategy": "builds an AlexNet for each experience from weights that it downloads",
    "PNNStrategy": "predicts with the number of the task, which no strategy here is told",
    "PackNet": "predicts with the number of the task, which no strategy here is told",
    "GenerativeReplay": "trains a second strategy, its generator, that cannot be rebuilt from what is held",
    "AETraining": "reconstructs samples and predicts no class",
    "VAETraining": "reconstructs samples and predicts no class",
    "LaMAML": "needs the package higher, which stopped at an older torch",
    "OnlineNaive": "is Naive by an older name; use `name: Naive` with stream.delivery: online",
    "ObjectDetectionTemplate": "predicts boxes, not classes",
}
