"""MEMO: sizes, freezing, heads."""

import pytest
import torch

from cl_engine.data.samples import Samples
from cl_engine.memory.ledger import held_bytes, ledger
from cl_engine.scenarios.exposure import Exposure
from cl_engine.strategies.expansion.memo import MEMO
from cl_engine.terms.task import Task
from cl_engine.terms.training import Training
from cl_engine.testing import KINDS, check_strategy


def tasks(steps, shape, **options):
    seen, made = 0, []
    for index, new in enumerate(steps):
        classes = tuple(range(seen, seen + new))
        seen += new
        made.append(
            Task(index, Exposure(classes, classes, seen), shape=shape, training=Training(epochs=1, **options))
        )
    return made


def test_a_resnet32_has_the_published_sizes_after_every_experience():
    strategy = MEMO(backbone="resnet32")
    expected = {0: (463_504, 650, 9_336), 1: (814_992, 2_580, 14_536), 4: (1_869_456, 16_050, 30_136)}
    for task in tasks([10] * 5, (3, 32, 32)):
        strategy.begin(task)
        if task.index in expected:
            parameters, head, buffers = expected[task.index]
            entries = [e for e in ledger(strategy) if e.name.startswith("network.")]
            kinds = {k: held_bytes([e for e in entries if e.kind == k]) for k in ("parameters", "head", "buffers")}
            assert kinds == {"parameters": 4 * parameters, "head": 4 * head, "buffers": buffers}


def learned(strategy, shape=(1, 8, 8), **options):
    first, second = tasks([2, 2], shape, **options)
    generator = torch.Generator().manual_seed(0)
    for task, low in ((first, 0), (second, 2)):
        strategy.begin(task)
        x = torch.randint(0, 256, (40, *shape), generator=generator).to(torch.uint8)
        yield task
        strategy.learn(task, Samples(x, low + torch.arange(40) % 2))
        strategy.end(task)
        yield task


def test_a_new_block_is_a_copy_and_the_old_one_never_moves_again():
    strategy = MEMO(backbone="convnet2", total=10)
    steps = learned(strategy)
    next(steps), next(steps), next(steps)
    old, new = strategy.network.blocks
    assert all(torch.equal(a, b) for a, b in zip(old.state_dict().values(), new.state_dict().values(), strict=True))
    before = {name: value.clone() for name, value in old.state_dict().items()}
    next(steps)
    assert all(torch.equal(before[name], value) for name, value in old.state_dict().items())
    assert not all(torch.equal(before[name], value) for name, value in new.state_dict().items())


@pytest.mark.parametrize(("train_base", "moves"), [("auto", True), (True, True), (False, False)])
def test_the_generalised_part_moves_as_it_is_told(train_base, moves):
    strategy = MEMO(backbone="convnet2", total=10, train_base=train_base)
    steps = learned(strategy)
    next(steps), next(steps), next(steps)
    before = {name: value.clone() for name, value in strategy.network.general.state_dict().items()}
    next(steps)
    same = all(torch.equal(before[name], value) for name, value in strategy.network.general.state_dict().items())
    assert same != moves


def test_new_rows_have_the_mean_norm_of_the_old_ones_afterwards():
    strategy = MEMO(total=10)
    list(learned(strategy))
    norms = strategy.network.head.weight.norm(dim=1)
    assert norms[:2].mean().item() == pytest.approx(norms[2:].mean().item(), rel=1e-5)


def test_the_auxiliary_head_is_charged_while_training_and_held_by_nobody():
    strategy = MEMO(total=10)
    *_, task = learned(strategy)
    assert task.transient["auxiliary head"] == 4 * (3 * 128 + 3)
    assert not any("auxiliary" in name for name in strategy.state_dict())


def test_the_generalised_part_is_evaluated_once_for_all_blocks():
    strategy, calls = MEMO(backbone="convnet2", total=10), []
    list(learned(strategy))
    strategy.network.general.register_forward_hook(lambda *_: calls.append(1))
    strategy.network(torch.zeros(3, 1, 8, 8, dtype=torch.uint8))
    assert len(strategy.network.blocks) == 2
    assert len(calls) == 1


def test_it_keeps_the_contract_on_every_stream():
    check_strategy(MEMO, on=KINDS, total=15)
