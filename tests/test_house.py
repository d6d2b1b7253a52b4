"""The house stands as docs/architecture.md draws it: every room has its place, and imports run down."""

import ast
import graphlib
import importlib.util
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "cl_engine"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
OUTSIDE = {"__init__", "__main__"}  # the menu of public names, and the door


def order():
    """Return the rooms of each line of the page's order, from top to bottom."""
    section = PAGE.partition("## The order")[2].partition("\n## ")[0]
    return [line.split(", ") for line in re.findall(r"^\d+\. (.+)$", section, re.MULTILINE)]


def drawn():
    """Return the names in the page's tree: those of the package, and those one level deeper, in strategies/."""
    lines = re.findall(r"^    ( +)([a-z_]+)(?:/|\.py) ", PAGE.partition("\n## ")[0], re.MULTILINE)
    return [name for indent, name in lines if len(indent) == 2], [name for indent, name in lines if len(indent) > 2]


def modules():
    """Return every module of the package by name, with its file."""
    found = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = ["cl_engine", *file.relative_to(PACKAGE).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


MODULES = modules()


def homes():
    """Return the lazy names of the package's menu, each with the module that it comes from."""
    tree = ast.parse(MODULES["cl_engine"].read_text(encoding="utf-8"))
    (menu,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "_HOMES"
    )
    return ast.literal_eval(menu)


def imports(name, source, is_package, known, menu):
    """Return the modules of the package that a module imports anywhere in it, each with a line number."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            here = name if is_package else name.rpartition(".")[0]
            base = (
                importlib.util.resolve_name("." * node.level + (node.module or ""), here)
                if node.level
                else node.module
            )
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                target = menu.get(alias.name, base) if base == "cl_engine" else base
                found.append((inner if inner in known else target, node.lineno))
    return [(target, line) for target, line in found if target in known and target not in ("cl_engine", name)]


def arrows():
    """Return every import inside the package as (module, line, imported module); the outside is left out."""
    menu = homes()
    return [
        (name, line, target)
        for name, file in MODULES.items()
        if room(name) not in OUTSIDE
        for target, line in imports(name, file.read_text(encoding="utf-8"), file.stem == "__init__", MODULES, menu)
    ]


def room(name):
    """Return the room that a module is in: the first name below the package."""
    return name.split(".")[1] if "." in name else "__init__"


def upward(found, lines):
    """Return those of the arrows that go up, as text."""
    level = {name: number for number, line in enumerate(lines) for name in line}
    return [f"{name}:{line} -> {target}" for name, line, target in found if level[room(name)] > level[room(target)]]


def circle(found):
    """Return the modules of one circle of arrows, or nothing."""
    graph = {}
    for name, _, target in found:
        graph.setdefault(name, set()).add(target)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def test_every_room_has_one_place_in_the_order_and_every_place_is_a_room():
    rooms = {room(name) for name in MODULES} - OUTSIDE
    assert sorted(name for line in order() for name in line) == sorted(rooms)


def test_the_tree_draws_the_rooms_in_the_order_and_every_mechanism():
    rooms, mechanisms = drawn()
    assert rooms == [name for line in order() for name in line]
    assert {file.parent.name for file in PACKAGE.glob("strategies/*/__init__.py")} <= set(mechanisms)


def test_no_import_goes_up():
    found = upward(arrows(), order())
    assert not found, "\n".join(["these arrows go up:", *found])


def test_no_modules_import_each_other_in_a_circle():
    found = circle(arrows())
    assert not found, " -> ".join(found)


def test_the_walk_finds_imports_wherever_and_however_they_are_written():
    known = {
        "cl_engine",
        "cl_engine.a",
        "cl_engine.a.b",
        "cl_engine.c",
        "cl_engine.d",
        "cl_engine.e",
        "cl_engine.f",
    }
    source = """
import cl_engine
import cl_engine.c as other, json
from cl_engine import Name, e
from . import b
from ..d import thing
if TYPE_CHECKING:
    from cl_engine.a import b
def later():
    from cl_engine.e import x
"""
    found = imports("cl_engine.a.me", source, False, known, {"Name": "cl_engine.f"})
    expected = [("c", 3), ("f", 4), ("e", 4), ("a.b", 5), ("d", 6), ("a.b", 8), ("e", 10)]
    assert sorted(found) == sorted((f"cl_engine.{name}", line) for name, line in expected)


def test_the_walk_sees_circles_and_arrows_up():
    down, up = ("cl_engine.top", 1, "cl_engine.low.x"), ("cl_engine.low.x", 2, "cl_engine.top")
    assert upward([down], [["top"], ["low"]]) == []
    assert upward([down, up], [["top"], ["low"]]) == ["cl_engine.low.x:2 -> cl_engine.top"]
    assert circle([down]) == []
    assert set(circle([down, up])) == {"cl_engine.top", "cl_engine.low.x"}
