"""Folders of pictures and archives of them: who is trained on, what is refused, and that all ways lead to one result."""

import gzip
import io
import itertools
import json
import os
import shutil
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import cl_engine
from cl_engine.cli.app import app
from cl_engine.data.folder import Folder
from cl_engine.data.samples import DataError
from cl_engine.kinds.problems import OptionError
from tests.data.random_pictures import array


def zipped(folder, to, wrap=""):
    with zipfile.ZipFile(to, "w") as archive:
        for file in sorted(folder.rglob("*"), reverse=True):
            archive.write(file, f"{wrap}{file.relative_to(folder)}")
    return to


def tarred(folder, to, mode):
    with tarfile.open(to, mode) as archive:
        archive.add(folder, "pets")
    return to


def planned_and_loaded(path):
    source = Folder(path=str(path))
    return source.labels(), source.load()


def x(samples):
    return samples.clone().x.numpy()


def test_sorted_by_class_and_name_with_a_fixed_share_of_each_class_for_testing(pets):
    data = Folder(path=str(pets), test_share=0.3).load()
    assert data.classes == ("cat", "dog", "eel")
    assert torch.bincount(data.test.y).tolist() == [3, 3, 3]
    all_of = {array(100 * c + i).transpose(2, 0, 1).tobytes(): (c, i) for c in range(3) for i in range(10)}
    found = [[all_of[row.tobytes()] for row in x(part)] for part in (data.train, data.test)]
    assert all(part == sorted(part) for part in found)
    assert sorted(found[0] + found[1]) == sorted(all_of.values())
    assert [c for c, _ in found[0]] == data.train.y.tolist()
    again, other = (Folder(path=str(pets), test_share=0.3, split_seed=s).load() for s in (0, 1))
    assert np.array_equal(x(again.test), x(data.test))
    assert not np.array_equal(x(other.test), x(data.test))


def test_a_further_class_moves_no_picture_of_the_others_between_training_and_testing(pets):
    before = {row.tobytes() for row in x(Folder(path=str(pets)).load().test)}
    shutil.copytree(pets / "cat", pets / "ape")
    data = Folder(path=str(pets)).load()
    assert before <= {row.tobytes() for row in x(data.test[data.test.y > 0])}


@pytest.mark.parametrize("test", ["test", "val"])
def test_train_and_test_folders_are_taken_as_they_are(pets, tmp_path, test):
    (tmp_path / "split").mkdir()
    shutil.copytree(pets, tmp_path / "split" / "train")
    shutil.copytree(pets, tmp_path / "split" / test)
    data = Folder(path=str(tmp_path / "split")).load()
    assert len(data.train) == len(data.test) == 30
    assert np.array_equal(x(data.train), x(data.test))
    (tmp_path / "split" / test / "eel").rename(tmp_path / "split" / test / "elk")
    with pytest.raises(DataError, match=r"class 'elk' has no picture in train/"):
        Folder(path=str(tmp_path / "split")).labels()


def test_labels_are_known_from_names_alone(pets):
    for file in pets.rglob("*.png"):
        file.write_bytes(b"")
    labels = Folder(path=str(pets), size=8).labels()
    assert labels.train.tolist() == [0] * 8 + [1] * 8 + [2] * 8
    assert labels.shape == (3, 8, 8)


def test_folder_zip_tar_npz_and_api_give_the_same_bits(pets, tmp_path):
    data = Folder(path=str(pets), cache="none").load()
    arrays = {f"x_{n}": x(part).transpose(0, 2, 3, 1) for n, part in (("train", data.train), ("test", data.test))}
    np.savez(tmp_path / "pets.npz", y_train=data.train.y, y_test=data.test.y, **arrays)
    paths = [
        pets,
        zipped(pets, tmp_path / "a.zip"),
        zipped(pets, tmp_path / "b.zip", "some/pets/"),
        tarred(pets, tmp_path / "c.tar", "w"),
        tarred(pets, tmp_path / "d.tar.gz", "w:gz"),
    ]
    sources = [{"kind": "folder", "path": str(path)} for path in paths]
    sources += [{**sources[0], "cache": how} for how in ("encoded", "none")]
    sources += [{**sources[3], "cache": "encoded"}, {"kind": "npz", "path": str(tmp_path / "pets.npz")}, data]
    found = set()
    for source in sources:
        record = cl_engine.run(
            data=source,
            scenario={
                "stream": {"kind": "class-incremental", "first": 2, "step": 1},
                "strategy": {"kind": "replay", "selection": "herding", "mix": "joint"},
                "training": {"epochs": 2, "batch_size": 5, "augmentation": "standard", "normalise": "data"},
            },
        ).to_dict()
        found.add(str((record["stream"]["fingerprint"], record["accuracy"], record["memory"])))
    assert len(found) == 1


