"""The cache: made once, by one process, kept by blocks, checked, listed and cleared."""

import errno
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from cl_engine.cli.app import _status
from cl_engine.data import cache as caches
from cl_engine.data import decoding
from cl_engine.data.cache import CacheError
from cl_engine.data.folder import Folder
from tests.data.random_pictures import array


@pytest.fixture
def command(monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["cl-engine", *arguments])
        status = _status()
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


@pytest.fixture
def decoded(monkeypatch):
    """Return the rows that are decoded from now on."""
    rows, row = [], decoding.Pictures.row

    def counted(self, number, data=None):
        rows.append(number)
        return row(self, number, data)

    monkeypatch.setattr(decoding.Pictures, "row", counted)
    return rows


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr("cl_engine.data.made.BLOCK", 4)


def pixels(source):
    return source.load().train.clone().x.numpy()


def test_the_second_source_decodes_nothing(pets, decoded):
    first = pixels(Folder(path=str(pets)))
    assert sorted(decoded) == list(range(30))
    decoded.clear()
    assert np.array_equal(pixels(Folder(path=str(pets))), first)
    assert decoded == []
    pixels(Folder(path=str(pets), size=3))
    Image.fromarray(array(99)).save(pets / "cat" / "0.png")
    os.utime(pets / "cat" / "0.png", (1, 1))
    pixels(Folder(path=str(pets)))
    assert len(decoded) == 60  # another size, and another picture, are other keys


def test_what_a_killed_process_has_finished_is_not_decoded_again(pets, decoded, monkeypatch):
    whole, row = pixels(Folder(path=str(pets), cache="none")), decoding.Pictures.row
    decoded.clear()

    def dies(self, number, data=None):
        if number == 17:
            raise KeyboardInterrupt
        return row(self, number, data)

    monkeypatch.setattr(decoding, "TOGETHER", 1)
    with monkeypatch.context() as patch:
        patch.setattr(decoding.Pictures, "row", dies)
        with pytest.raises(KeyboardInterrupt):
            Folder(path=str(pets)).load()
    (entry,) = caches.entries()
    assert entry.about["complete"] is False
    with open(entry.path / "blocks.jsonl", "ab") as journal:
        journal.write(b'0000 {"block": 4, ')  # a line that the kill has cut off
    decoded.clear()
    assert np.array_equal(pixels(Folder(path=str(pets))), whole)
    assert sorted(decoded) == list(range(16, 30))
    assert caches.entries()[0].about["complete"] is True


def load(path, barrier, results):
    barrier.wait()
    source = Folder(path=path)
    results.put((source.identity(), int(source.load().train.clone().x.long().sum())))


def test_two_processes_at_once_share_the_work(pets):
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(2), context.Queue()
    both = [context.Process(target=load, args=(str(pets), barrier, results)) for _ in range(2)]
    for process in both:
        process.start()
    found = {results.get(timeout=60) for _ in both}
    for process in both:
        process.join()
    assert found == {
        (Folder(path=str(pets)).identity(), int(pixels(Folder(path=str(pets))).astype(np.int64).sum()))
    }
    assert len(caches.entries()) == 1


