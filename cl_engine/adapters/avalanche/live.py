"""A living strategy of Avalanche: built for one experience, taught, and then only what it keeps goes on."""

from __future__ import annotations

import contextlib
import copy
import io
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from avalanche.benchmarks import DatasetExperience
from avalanche.core import SupervisedPlugin
from avalanche.training.losses import MaskedCrossEntropy
from avalanche.training.plugins import EvaluationPlugin
from torch import Tensor, nn

from cl_engine.adapters.avalanche.arguments import strategy_class
from cl_engine.adapters.avalanche.rows import dataset
from cl_engine.data.samples import Samples
from cl_engine.errors import EngineError
from cl_engine.kinds.problems import one_line
from cl_engine.terms.task import Task
from cl_engine.terms.training import Training
from cl_engine.training.loop import rate

# What Avalanche calls parts of a model that it has wrapped, and what they are called before; the longest first.
RENAMED = {
    "FeatureReplay": (("feature_extractor.", ""), ("train_classifier.", "classifier.")),
    "CoPE": (("classifier.0.", "classifier."),),
}


class TrainingError(EngineError, RuntimeError):
    """A strategy of Avalanche failed while it trained, or would wait for ever."""


class Live:
    """A strategy of Avalanche with a model of its own.

    Attributes:
        name: which one.
        strategy: the object of Avalanche.
        plugin: the one that does what the strategy is named for, where one does.
    """

    def __init__(
        self, name: str, arguments: Mapping[str, Any], model: nn.Module, classes: int, x: Tensor, task: Task
    ) -> None:
        """Build it.

        Args:
            name: which one.
            arguments: its own arguments.
            model: copied, so that nothing it becomes is kept by accident.
            classes: outputs of the model.
            x: one sample as the model sees it, ``[1, ...]``.
            task: the experience.
        """
        self.name, self.task = name, task
        model, options = copy.deepcopy(model), task.training
        mine = _filled(name, arguments, model, classes, x)
        if name == "StreamingLDA":
            mine["slda_model"] = model
        else:
            mine |= {"model": model, "optimizer": optimizer(model, options)}
        if name not in ("SCR", "FeatureReplay"):
            mine["criterion"] = nn.CrossEntropyLoss(label_smoothing=options.label_smoothing)
        if name == "FeatureReplay":
            mine["criterion"] = MaskedCrossEntropy()  # its default is one object for all that there are
        with _quiet():
            self.strategy = strategy_class(name)(
                train_mb_size=options.batch_size,
                train_epochs=1 if task.dry else options.epochs,
                eval_mb_size=1024,
                device=task.device,
                evaluator=EvaluationPlugin(loggers=[]),
                **mine,
            )
        self.plugin = self.strategy.plugins[0]
        self.due = 0.0  # passes over micro-batches that a fraction of updates_per_sample has left
        self._steps = _Steps(task, cut=task.dry and name != "GSS_greedy")
        self.strategy.plugins.insert(0, self._steps)

    def train(self, samples: Samples, seen: Any) -> None:
        """Train on samples as on an experience of its own; ``seen`` makes of raw ones what the model takes."""
        strategy = self.strategy
        if self.task.online:
            self.due += len(samples) * self.task.training.updates_per_sample
            passes = max(1, int(self.due))
            self.due = max(0.0, self.due - passes)
            strategy.train_mb_size, strategy.train_epochs = len(samples), 1 if self.task.dry else passes
        experience = DatasetExperience(
            dataset=dataset(samples.labelled(samples.y), seen), current_experience=strategy.clock.train_exp_counter
        )
        experience.classes_in_this_experience = {*samples.y.tolist()}
        try:
            with _quiet():
                strategy.train(experience, eval_streams=[])
        except EngineError:
            raise
        except Exception as error:  # whatever Avalanche's own code ends with
            what = f"{type(error).__name__}: {one_line(error)[:200]}"
            raise TrainingError(
                f"Avalanche's {self.name} failed in experience {self.task.index + 1}: {what}"
            ) from error

    @property
    def last_classes(self) -> list[int]:
        """The classes of the last batch that was trained on."""
        return self._steps.last

    def parameters(self) -> dict[str, nn.Parameter]:
        """Return the model's parameters by the names that they have in a model that nobody wrapped."""
        return {self._name(name): parameter for name, parameter in self.strategy.model.named_parameters()}

    def state(self) -> dict[str, Tensor]:
        """Return the model's ``state_dict`` by such names."""
        return {self._name(name): tensor for name, tensor in self.strategy.model.state_dict().items()}

    def _name(self, name: str) -> str:
        for theirs, ours in RENAMED.get(self.name, ()):
            if name.startswith(theirs):
                return ours + name[len(theirs) :]
        return name


