"""The file of what is held: any safetensors reader finds in it what was put there."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load

from cl_engine.memory.file import CODES, TensorFile
from cl_engine.memory.held import DTYPES

SHAPES = [(), (0,), (3,), (2, 0, 4), (2, 3), (1, 2, 1, 2)]


@given(st.lists(st.tuples(st.sampled_from(DTYPES), st.sampled_from(SHAPES)), max_size=8))
def test_safetensors_reads_every_tensor_that_was_written(wanted):
    draw = torch.Generator().manual_seed(len(wanted))
    tensors = {
        f"part-{i}.x": torch.randint(0, 2, shape, generator=draw).to(dtype)
        for i, (dtype, shape) in enumerate(wanted)
    }
    written = TensorFile(tensors)
    for found in (load(bytes(written.data)), written.views()):
        assert found.keys() == tensors.keys()
        assert all(found[name].dtype == tensor.dtype for name, tensor in tensors.items())
        assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


def test_every_type_that_may_be_held_has_its_code():
    assert set(CODES) == set(DTYPES)


def test_strides_and_shared_memory_do_not_reach_the_file():
    whole = torch.arange(12.0).view(3, 4)
    tensors = {"turned": whole.T, "apart": whole[:, ::2], "spread": whole[:1].expand(5, 4), "same": whole}
    found = load(bytes(TensorFile(tensors).data))
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


def test_the_bytes_of_a_file_cannot_be_written_to():
    with pytest.raises(TypeError):
        TensorFile({"a": torch.ones(2)}).data[0] = 0
