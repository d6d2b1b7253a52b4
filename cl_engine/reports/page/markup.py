"""HTML as values: text is escaped where it enters, so no name in a scenario can become markup."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from typing import Any


class Markup(str):
    """Text that is HTML already and is not escaped again."""

    __slots__ = ()


def escape(text: object) -> Markup:
    """Return text as HTML shows it.

    >>> escape('<b> & "c"'), escape(Markup("<b>"))
    ('&lt;b&gt; &amp; &quot;c&quot;', '<b>')
    """
    return text if isinstance(text, Markup) else Markup(html.escape(str(text)))


def join(*parts: object) -> Markup:
    """Return the parts behind each other; None is nothing."""
    return Markup("".join(escape(part) for part in parts if part is not None))


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """Return an element; None and False leave an attribute out, True gives it no value.

    A trailing ``_`` of an attribute's name is dropped and any other becomes ``-``.

    >>> tag("td", "a<b", class_="n", data_v=1, hidden=False)
    '<td class="n" data-v="1">a&lt;b</td>'
    """
    words = [name]
    for key, value in attributes.items():
        if value is not None and value is not False:
            key = key.rstrip("_").replace("_", "-")
            words.append(key if value is True else f'{key}="{escape(value)}"')
    closing = "" if name in ("meta", "input") else f"</{name}>"
    return Markup(f"<{' '.join(words)}>{join(*children)}{closing}")


def json_block(value: Any, **attributes: object) -> Markup:
    """Return plain data as a block that a script can read and no browser executes.

    >>> json_block({"a": "</script>"}, id="data")
    '<script type="application/json" id="data">{"a":"\\\\u003c/script>"}</script>'
    """
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return tag("script", Markup(text.replace("<", "\\u003c")), type="application/json", **attributes)


def table(
    heading: Sequence[object], rows: Sequence[Sequence[object]], caption: str | None = None, **attributes: object
) -> Markup:
    """Return a table; cells that are no ``td`` or ``th`` yet become one, the first of a row its heading."""
    head = tag("thead", tag("tr", *(_cell(h, "th", scope="col") for h in heading)))
    body = tag(
        "tbody",
        *(tag("tr", _cell(row[0], "th", scope="row"), *(_cell(c, "td") for c in row[1:])) for row in rows),
    )
    drawn = tag("table", head, body, aria_label=caption, **attributes)
    title = None if caption is None else tag("p", caption, class_="caption")
    return join(title, tag("div", drawn, class_="wrap", tabindex="0"))  # words do not scroll with the table


def _cell(content: object, name: str, **attributes: object) -> Markup:
    if isinstance(content, Markup) and content.startswith(("<td", "<th")):
        return content
    return tag(name, content, **attributes)
