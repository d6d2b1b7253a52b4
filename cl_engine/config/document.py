"""YAML text -> plain data that remembers where every key and value stood.

Numbers and truth values follow YAML 1.2 (``1e-3`` is a number, ``no`` is a text), duplicate keys are refused,
and nothing but plain data can be built.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cl_engine.errors import InputError
from cl_engine.kinds.problems import Problem, Where, one_line, shown

MAX_BYTES = 1 << 20
MAX_NODES = 100_000  # aliases of aliases can make a short text expand without end
MAX_DEPTH = 50


class SourceError(InputError):
    """The text is no YAML mapping; the message begins with its place."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


@dataclass
class Document:
    """A mapping read from a file, from ``--set`` options, or handed over from Python."""

    tree: dict[str, Any]
    origin: str
    places: dict[Where, str] = field(default_factory=dict)
    key_places: dict[Where, str] = field(default_factory=dict)

    def copy(self) -> Document:
        """Return a copy to override; what the tree holds is shared until it is replaced."""
        return Document(dict(self.tree), self.origin, dict(self.places), dict(self.key_places))

    def locate(self, problem: Problem) -> str:
        """Return ``FILE:LINE:COL: key: what`` for a problem; the nearest enclosing key where it has none."""
        where = problem.where
        place = self.key_places.get(where) if problem.at_key else self.places.get(where)
        while place is None and where:
            where = where[:-1]
            place = self.places.get(where)
        name = ".".join(map(str, problem.where))
        return one_line(f"{place or self.origin}: {name + ': ' if name else ''}{problem.what}")

    def override(self, assignment: str) -> None:
        """Apply ``a.b=value``; the value is YAML, and a part named by a word becomes ``{kind: word}``.

        Raises:
            SourceError: no ``=``, an empty key, or a value that is no YAML.
        """
        origin = f"--set {shown(assignment)}"
        name, equals, text = assignment.partition("=")
        keys = name.strip().split(".")
        if not equals or not all(keys):
            raise SourceError(f"{origin}: is no assignment; allowed: key=value or part.option=value")
        if len(keys) > MAX_DEPTH:
            raise SourceError(f"{origin}: nested too deeply; allowed: {MAX_DEPTH} levels")
        value = _load(text, origin, one_value=True)
        self.assign(keys, value, origin)

    def assign(self, keys: list[str], value: Any, origin: str) -> None:
        """Set the value at a dotted path, and remember that it came from ``origin``; a list's entries count from 0.

        Raises:
            SourceError: part of the path is neither a mapping nor a list with such an entry.
        """
        node: Any = self.tree
        where: Where = ()
        for key in keys[:-1]:
            where = (*where, _step(node, key, where, origin))
            below = node.get(where[-1]) if isinstance(node, dict) else node[where[-1]]
            if isinstance(below, str):
                below = {"kind": below}
            elif below is None:
                below = {}
                self.places[where] = origin
            elif not isinstance(below, Mapping | list):
                raise SourceError(f"{origin}: {'.'.join(map(str, where))} is {shown(below)} and has no keys")
            node[where[-1]] = list(below) if isinstance(below, list) else dict(below)
            node = node[where[-1]]
        where = (*where, _step(node, keys[-1], where, origin))
        node[where[-1]] = value
        for places in (self.places, self.key_places):
            for old in [w for w in places if w[: len(where)] == where]:
                del places[old]
            places[where] = origin


def _step(node: dict[str, Any] | list[Any], key: str, where: Where, origin: str) -> str | int:
    """Return the key of a mapping, or the number of a list's entry."""
    if isinstance(node, dict):
        return key
    if key.isdecimal() and int(key) < len(node):
        return int(key)
    name, last = ".".join(map(str, where)), len(node) - 1
    allowed = f"allowed: {name}.0 to {name}.{last}" if node else "allowed: a whole list"
    raise SourceError(f"{origin}: {name} is a list of {len(node)} and has no entry {key!r}; {allowed}")