@pytest.mark.parametrize("named", [[], ["some/"], ["some/", "some/pets/", "some/pets/cat/"]], ids=len)
def test_an_archive_that_names_some_of_its_folders_has_the_classes_of_one_that_names_all(pets, tmp_path, named):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in named:
            archive.writestr(name, b"")
        for file in sorted(pets.rglob("*.*")):
            archive.write(file, f"some/pets/{file.relative_to(pets)}")
    found, whole = Folder(path=str(tmp_path / "a.zip")).load(), Folder(path=str(pets)).load()
    assert found.classes == whole.classes == ("cat", "dog", "eel")
    assert found.identity() == whole.identity()


def test_identity_is_of_pixels_and_labels_not_of_places(pets, tmp_path):
    names = [Folder(path=str(pets), cache=how).identity() for how in ("decoded", "encoded", "none")]
    moved = pets.rename(tmp_path / "elsewhere")
    names.append(Folder(path=str(zipped(moved, tmp_path / "a.zip"))).identity())
    os.utime(moved / "cat" / "0.png", (1, 1))
    names.append(Folder(path=str(moved)).identity())
    assert len(set(names)) == 1
    Image.fromarray(array(12345)).save(moved / "cat" / "0.png")
    assert Folder(path=str(moved)).identity() != names[0]


BAD = {
    "text.jpg": b"hello",
    "notes.txt": b"hello",
    "new\nline \u00e9.png": b"",
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_stops_with_its_name_on_one_line_or_is_left_out_with_a_note(pets, name):
    expected = x(Folder(path=str(pets), cache="none").load().train)
    (pets / "zebra").mkdir()
    for i in range(2):
        Image.fromarray(array(i)).save(pets / "zebra" / f"{i}.png")
    (pets / "zebra" / f"a{name}").write_bytes(BAD[name])
    with pytest.raises(DataError) as caught:
        planned_and_loaded(pets)
    assert "\n" not in str(caught.value)
    assert f"zebra/a{name}".replace("\n", "\\n") in str(caught.value)
    source = Folder(path=str(pets), on_error="skip")
    labels, data = source.labels(), source.load()
    assert len(labels.train) + len(labels.test) == 32 == len(data.train) + len(data.test)
    assert np.array_equal(labels.train, data.train.y.numpy())
    assert np.array_equal(x(data.train)[:24], expected)
    assert f"zebra/a{name}".replace("\n", "\\n") in source.notes[0]


def test_what_is_skipped_stands_in_the_result_and_changes_nothing_else(pets):
    asked = {"stream": {"kind": "class-incremental", "step": 1}, "strategy": "ncm", "training": {"epochs": 1}}
    before = cl_engine.run(asked, data={"kind": "folder", "path": str(pets)}).to_dict()
    (pets / "cat" / "broken.txt").write_text("x")
    after = cl_engine.run(asked, data={"kind": "folder", "path": str(pets), "on_error": "skip"}).to_dict()
    assert after["notes"] == ["files that are no pictures, left out: 1 (cat/broken.txt)"]
    assert after["accuracy"] == before["accuracy"]
    assert after["identity"]["data"] == before["identity"]["data"]


def test_a_check_says_who_is_skipped(pets, tmp_path):
    (pets / "cat" / "broken.png").write_bytes(b"x")
    scenario = {"data": {"kind": "folder", "path": str(pets), "on_error": "skip"}, "stream": {"step": 1}}
    (tmp_path / "a.yaml").write_text(json.dumps(scenario | {"strategy": "ncm"}))
    shown = CliRunner().invoke(app, ["check", str(tmp_path / "a.yaml")]).stdout.splitlines()
    assert "  note: files that are no pictures, left out: 1 (cat/broken.png)" in shown


def test_sizes_that_differ_are_told_with_what_helps(pets):
    Image.fromarray(array(0, 9, 8)).save(pets / "dog" / "3.png")
    for how in ("stop", "skip"):
        with pytest.raises(DataError, match=r"first is 6 x 5, dog/3.png is 8 x 9; .* `size: 5`"):
            Folder(path=str(pets), on_error=how).load()
    assert Folder(path=str(pets), size=5).load().train.inputs.shape[1:] == (3, 5, 5)


def test_links_are_followed_within_the_folder_only(pets, tmp_path):
    (pets / "cat" / "again.png").symlink_to(pets / "cat" / "0.png")
    assert len(Folder(path=str(pets)).labels().train) == 25
    Image.fromarray(array(7)).save(tmp_path / "secret.png")
    (pets / "cat" / "out.png").symlink_to(tmp_path / "secret.png")
    (pets / "dog" / "loop").symlink_to(pets)
    os.mkfifo(pets / "eel" / "pipe.png")
    with pytest.raises(DataError, match=r"cat/out.png leads out of the folder"):
        Folder(path=str(pets)).labels()
    source = Folder(path=str(pets), on_error="skip")
    assert len(source.labels().train) == 25
    assert source.notes == ("files that are no pictures, left out: 3 (cat/out.png, dog/loop, eel/pipe.png)",)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda pets: (pets / "empty").mkdir(), r"class 'empty' has no picture"),
        (lambda pets: [f.unlink() for f in pets.glob("cat/[1-9].png")], r"class 'cat' has one picture"),
        (lambda pets: Image.new("RGB", (6, 5)).save(pets / "stray.png"), r"stray.png stands in no class folder"),
        (lambda pets: [shutil.rmtree(f) for f in pets.iterdir()], "holds no class folder"),
    ],
    ids=["empty class", "one picture", "stray", "nothing"],
)
def test_a_tree_that_is_none_of_classes_is_told_on_one_line(pets, change, complaint):
    change(pets)
    with pytest.raises(DataError, match=complaint) as caught:
        Folder(path=str(pets)).labels()
    assert "\n" not in str(caught.value)


