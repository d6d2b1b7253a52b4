"""A user's own codec, for the tests: value and length of each run of pixels."""

import torch

from cl_engine.memory.codecs.codec import Codec, Encoded


class RunLength(Codec):
    """Runs of equal pixels, two bytes each; images of at most 255 pixels."""

    def encode(self, x):
        files = []
        for image in x:
            values, lengths = image.flatten().unique_consecutive(return_counts=True)
            files.append(torch.stack([values, lengths.to(torch.uint8)], 1).flatten())
        return Encoded(torch.cat([x.new_empty(0), *files]), torch.tensor(list(map(len, files)), dtype=torch.int64))

    def decode(self, flat, offsets, shape):
        runs = flat.view(-1, 2)
        return runs[:, 0].repeat_interleave(runs[:, 1].long()).view(-1, *shape)
