"""A cache of its own for every test, and small folders of pictures."""

import pytest
from PIL import Image

from tests.data.random_pictures import array


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CL_ENGINE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def pets(tmp_path):
    """Three classes of ten PNGs, 6 x 5 pixels; returns the folder."""
    for c, name in enumerate(("cat", "dog", "eel")):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(10):
            Image.fromarray(array(100 * c + i)).save(tmp_path / "pets" / name / f"{i}.png")
    return tmp_path / "pets"
