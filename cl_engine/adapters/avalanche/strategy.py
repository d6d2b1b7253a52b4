"""Strategies of Avalanche inside the engine: what they keep is charged, and nothing else goes on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from cl_engine.adapters.avalanche.arguments import check_name, checked
from cl_engine.adapters.avalanche.known import SUPPORTED
from cl_engine.data.samples import Samples, sample_dtype
from cl_engine.kinds.problems import OptionError, Problem, Problems
from cl_engine.kinds.signature import Further
from cl_engine.models.backbone import BackboneOption, build_backbone
from cl_engine.models.inputs import Inputs
from cl_engine.strategies.strategy import BudgetDecides, Strategy
from cl_engine.terms.task import Task
from cl_engine.terms.training import Training

if TYPE_CHECKING:
    from cl_engine.adapters.avalanche.keeping.part import Memory
    from cl_engine.adapters.avalanche.live import Live

DEFAULT_MEM_SIZE, OUTPUTS = 200, 10  # as in Avalanche
UNUSED = ("augmentation", "precision", "channels_last", "compile", "accumulate")  # options that Avalanche has not


class Avalanche(Strategy):
    """A strategy of avalanche-lib 0.6 by its name, with the arguments that it has there.

    For each experience an object of Avalanche is built, given what was kept, and taught; what it keeps is then
    taken off it as tensors, exemplars as raw samples and not as views of whole data sets, and the object is gone.
    So the ledger charges what a later experience reads: model, optimizer state, buffers, old networks, importances,
    means.  What an experience overwrites before it reads it is not kept.

    The model is a backbone with a linear classifier of ``classes`` outputs from the start, as Avalanche's own
    models have; only those of classes seen are asked for.  The training section is obeyed as far as Avalanche has
    an equal: epochs, batch size, optimizer, rate and schedule, label smoothing, clipping.  In an online stream
    every micro-batch is an experience of its own, as in ``split_online_stream``, passed over ``updates_per_sample``
    times its length, and at least once.

    ``mem_size`` is the number of exemplars; not given, it is what the memory budget leaves, and 200 without one.
    Where a budget leaves less, the buffer is cut to that at the end of an experience.

    Raises:
        Problems: an argument that the strategy does not have, a strategy that cannot run here, or no Avalanche.
    """

    budget_decides: ClassVar[BudgetDecides] = "everything"

    def __init__(
        self,
        *,
        name: Annotated[str, Field(description="the strategy, as Avalanche calls its class")] = "Naive",
        backbone: BackboneOption = "mlp",
        classes: Annotated[
            int, Field(ge=1, le=10**6, description="outputs of the classifier, at least the classes of the stream")
        ] = OUTPUTS,
        **arguments: Annotated[Any, Further()],
    ) -> None:
        super().__init__()
        self.name, self.backbone, self.classes, self.arguments = name, backbone, classes, arguments
        self._live: Live | None = None

    @staticmethod
    def complete_options(options: dict[str, Any], folder: Path | None) -> dict[str, Any]:
        """Return the options with Avalanche's own defaults filled in.

        Raises:
            Problems: it has no such strategy or argument, or cannot be imported.
        """
        check_name(options["name"])
        own = {key: options[key] for key in ("name", "backbone", "classes")}
        given = {key: value for key, value in options.items() if key not in own}
        return {**own, **checked(options["name"], given)}

    @staticmethod
    def check_classes(options: Mapping[str, Any], exposed: int) -> None:
        """Refuse a stream that exposes more classes than there are outputs.

        Raises:
            OptionError: it does.
        """
        outputs = options.get("classes", OUTPUTS)
        if exposed > outputs:
            what = f"{outputs} outputs are too few, the stream exposes {exposed} classes"
            raise OptionError("classes", f"{what}; allowed: {exposed} or more")

    def begin(self, task: Task) -> None:
        """Build the model for all classes that may come, and room for what is kept."""
        self.check_classes(self.options, task.seen_classes)
        self._seen = task.seen_classes
        if task.index == 0:
            self._build(task)

    def _build(self, task: Task) -> None:
        try:
            check_name(self.name)
            self.arguments = checked(self.name, self.arguments)
        except Problems as error:
            first: Problem = error.problems[0]
            raise OptionError(str(first.where[0]), first.what) from None
        _check_training(task.training)
        from cl_engine.adapters.avalanche.keeping import parts_of
        from cl_engine.adapters.avalanche.keeping.weights import First, Optimizer
        from cl_engine.adapters.avalanche.networks import network

        known = SUPPORTED[self.name]
        backbone = build_backbone(self.backbone, task.shape, task.generator("backbone"))
        self.inputs: Inputs = backbone.inputs(task.normalisation).to(task.device)
        made = network(known.network, backbone, self.classes, task.generator("head"))
        self.model: Any = made.to(task.device)
        raw = torch.empty(0, *task.shape, dtype=sample_dtype(task.shape), device=task.device)
        parts = parts_of(self.name, self.model, self.classes, backbone.features, raw, self.inputs)
        self.kept: Any = nn.ModuleDict(dict(parts))
        if known.optimizer:
            self.kept["optimizer"] = Optimizer(self.model, task.training.optimizer)
        self.hold("clock", torch.zeros(2, dtype=torch.int64))
        paths = {"GDumb": "plugin.init_model", "FromScratchTraining": "plugin.initial_weights"}
        self._first = First(self.model, paths[self.name]) if self.name in paths else None

    def learn(self, task: Task, samples: Samples) -> None:
        """Let Avalanche train on the samples as on an experience of its own."""
        if self._live is None:
            self._live = self._alive(task)
            task.charge("gradients", sum(p.numel() * p.element_size() for p in self.model.parameters()))
        self._live.train(samples, self.inputs)
        if task.evaluate_every is not None:
            self._keep(task, self._live)

    def end(self, task: Task) -> None:
        """Keep what the strategy has by now."""
        if self._live is not None:
            self._keep(task, self._live)

    def _alive(self, task: Task) -> Live:
        """Return an object of Avalanche that has what is kept."""
        from cl_engine.adapters.avalanche.live import Live

        arguments = {key: value for key, value in self.arguments.items() if key != "mem_size"}
        if "mem_size" in self.arguments:
            arguments["mem_size"] = self._mem_size(task)
        x = self.inputs(torch.zeros(1, *task.shape, dtype=sample_dtype(task.shape), device=task.device))
        live = Live(self.name, arguments, self.model, self.classes, x, task)
        experiences, iterations = self.clock.tolist()
        if experiences:
            clock = live.strategy.clock
            clock.train_exp_counter, clock.train_iterations = experiences, iterations
            live.strategy.optimized_param_id = dict(live.strategy.model.named_parameters())
            for part in self.kept.values():
                part.give(live)
            if self._first is not None:
                self._first.give(live)
        return live

    @torch.no_grad()
    def _keep(self, task: Task, live: Live) -> None:
        clock = live.strategy.clock
        self.clock = torch.tensor([clock.train_exp_counter, clock.train_iterations])
        state = live.state()
        self.model.load_state_dict({name: state[name] for name in self.model.state_dict()})
        for part in self.kept.values():
            part.take(live)
        if (memory := self._memory) is not None and (surplus := self._surplus(task, memory)) > 0:
            memory.resize(live, memory.samples - surplus)
            memory.take(live)

    @property
    def _memory(self) -> Memory | None:
        from cl_engine.adapters.avalanche.keeping.part import Memory

        return next((part for part in self.kept.values() if isinstance(part, Memory)), None)

    def _mem_size(self, task: Task) -> int:
        """Return how many exemplars there may be, as far as that is known before training."""
        asked, memory = self.arguments["mem_size"], self._memory
        room = task.exemplar_room(self)
        if room is None or memory is None:
            return DEFAULT_MEM_SIZE if asked is None else int(asked)
        sample, beside = self._costs(task, memory)
        rest = room.bytes + memory.samples * beside
        left = rest // (sample + beside) if sample + beside else 10**9
        return max(1, left if asked is None else min(left, asked))

    def _surplus(self, task: Task, memory: Memory) -> int:
        """Return how many exemplars have to go, now that all else is known."""
        room = task.exemplar_room(self)
        if room is None:
            return 0
        sample, beside = self._costs(task, memory)
        over = memory.samples * sample - room.bytes
        return min(memory.samples, math.ceil(over / (sample + beside))) if over > 0 else 0

    def _costs(self, task: Task, memory: Memory) -> tuple[int, int]:
        """Return the bytes that count of an exemplar with its label, and of what is held beside it."""
        room = task.exemplar_room(self)
        assert room is not None
        x = memory.get_buffer("x")
        each = math.prod(x.shape[1:]) * x.element_size() * room.counts_samples
        sample = each + room.beside(offsets=False)
        return sample, room.beside(False, memory.column_kinds) - room.beside(False)

    def predict(self, x: Tensor) -> Tensor:
        """Return scores ``[B, classes seen]``, as the strategy predicts in Avalanche."""
        return self._scores(self.inputs(x))[:, : self._seen]

    def _scores(self, x: Tensor) -> Tensor:
        scores: Tensor
        if self.name == "SCR":
            scores = self.kept["means"].scores(self.model.feature_extractor(x), self.classes)
        elif self.name == "StreamingLDA":
            scores = self.kept["gaussians"].scores(self.model(x), self.arguments["shrinkage_param"])
        elif self.name == "CoPE":
            scores = self.kept["prototypes"].scores(self.model(x))
        else:
            scores = self.model(x)
        return scores

    def features(self, x: Tensor) -> Tensor:
        """Return backbone features ``[B, D]``."""
        model = self.model
        backbone = getattr(model, "backbone", getattr(model, "feature_extractor", model))
        features: Tensor = backbone(self.inputs(x))
        return features


def _check_training(options: Training) -> None:
    """Refuse what no strategy of Avalanche would do."""
    usual = Training()
    for option in UNUSED:
        given, default = getattr(options, option), getattr(usual, option)
        if given != default:
            what = f"trains as Avalanche does, which has no training.{option}"
            raise OptionError("kind", f"{what}; allowed: {default!r}")