def read(path: Path) -> Document:
    """Read a YAML file that holds one mapping.

    Raises:
        SourceError: no such file, not UTF-8, no YAML, a key twice, or not a mapping.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SourceError(f"{path}: the file is larger than 1 MiB; allowed: a scenario in YAML")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SourceError(f"{path}: there is no such file") from None
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: byte {error.start} is not UTF-8; allowed: a text file") from None
    except SourceError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise SourceError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return parse(text, str(path))


def parse(text: str, origin: str) -> Document:
    """Parse the text of a YAML mapping; ``origin`` names it in messages.

    >>> parse("stream: {step: 1e1}", "a.yaml").tree
    {'stream': {'step': 10.0}}
    """
    document = Document({}, origin)
    tree = _load(text, origin, document=document)
    if not isinstance(tree, dict):
        what = "is empty" if tree is None else f"holds {shown(tree)}"
        raise SourceError(f"{origin}: {what}; allowed: a mapping such as 'data: digits'")
    document.tree = tree
    return document


class _Loader(yaml.SafeLoader):
    """The scalars of YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 - shadows the class attribute of PyYAML


for _tag, _pattern, _starts in [
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
     list("-+.0123456789")),
    ("merge", r"<<", ["<"]),
]:  # fmt: skip
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), _starts)


def _load(text: str, origin: str, document: Document | None = None, one_value: bool = False) -> Any:
    """Build plain data from YAML text, recording places in ``document``."""
    builder = _Builder(origin, document, one_value)
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        return None if node is None else builder.build(loader, node, (), 0)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = error.problem or error.context or "cannot be parsed"
        raise SourceError(f"{builder.place(mark)}: no YAML: {what}") from None
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, SourceError):
            raise
        raise SourceError(f"{origin}: no YAML: {error}") from None
    except RecursionError:
        raise SourceError(f"{origin}: nested too deeply; allowed: {MAX_DEPTH} levels") from None


class _Builder:
    def __init__(self, origin: str, document: Document | None, one_value: bool) -> None:
        self.origin, self.document, self.one_value, self.nodes = origin, document, one_value, 0

    def place(self, mark: Any) -> str:
        return self.origin if mark is None or self.one_value else f"{self.origin}:{mark.line + 1}:{mark.column + 1}"

    def build(self, loader: _Loader, node: yaml.Node, where: Where, depth: int) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES or depth > MAX_DEPTH:
            raise SourceError(f"{self.place(node.start_mark)}: too large once its aliases are expanded")
        if self.document:
            self.document.places[where] = self.place(node.start_mark)
        if isinstance(node, yaml.MappingNode):
            self._refuse_duplicates(node, where)
            loader.flatten_mapping(node)  # puts what `<<` merges in first, so that a key of its own wins
            return self._mapping(loader, node, where, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(loader, item, (*where, i), depth + 1) for i, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(loader, node)

    def _refuse_duplicates(self, node: yaml.MappingNode, where: Where) -> None:
        seen = set()
        for key_node, _ in node.value:
            place = self.place(key_node.start_mark)
            if not isinstance(key_node, yaml.ScalarNode):
                raise SourceError(f"{place}: a key must be a word; allowed: key: value")
            if key_node.value in seen:
                name = ".".join(map(str, [*where, key_node.value]))
                raise SourceError(f"{place}: {name}: this key stands here twice; allowed: once")
            seen.add(key_node.value)

    def _mapping(self, loader: _Loader, node: yaml.MappingNode, where: Where, depth: int) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if self.document:
                below: Where = (*where, key)
                self.document.key_places[below] = self.place(key_node.start_mark)
            built[key] = self.build(loader, value_node, (*where, key), depth + 1)
        return built

    def _scalar(self, loader: _Loader, node: yaml.ScalarNode) -> Any:
        kind, text = node.tag.rpartition(":")[2], str(node.value)
        with contextlib.suppress(ValueError):
            if kind == "str":
                return text
            if kind == "null":
                return None
            if kind == "bool":
                return text.lower() == "true"
            if kind == "int":
                return int(text)
            if kind == "float":
                return loader.construct_yaml_float(node)
        raise SourceError(f"{self.place(node.start_mark)}: {shown(text)} is no plain {kind}")


class _Dumper(yaml.SafeDumper):
    """Quotes what :class:`_Loader` would not read back as a text."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers


def dump(tree: Mapping[str, Any]) -> str:
    """Return plain data as YAML that :func:`parse` reads back to the same.

    >>> parse(dump({"name": "1e3"}), "a.yaml").tree
    {'name': '1e3'}
    """
    return yaml.dump(dict(tree), Dumper=_Dumper, sort_keys=False, allow_unicode=True)
