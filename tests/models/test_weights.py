"""Files of weights: nothing in them runs, and what does not fit is named."""

import hashlib
import os
import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from cl_engine.models.weights import WeightsError, fit_weights, read_weights, sha256_of


def read(path):
    return read_weights(str(path), hashlib.sha256(path.read_bytes()).hexdigest())


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("legacy", [False, True])
def test_a_hostile_pickle_is_refused_and_does_nothing(tmp_path, wrapped, legacy):
    hostile, path = Hostile(tmp_path / "made"), tmp_path / "weights.pth"
    content = {"state_dict": {"w": torch.ones(1)}, "epoch": hostile} if wrapped else hostile
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(WeightsError, match="code which is never run; allowed: tensors alone") as refused:
        read(path)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "made").exists()
    torch.load(path, weights_only=False)  # the file is one that acts where it is trusted
    assert (tmp_path / "made").exists()


@pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.bin", "w.safetensors"])
def test_every_sort_of_file_gives_the_same_tensors(tmp_path, name):
    tensors = {"a": torch.arange(6.0).view(2, 3), "b": torch.ones(2, dtype=torch.float16)}
    path = tmp_path / name
    (save_file if name.endswith("safetensors") else torch.save)(tensors, path)
    found = read(path)
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[key], tensors[key]) for key in tensors)


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_wrappers_of_training_scripts_are_taken_off(tmp_path, key):
    torch.save({key: {"module.a": torch.ones(2)}, "epoch": 3}, tmp_path / "w.pth")
    assert list(read(tmp_path / "w.pth")) == ["a"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"a": torch.ones(1), "epoch": 3}, "holds int as 'epoch'"),
        ({0: torch.ones(1)}, "holds Tensor as 0"),
        ({"a": torch.ones(2, 2).to_sparse()}, "holds Tensor as 'a'"),
        ([torch.ones(1)], "holds list"),
        ({}, "holds nothing"),
        (torch.ones(1), "holds Tensor"),
    ],
)
def test_what_is_no_mapping_of_names_to_tensors_is_refused(tmp_path, content, said):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=f"{said}; allowed: dense tensors by name"):
        read(tmp_path / "w.pth")


@pytest.mark.parametrize(("name", "content"), [("w.safetensors", b"{}"), ("w.pth", b"PK\x03\x04"), ("w.pth", b"")])
def test_a_damaged_file_is_one_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=r"^w\..*; allowed: ") as refused:
        read(tmp_path / name)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_pickle_of_pythons_own_is_one_whole_line_and_no_warning(tmp_path, recwarn, protocol):
    (tmp_path / "w.pth").write_bytes(pickle.dumps({"w": os.system}, protocol))
    with pytest.raises(WeightsError) as refused:
        read(tmp_path / "w.pth")
    said = str(refused.value)
    assert said.startswith(("w.pth is a damaged pickle, or one that", "w.pth names posix.system, code which"))
    assert said.endswith("; allowed: tensors alone, as of torch.save or .safetensors")
    assert "weights_only" not in said
    assert len(said) < 180
    assert [str(one.message) for one in recwarn] == []


def test_what_is_left_over_is_listed_in_the_order_of_names():
    with pytest.raises(WeightsError, match=r"3 tensors left over \(a, b, c\); allowed"):
        fit_weights({}, {name: torch.ones(1) for name in "cab"}, str)


def test_a_file_of_another_name_is_not_tried(tmp_path):
    (tmp_path / "w.onnx").write_bytes(b"x")
    with pytest.raises(WeightsError, match=r"ends in '.onnx'; allowed: .safetensors, .pth"):
        read(tmp_path / "w.onnx")


def test_a_changed_file_is_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.ones(1)}, path)
    digest = sha256_of(str(path))
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    save_file({"a": torch.zeros(2)}, path)
    assert sha256_of(str(path)) != digest
    with pytest.raises(WeightsError, match=f"allowed: {digest}"):
        read_weights(str(path), digest)


def test_what_does_not_fit_is_listed_five_of_each_sort():
    layer = nn.Sequential(*(nn.Linear(2, 2) for _ in range(4)))
    state = {f"{n}.weight": torch.ones(3, 2) for n in range(4)} | {f"extra{n}": torch.ones(1) for n in range(7)}
    with pytest.raises(WeightsError) as refused:
        fit_weights(layer.state_dict(), state, str)
    assert str(refused.value) == (
        "4 tensors missing (0.bias, 1.bias, 2.bias, 3.bias); "
        "7 left over (extra0, extra1, extra2, extra3, extra4, ...); "
        "4 of another shape (0.weight is [3, 2], not [2, 2], 1.weight is [3, 2], not [2, 2], 2.weight is [3, 2], "
        "not [2, 2], 3.weight is [3, 2], not [2, 2]); allowed: the architecture's own"
    )


def test_what_is_to_be_dropped_may_be_there_and_nothing_is_copied_where_something_is_wrong():
    layer = nn.Linear(2, 3)
    before = layer.weight.detach().clone()
    with pytest.raises(WeightsError, match=r"^1 tensor missing \(bias\); allowed"):
        fit_weights(layer.state_dict(), {"weight": torch.ones(3, 2), "head.w": torch.ones(9)}, str, ["head."])
    assert torch.equal(layer.weight, before)
    fit_weights(layer.state_dict(), {"weight": torch.ones(3, 2, dtype=torch.float16), "bias": torch.ones(3)}, str)
    assert torch.equal(layer.weight, torch.ones(3, 2))


@pytest.mark.parametrize(
    ("bias", "said"),
    [
        (torch.ones(3, dtype=torch.int32), r"1 tensor of integers \(bias\)"),
        (torch.tensor([0.0, float("nan"), 0.0]), r"1 tensor with NaN or infinite values \(bias\)"),
        (torch.tensor([0.0, float("inf"), 0.0]), r"1 tensor with NaN or infinite values \(bias\)"),
    ],
)
def test_weights_that_no_training_can_go_on_from_are_refused_and_nothing_is_copied(bias, said):
    layer = nn.Linear(2, 3)
    before = layer.weight.clone()
    with pytest.raises(WeightsError, match=said):
        fit_weights(layer.state_dict(), {"weight": torch.ones(3, 2), "bias": bias}, str)
    assert torch.equal(layer.weight, before)
