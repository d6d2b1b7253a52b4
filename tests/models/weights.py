"""Networks as released code has them, and files of their weights: what loading is checked against."""

import torch
from torch import nn
from torch.nn import functional as F

INPUTS = {"mean": [0.4, 0.5, 0.6], "deviation": [0.2, 0.25, 0.3]}


class ReleasedBlock(nn.Module):
    """The block of akamaster/pytorch_resnet_cifar10, option A."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.inputs, self.outputs = inputs, outputs
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 1 if inputs == outputs else 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x):
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.inputs != self.outputs:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.outputs // 4, self.outputs // 4), "constant", 0)
        return F.relu(out + x)


class ReleasedResNet14(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        widths = (16, 16, 32, 64)
        for n in (1, 2, 3):
            blocks = ReleasedBlock(widths[n - 1], widths[n]), ReleasedBlock(widths[n], widths[n])
            setattr(self, f"layer{n}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, 10)

    def features(self, x):
        out = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return F.avg_pool2d(out, out.shape[3]).flatten(1)


def randomised(network, seed=0):
    """Give every tensor values of its own, in evaluation mode, so that none can stand in for another."""
    generator = torch.Generator().manual_seed(seed)
    norms = {id(t) for m in network.modules() if isinstance(m, nn.BatchNorm2d) for t in (m.weight, m.running_var)}
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.ndim > 1 and tensor.is_floating_point():
            nn.init.kaiming_normal_(tensor, generator=generator)
        elif tensor.is_floating_point():
            least, most = (0.5, 1.5) if id(tensor) in norms else (-0.2, 0.2)
            nn.init.uniform_(tensor, least, most, generator=generator)
    return network.eval()