@pytest.mark.parametrize("what", ["pixels", "digests", "index.json"])
@pytest.mark.parametrize("how", ["changed", "cut off"])
def test_damage_is_told_with_what_helps(pets, what, how, command):
    Folder(path=str(pets)).load()
    (entry,) = caches.entries()
    content = bytearray((entry.path / what).read_bytes())
    content[len(content) // 2] ^= 0x10
    (entry.path / what).write_bytes(content if how == "changed" else content[:7])
    if what == "index.json" and how == "changed":
        (entry.path / what).write_bytes(b"[" + content)
    with pytest.raises(CacheError, match=f"cl-engine cache clear {entry.key}"):
        read_all(pets)
    assert command("cache", "clear", entry.key)[0] == 0
    assert len(pixels(Folder(path=str(pets)))) == 24


def read_all(pets):
    data = Folder(path=str(pets)).load()
    data.train.clone(), data.test.clone()


def test_a_picture_that_changes_while_it_is_streamed_is_named(pets):
    data = Folder(path=str(pets), cache="encoded").load()
    Image.fromarray(array(99)).save(pets / "cat" / "5.png")
    with pytest.raises(ValueError, match=r"cat/5.png has changed since"):
        [part.clone() for part in (data.train, data.test)]
    (pets / "cat" / "5.png").unlink()
    with pytest.raises(ValueError, match=r"cat/5.png cannot be read: No such file"):
        [part.clone() for part in (data.train, data.test)]


def test_a_disk_that_is_too_small_is_told_before_anything_is_decoded(pets, decoded, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("usage", (), {"free": 1000}))
    with pytest.raises(CacheError, match=r"need 0.02 GiB, and 0.00 GiB are free; allowed: a place with room"):
        Folder(path=str(pets)).load()
    assert decoded == []


def test_a_disk_that_fills_up_is_one_line_and_what_was_finished_is_kept(pets, decoded, monkeypatch):
    write, full = os.pwrite, 12 * 90

    def limited(file, content, place):
        if place >= full:
            raise OSError(28, "No space left on device")
        return write(file, content, place)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", limited)
        with pytest.raises(
            CacheError, match=r"cannot be written: No space left on device; what was finished is kept"
        ):
            Folder(path=str(pets)).load()
    decoded.clear()
    pixels(Folder(path=str(pets)))
    assert sorted(decoded) == list(range(12, 30))


def test_a_place_that_cannot_be_written_is_one_line(pets, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CL_ENGINE_CACHE", str(tmp_path / "file"))
    with pytest.raises(CacheError, match=r"file.*: the cache cannot be written: .*CL_ENGINE_CACHE"):
        Folder(path=str(pets)).load()


@pytest.mark.parametrize("locks", ["kept", "gone"])
def test_what_is_finished_in_a_cache_that_may_only_be_read_is_used(pets, cache, decoded, monkeypatch, locks):
    expected = pixels(Folder(path=str(pets)))
    if locks == "gone":
        shutil.rmtree(cache / ".locks")
    opened = os.open

    def read_only(path, flags, *mode, **options):
        if str(path).startswith(str(cache)) and flags & (os.O_RDWR | os.O_WRONLY | os.O_CREAT):
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        return opened(path, flags, *mode, **options)

    monkeypatch.setattr(os, "open", read_only)
    decoded.clear()
    assert np.array_equal(pixels(Folder(path=str(pets))), expected)
    assert decoded == []
    with pytest.raises(CacheError, match="cannot be written: Read-only file system"):
        Folder(path=str(pets), size=4).load()


def test_the_place_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("CL_ENGINE_CACHE", str(tmp_path / "here"))
    assert caches.place() == tmp_path / "here"
    monkeypatch.delenv("CL_ENGINE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert caches.place() == tmp_path / "xdg" / "cl-engine"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")  # which the standard says to ignore
    monkeypatch.setenv("HOME", str(tmp_path))
    assert caches.place() == tmp_path / ".cache" / "cl-engine"


def test_the_cache_is_listed_and_cleared_by_key_age_or_all(pets, command):
    assert command("cache", "list")[1].count("\n") == 1
    for size in (3, 4, 5):
        Folder(path=str(pets), size=size).load()
    _, out, _ = command("cache", "list", "--json")
    rows = json.loads(out)["entries"]
    assert [(row["what"], row["rows"], row["complete"]) for row in rows] == [(str(pets), 30, True)] * 3
    first, second, third = (row["key"] for row in rows)
    assert all(key in command("cache", "list")[1] for key in (first, second, third))
    assert command("cache", "clear")[0] == 2
    assert command("cache", "clear", "nothing")[0] == 2
    assert command("cache", "clear", first, "--all")[0] == 2
    assert json.loads(command("cache", "clear", first[:12], "--json")[1])["cleared"] == [first]
    os.utime(caches.folder(second) / "about.json", (0, 0))
    for file in caches.folder(second).iterdir():
        os.utime(file, (time.time() - 3 * 86400,) * 2)
    assert json.loads(command("cache", "clear", "--older-than", "2", "--json")[1])["cleared"] == [second]
    assert json.loads(command("cache", "clear", "--all", "--json")[1])["cleared"] == [third]
    assert caches.entries() == []


def test_what_a_process_uses_is_not_cleared(pets, command):
    program = (
        "import sys; from cl_engine.data.folder import Folder; data = Folder(path=sys.argv[1]).load();"
        "print('ready', flush=True); sys.stdin.read()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", program, str(pets)], **pipes) as user:
        assert user.stdout.readline() == "ready\n"
        (entry,) = caches.entries()
        status, out, _ = command("cache", "clear", "--all")
        assert (status, out) == (0, f"cleared 0 of 1: 0 B\nleft: {entry.key} is in use\n")
        user.stdin.close()
    assert "cleared 1 of 1" in command("cache", "clear", "--all")[1]


def test_nobody_may_write_into_what_is_mapped(pets):
    data = Folder(path=str(pets)).load()
    mapped = data.train.stored.rows
    assert not mapped._pixels.flags.writeable
    before = pixels(Folder(path=str(pets)))
    data.train.x.zero_()
    data.test[:3].x.fill_(7)
    assert np.array_equal(pixels(Folder(path=str(pets))), before)
