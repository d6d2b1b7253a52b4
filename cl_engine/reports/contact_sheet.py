"""A few images of each class, as one picture."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw

from cl_engine.data.samples import DataError, DataSet
from cl_engine.reports.data_card import card

SIDE, GAP, LABEL = 64, 4, 160  # pixels: of an image, between two, for the class names
MOST_CLASSES = 200  # rows of a sheet


def contact_sheet(data: DataSet, per_class: int = 8) -> Image.Image:
    """Return a picture of the first training images of each class, a row a class, 64 pixels a side.

    Raises:
        DataError: the samples are no images of one or three channels.
    """
    labels = data.labels()
    if len(labels.shape) != 3 or labels.shape[0] not in (1, 3):
        raise DataError(
            f"samples are {list(labels.shape)}; allowed: images of 1 or 3 channels, for a contact sheet"
        )
    known = np.unique(labels.train)
    names = data.classes or tuple(map(str, known))
    shown = [*zip(known, names, strict=True)][:MOST_CLASSES]
    sheet = Image.new("RGB", (LABEL + per_class * (SIDE + GAP), len(shown) * (SIDE + GAP) + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for row, (label, name) in enumerate(shown):
        top = GAP + row * (SIDE + GAP)
        draw.text((GAP, top + SIDE // 2 - 6), _short(name), fill="black")
        index = np.flatnonzero(labels.train == label)[:per_class]
        for column, image in enumerate(data.train[torch.from_numpy(index)].x.numpy()):
            sheet.paste(_picture(image), (LABEL + column * (SIDE + GAP), top))
    return sheet


def write_sheet(data: DataSet, facts: Mapping[str, Any], file: Path, per_class: int = 8) -> None:
    """Write a contact sheet as PNG, or with the data's facts as an HTML page that loads nothing.

    Raises:
        DataError: the samples are no images, or the name ends in neither ``.png`` nor ``.html``.
        OSError: it cannot be written.
    """
    if file.suffix not in (".png", ".html"):
        raise DataError(f"got the file {file.name}; allowed: a name that ends in .png or .html")
    made = io.BytesIO()
    contact_sheet(data, per_class).save(made, "PNG")
    if file.suffix == ".png":
        file.write_bytes(made.getvalue())
        return
    picture = base64.b64encode(made.getvalue()).decode()
    page = (
        '<!DOCTYPE html>\n<html lang="en"><meta charset="utf-8"><title>Data card</title>'
        "<style>body{font:14px sans-serif;margin:2em}img{max-width:100%}</style>\n"
        f"<h1>Data card</h1>\n<pre>{html.escape(card(facts))}</pre>\n"
        f'<img alt="First training images of each class, a row a class" src="data:image/png;base64,{picture}">\n'
        "</html>\n"
    )
    file.write_text(page, encoding="utf-8")


def _short(name: str) -> str:
    """Return a class name in characters that any font of Pillow's has, cut where it would reach the images."""
    plain = "".join(c if c.isprintable() else " " for c in name).encode("latin-1", "replace").decode("latin-1")
    return plain if len(plain) <= 24 else f"{plain[:22]}.."


def _picture(image: np.ndarray[Any, np.dtype[np.uint8]]) -> Image.Image:
    channels, height, width = image.shape
    made = Image.fromarray(image[0] if channels == 1 else np.ascontiguousarray(image.transpose(1, 2, 0)))
    scale = SIDE / max(height, width)
    way = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    return made.convert("RGB").resize((max(1, round(width * scale)), max(1, round(height * scale))), way)
