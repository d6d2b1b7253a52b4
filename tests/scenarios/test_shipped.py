"""The shipped scenarios: their streams are pinned, here and in another process with other threads."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import yaml

import cl_engine
from cl_engine.scenarios.shipped import FOLDER, find, shipped
from cl_engine.sweeping.cells import sweep_of

# Label layouts of the data that a user points to: classes, training samples, channels.
LAYOUTS = {
    "cifar100": (100, 50_000, 3),
    "mnist": (10, 60_000, 1),
    "core50": (50, 24_000, 3),
    "ImageNet-100": (100, 1_000, 3),
}
SIDES = {"ImageNet-100": 32}  # what its backbone takes at least
FINGERPRINTS = {
    "cifar100-b0-inc10": "b042e1959bd550cd",
    "cifar100-b0-inc20": "6517bd74d92f8b6d",
    "cifar100-b0-inc5": "1c2939321612e74e",
    "cifar100-b50-inc10": "2056e70e00077bef",
    "cifar100-cir-sampled": "f0a19ed3073042b0",
    "cifar100-cir-slots": "237858e4f1abb2f8",
    "cifar100-fscil": "52f05aa36670df1a",
    "cifar100-gaussian": "f9e05f204ee75324",
    "cifar100-gcil": "a998a5f232ee4b46",
    "cifar100-i-blurry": "8196718388811149",
    "cifar100-long-tail": "4c7427e0eebd3eec",
    "cifar100-memo": "b042e1959bd550cd",
    "cifar100-prd": "effdb8439b5be287",
    "cifar100-prd-released": "effdb8439b5be287",
    "cifar100-si-blurry": "acfd55efce7e694b",
    "cifar100-til": "b042e1959bd550cd",
    "core50-like-domains": "85fe32a89b98b481",
    "digits-b0-inc1": "551c5114221bf8e2",
    "digits-b0-inc2": "73b87e89bfd58042",
    "digits-b0-inc5": "96e28bb8ae2dd94e",
    "digits-b5-inc1": "0a38cc43cc7bce0c",
    "digits-cir-sampled": "15aba8d36531e26f",
    "digits-cir-slots": "6928828c1e67ae36",
    "digits-domains": "263da5d68e77b7e9",
    "digits-fscil": "c323bb90762d0659",
    "digits-gaussian": "0f0cd11a6818d056",
    "digits-gcil": "acbae7283fcdbb5e",
    "digits-i-blurry": "f41d050b6c40b442",
    "digits-long-tail": "4b7fae20dc4eda1e",
    "digits-memo": "73b87e89bfd58042",
    "digits-permuted": "9093ce3325bb3bfe",
    "digits-prd": "9dfd2045f2a6f0c8",
    "digits-prd-released": "9dfd2045f2a6f0c8",
    "digits-rotated": "0011a89ba32a28aa",
    "digits-si-blurry": "b71676024eb64323",
    "digits-til": "73b87e89bfd58042",
    "everything": "73b87e89bfd58042",
    "imagenet100-memo": "74e18f4ac8283075",
    "memo-cut": "73b87e89bfd58042",
    "memo-freeze": "73b87e89bfd58042",
    "memory-sweep": "73b87e89bfd58042",
    "mnist-permuted": "0df2cf64722015e1",
    "mnist-rotated": "aea0b6d037b246e5",
    "quickstart": "73b87e89bfd58042",
}


def overrides(name, folder):
    data = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())["data"]
    if data == "digits":
        return []
    path = (folder / data.get("path", data["kind"])).with_suffix(".npz")
    if not path.exists():
        classes, n, channels = LAYOUTS[path.stem]
        test = np.arange(2 * classes) % classes
        side = SIDES.get(path.stem, 8)
        images = np.zeros((n, side, side, channels), np.uint8)
        np.savez(path, x_train=images, y_train=np.arange(n) % classes, x_test=images[: len(test)], y_test=test)
    return [f"data={{kind: npz, path: {path}}}"]


def fingerprints(folder):
    return {
        name: cl_engine.Scenario.load(find(name), overrides(name, folder)).plan.fingerprint[:16]
        for name in shipped()
    }


def test_fingerprints_are_pinned_and_agree_in_another_process(tmp_path):
    assert fingerprints(tmp_path) == FINGERPRINTS
    code = (
        "import json, pathlib; from tests.scenarios.test_shipped import fingerprints;"
        f"print(json.dumps(fingerprints(pathlib.Path({str(tmp_path)!r}))))"
    )
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONHASHSEED": "5",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert json.loads(done.stdout) == FINGERPRINTS


@pytest.mark.parametrize("name", [n for n in shipped() if n.startswith("digits") or n == "quickstart"])
def test_every_digits_twin_runs_as_it_is(name):
    record = cl_engine.run(find(name))
    assert record.metrics["average_accuracy"] > 0.3


@pytest.mark.parametrize("name", shipped())
def test_a_description_says_what_the_scenario_really_delivers(name, tmp_path):
    text, written = shipped()[name], yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    scenario = cl_engine.Scenario.load(find(name), overrides(name, tmp_path))
    assert int(re.search(r"(\d+) experiences", text)[1]) == len(scenario.plan)
    if match := re.search(r"B(\d+) Inc(\d+)", text):
        first, *later = [len(exposure.new_classes) for exposure in scenario.exposures]
        assert first == (int(match[1]) or int(match[2]))
        assert set(later) == {int(match[2])}
    if match := re.search(r"slots S\((\d+), (\d+)\)", text):
        assert [int(g) for g in match.groups()] == [len(scenario.plan), written["stream"]["classes_per_experience"]]
    if match := re.search(r"(\d+) base classes, then (\d+)-way (\d+)-shot", text):
        ways, shots = int(match[2]), int(match[3])
        assert [len(e.new_classes) for e in scenario.exposures][:2] == [int(match[1]), ways]
        assert scenario.plan.sizes[1] == ways * shots
    if written["data"] == "digits":
        assert text.startswith(f"Digits, {'x'.join(map(str, scenario.labels.shape[1:]))} images: ")
    else:
        places = {"npz": ", from your .npz file", "folder": ", from your own folder of pictures: "}
        assert places.get(written["data"]["kind"], " (to be downloaded): ") in text


@pytest.mark.parametrize("name", [n for n in shipped() if n.startswith(("cifar100", "mnist"))])
def test_a_scenario_without_its_data_says_what_to_download(name, tmp_path, monkeypatch):
    monkeypatch.setenv("CL_ENGINE_DATA", str(tmp_path))
    with pytest.raises(cl_engine.ConfigError, match=r"allowed: download https://.*`download: true`"):
        cl_engine.Scenario.load(find(name))


def test_a_folder_that_is_not_there_is_named():
    with pytest.raises(cl_engine.ConfigError, match=r"data.path: there is no file or folder '.*ImageNet-100'"):
        cl_engine.Scenario.load(find("imagenet100-memo"))


def test_every_standard_scenario_has_a_description_and_a_twin():
    assert all(text.endswith(".") for text in shipped().values())
    twins = [text.partition("the digits twin of ")[2] for text in shipped().values()]
    twins = {name for twin in twins for name in twin.removesuffix(".").split(" and of ")}
    for name in shipped():
        on_digits = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())["data"] == "digits"
        assert on_digits or name in twins, name


@pytest.mark.parametrize("name", [n for n in shipped() if "memo-" in n or n.endswith("-memo")])
def test_every_cell_of_memos_sweeps_is_fine_and_possible(name, tmp_path):
    quick = ["strategy.backbone=convnet2"] if "100" in name else []  # growing large blocks takes its time
    cells = sweep_of(find(name), [*overrides(name, tmp_path), *quick]).cells
    assert len(cells) == {"cifar100-memo": 12, "imagenet100-memo": 6, "digits-memo": 4}.get(name, len(cells))
    assert not any(cell.impossible for cell in cells)


def test_a_folder_of_the_same_name_does_not_hide_a_shipped_scenario(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quickstart").mkdir()
    assert find("quickstart") == FOLDER / "quickstart.yaml"