def hostile_zip(path, pets):
    with zipfile.ZipFile(zipped(pets, path), "a") as archive:
        archive.writestr("../../out.png", b"x")
        archive.writestr("/abs/b.png", b"x")
        archive.writestr("cat/../../../c.png", b"x")
        link = zipfile.ZipInfo("cat/link.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    return path


def hostile_tar(path, pets, mode="w"):
    with tarfile.open(path, mode) as archive:
        archive.add(pets, ".")
        for name, kind, target in (
            ("../../out.png", tarfile.REGTYPE, ""),
            ("/abs/b.png", tarfile.REGTYPE, ""),
            ("cat/link.png", tarfile.SYMTYPE, "/etc/passwd"),
            ("cat/hard.png", tarfile.LNKTYPE, "cat/0.png"),
            ("cat/device.png", tarfile.CHRTYPE, ""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
    return path


@pytest.mark.parametrize("make", [hostile_zip, hostile_tar, lambda p, pets: hostile_tar(p, pets, "w:gz")])
def test_names_and_links_that_lead_out_of_an_archive_are_refused_and_nothing_is_written(
    pets, tmp_path, make, cache
):
    path = make(tmp_path / "hostile", pets)
    there = {str(file) for file in tmp_path.rglob("*")}
    with pytest.raises(DataError, match=r"leads out of the folder|is a link|no regular file"):
        Folder(path=str(path)).labels()
    source = Folder(path=str(path), on_error="skip")
    assert len(source.load().train) == 24
    assert source.notes[0].startswith(
        ("files that are no pictures, left out: 4", "files that are no pictures, left out: 5")
    )
    new = {str(file) for file in tmp_path.rglob("*")} - there
    assert all(file.startswith(str(cache)) for file in new)


def test_a_bomb_is_refused_before_it_goes_off(pets, tmp_path, monkeypatch):
    monkeypatch.setattr("cl_engine.data.archives.ALWAYS_FINE", 1 << 20)
    with zipfile.ZipFile(zipped(pets, tmp_path / "bomb.zip"), "a", zipfile.ZIP_DEFLATED) as archive:
        for i in range(11):
            archive.writestr(f"cat/big{i}.png", bytes(1 << 20))
    with pytest.raises(DataError, match=r"would unpack to 11,5\d\d,\d+ or more; allowed: up to 200 times"):
        Folder(path=str(tmp_path / "bomb.zip"), on_error="skip").labels()
    with gzip.open(tmp_path / "bomb.tar.gz", "wb", 9) as packed:
        info = tarfile.TarInfo("cat/0.png")
        info.size = 1 << 40
        packed.write(info.tobuf())
        packed.write(bytes(20 << 20))
    with pytest.raises(DataError, match="would unpack to"):
        Folder(path=str(tmp_path / "bomb.tar.gz"), on_error="skip").labels()


@pytest.mark.parametrize("cut", [0, 10, 700, 3000])
@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_a_cut_off_archive_is_told_on_one_line(pets, tmp_path, kind, cut):
    whole = tmp_path / f"whole.{kind}"
    zipped(pets, whole) if kind == "zip" else tarred(pets, whole, "w:gz" if kind == "tar.gz" else "w")
    (tmp_path / f"cut.{kind}").write_bytes(whole.read_bytes()[:cut])
    with pytest.raises(DataError) as caught:
        planned_and_loaded(tmp_path / f"cut.{kind}")
    assert "\n" not in str(caught.value)


def test_a_name_that_stands_in_an_archive_twice_is_refused(pets, tmp_path):
    with zipfile.ZipFile(zipped(pets, tmp_path / "a.zip"), "a") as archive, pytest.warns(UserWarning, match="name"):
        archive.writestr("cat/0.png", io.BytesIO().getvalue())
    with pytest.raises(DataError, match=r"cat/0.png stands in the archive twice"):
        Folder(path=str(tmp_path / "a.zip")).labels()


def test_options_that_cannot_work_together_are_told():
    with pytest.raises(OptionError, match="pad needs a size"):
        Folder(path="x", resize="pad")
    with pytest.raises(OptionError, match="has only one"):
        Folder(path="x.tar.gz", cache="encoded")


def test_a_tar_that_was_written_anew_with_the_same_names_sizes_and_times_is_decoded_anew(tmp_path):
    """`tar --mtime=@0` and Python's TarInfo say 1970 of every member, whatever is in it."""
    means = []
    for value in (10, 200):
        with tarfile.open(tmp_path / "a.tar", "w") as tar:
            for label, number in itertools.product("ab", range(5)):
                content = io.BytesIO()
                Image.new("RGB", (4, 4), (value, 0, 0)).save(content, "BMP")
                info = tarfile.TarInfo(f"{label}/{number}.bmp")
                info.size = len(content.getvalue())
                tar.addfile(info, io.BytesIO(content.getvalue()))
        os.utime(tmp_path / "a.tar", ns=(value, value))
        means.append(int(Folder(path=str(tmp_path / "a.tar")).load().train.x[0, 0, 0, 0]))
    assert means == [10, 200]


@pytest.mark.parametrize("name", ["../x/0.png", "/abs/0.png"])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_one_picture_that_leads_out_of_an_archive_makes_no_class(pets, tmp_path, kind, name):
    path = tmp_path / f"a.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(zipped(pets, path), "a") as archive:
            archive.writestr(name, (pets / "cat" / "0.png").read_bytes())
    else:
        with tarfile.open(path, "w") as tar:
            tar.add(pets, ".")
            info = tarfile.TarInfo(name)
            tar.addfile(info)
    source = Folder(path=str(path), on_error="skip")
    assert source.load().classes == ("cat", "dog", "eel")
    assert source.notes == (f"files that are no pictures, left out: 1 ({name})",)


def test_a_zip_whose_names_begin_with_a_dot_and_a_slash_is_the_folder(pets, tmp_path):
    found = Folder(path=str(zipped(pets, tmp_path / "a.zip", "./"))).load()
    assert np.array_equal(x(found.train), x(Folder(path=str(pets)).load().train))


def test_a_class_of_which_nothing_can_be_decoded_is_left_out_with_its_name(pets):
    for file in (pets / "dog").iterdir():
        file.write_bytes(b"no picture")
    data = Folder(path=str(pets), on_error="skip").load()
    assert data.classes == ("cat", "eel")
    assert data.train.y.unique().tolist() == [0, 2]