def optimizer(model: nn.Module, options: Training) -> torch.optim.Optimizer:
    """Return the optimizer that the training section asks for."""
    parameters, decay = model.parameters(), options.weight_decay
    if options.optimizer == "sgd":
        return torch.optim.SGD(
            parameters, options.lr, options.momentum, weight_decay=decay, nesterov=options.nesterov
        )
    kind = torch.optim.Adam if options.optimizer == "adam" else torch.optim.AdamW
    return kind(parameters, options.lr, weight_decay=decay)


class _Steps(SupervisedPlugin):  # type: ignore[misc]
    """What the training section says of steps: their rate, the largest gradient; in a plan, one of them."""

    def __init__(self, task: Task, cut: bool) -> None:
        super().__init__()
        self.task, self.cut, self.last = task, cut, list[int]()

    def before_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        loaders = strategy.pos_neg_loaders if getattr(strategy, "pos_neg_loaders", None) else []
        groups = strategy.storage_policy.buffer_groups if loaders and strategy.replay_loader is not None else {}
        for label, group in groups.items():
            if len(group.buffer) < strategy.train_mb_size:
                raise TrainingError(
                    f"ER_AML would wait for ever for {strategy.train_mb_size} exemplars of class {label}, of which "
                    f"there are {len(group.buffer)}; allowed: a larger mem_size, or smaller batches"
                )

    def before_training_epoch(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        if self.cut:
            strategy.dataloader = [next(iter(strategy.dataloader))]

    def before_training_iteration(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        if self.task.online or strategy.optimizer is None:
            return
        options, per_epoch = self.task.training, len(strategy.dataloader)
        factor = rate(options, strategy.clock.train_exp_iterations, per_epoch)
        for group in strategy.optimizer.param_groups:
            group["lr"] = options.lr * factor

    def after_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self.last = strategy.mb_y.unique().tolist()

    def before_update(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        if self.task.training.clip is not None:
            nn.utils.clip_grad_norm_(strategy.model.parameters(), self.task.training.clip)


def _filled(name: str, arguments: Mapping[str, Any], model: Any, classes: int, x: Tensor) -> dict[str, Any]:
    """Return the arguments with those that follow from the scenario."""
    own: dict[str, dict[str, Any]] = {
        "CoPE": {"n_classes": classes, "p_size": classes},
        "CWRStar": {"cwr_layer_name": "classifier"},
        "ER_AML": {"feature_extractor": getattr(model, "backbone", None)},
        "GSS_greedy": {"input_size": list(x.shape[1:])},
        "StreamingLDA": {"input_size": getattr(model, "features", 0), "num_classes": classes},
    }
    return {**arguments, **own.get(name, {})}


@contextlib.contextmanager
def _quiet() -> Any:
    """Keep what Avalanche prints and warns of, mostly of its own deprecated names, off the screen."""
    # Recorded, as its deprecated functions show themselves whatever filters say.
    with warnings.catch_warnings(record=True), contextlib.redirect_stdout(io.StringIO()):
        yield
