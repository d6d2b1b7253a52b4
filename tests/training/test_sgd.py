import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from cl_engine.training.sgd import SGD

OPTIONS = [
    {"momentum": 0.9, "weight_decay": 1e-3, "nesterov": True},
    {"momentum": 0.9, "weight_decay": 0.0, "nesterov": False},
    {"momentum": 0.0, "weight_decay": 1e-3, "nesterov": False},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_thirty_steps_end_where_those_of_torch_end(options, layout):
    torch.manual_seed(0)
    theirs = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5)).double()
    ours = copy.deepcopy(theirs)
    for module in (theirs, ours):
        module.to(memory_format=layout)
    groups = [
        {"params": [*theirs[0].parameters()]},
        {"params": [*theirs[3].parameters()], "lr": 0.01, "weight_decay": 0.1},
    ]
    peer = torch.optim.SGD(groups, lr=0.05, **options)
    mine = [{**g, "params": [*layer.parameters()]} for g, layer in zip(groups, (ours[0], ours[3]), strict=True)]
    optimizer = SGD(mine, lr=0.05, **options)
    for step in range(30):
        x = torch.randn(6, 3, 8, 8).double().contiguous(memory_format=layout)
        for module, each in ((theirs, peer), (ours, optimizer)):
            each.param_groups[0]["lr"] = 0.05 / (1 + step)
            for parameter in module.parameters():
                parameter.grad = None
            module(x).square().mean().backward()
            each.step()
    for a, b in zip(theirs.parameters(), ours.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


def test_a_parameter_that_had_no_gradient_yet_begins_as_torch_begins_it():
    values = [torch.tensor([1.0, 2.0]), torch.tensor([3.0])]
    theirs, ours = ([nn.Parameter(v.clone()) for v in values] for _ in range(2))
    peer = torch.optim.SGD(theirs, lr=0.1, momentum=0.9, weight_decay=0.01)
    optimizer = SGD([{"params": ours}], lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=False)
    for step in range(4):
        for parameters, each in ((theirs, peer), (ours, optimizer)):
            parameters[0].grad = torch.ones(2)
            parameters[1].grad = torch.ones(1) if step > 1 else None
            each.step()
    assert [p.tolist() for p in theirs] == [pytest.approx(p.tolist()) for p in ours]


def test_a_run_that_trains_with_sgd_imports_neither_the_compiler_nor_sympy():
    code = (
        "import sys, cl_engine; cl_engine.run({'data': {'kind': 'gaussian', 'classes': 2, 'features': 4},"
        "'strategy': 'replay', 'training': {'epochs': 1}}); sys.exit(bool({'torch._dynamo', 'sympy'} & {*sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
