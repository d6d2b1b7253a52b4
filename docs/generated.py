"""The pages that are made of the code: one a method, the options, the commands, and the reference.

    python docs/generated.py FOLDER      writes them; the site's conf.py does so before it reads anything

Nothing on them is written twice.  A method's page has its row in docs/strategies.md, its docstrings, its options,
and what it holds, planned to the byte on one stream that is the same for all.
"""

import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

import cl_engine
from cl_engine.cli.app import app
from cl_engine.errors import EngineError
from cl_engine.kinds.listing import Option, listed
from cl_engine.kinds.problems import shown
from cl_engine.kinds.registry import PACKAGES, kinds, load
from cl_engine.running.planner import memory_table, plan_memory

DOCS = Path(__file__).parent
PLANNED = {"data": "digits", "stream": {"step": 2}}
REFERENCE = (
    "cl_engine", "cl_engine.testing", "cl_engine.training", "cl_engine.losses", "cl_engine.models",
    "cl_engine.memory", "cl_engine.metrics", "cl_engine.statistics", "cl_engine.statistics.sufficient",
)  # fmt: skip


def pages() -> dict[str, str]:
    """Return every page by its path in the docs folder, in MyST Markdown."""
    methods = {f"methods/{kind}.md": method(kind) for kind in kinds("strategies")}
    reference = {f"reference/{name}.md": module(name) for name in REFERENCE}
    return {
        "methods/index.md": method_index(),
        **methods,
        "reference/index.md": contents("Reference", ["commands", "options", *REFERENCE]),
        "reference/commands.md": commands(),
        "reference/options.md": every_option(),
        **reference,
    }


def contents(title: str, names: list[str]) -> str:
    """Return a page that only lists others."""
    return f"# {title}\n\n```{{toctree}}\n:maxdepth: 1\n\n" + "\n".join(names) + "\n```\n"


def rows() -> dict[str, list[tuple[str, str, str]]]:
    """Return what the tables of docs/strategies.md say of each method: heading of the section, column, cell."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    section, columns = "", None
    for line in (DOCS / "strategies.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line[3:]
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            columns = None
        elif cells[0] == "strategy":
            columns = cells
        elif columns and re.fullmatch(r"`[\w-]+`", cells[0]):
            told = zip(columns[1:], cells[1:], strict=True)
            found.setdefault(cells[0].strip("`"), []).extend((section, column, cell) for column, cell in told)
    return found


def method(kind: str) -> str:
    """Return the page of a strategy."""
    target = load("strategies", kind)
    home = importlib.import_module(target.__module__)
    told = rows().get(kind, [])
    anchor = told[0][0].lower().replace(" ", "-") if told else ""
    facts = "\n".join(f"| {column} | {cell} |" for _, column, cell in told)
    table = (
        f"| | |\n|---|---|\n{facts}\n\nLetters as in [{told[0][0]}](../strategies.md#{anchor}).\n" if told else ""
    )
    functions = [
        name for name, member in vars(home).items()
        if inspect.isfunction(member) and member.__module__ == home.__name__ and not name.startswith("_")
    ]  # fmt: skip
    return f"""# `{kind}`

{restructured(inspect.getdoc(home) or "")}
    cl-engine run quickstart --set strategy={kind}

{table}
## The method

{directive("autoclass", f"{target.__module__}.{target.__name__}(**options)", "members")}
{"".join(directive("autofunction", f"{home.__name__}.{name}") for name in functions)}
## What it holds

Planned for five experiences of two classes of digits, with the defaults below. `cl-engine budget` plans any
scenario; a run then holds the same, to the byte.

```text
{held(kind)}
```

## Options

{options(listed(kind, target)["options"])}
"""


def held(kind: str) -> str:
    """Return what a strategy holds, planned; or why not, where an option or an extra is missing."""
    try:
        return memory_table(plan_memory(cl_engine.Scenario.load({**PLANNED, "strategy": {"kind": kind}})))
    except EngineError as why:
        return f"not planned: {why}"


def method_index() -> str:
    """Return the page that lists the strategies by the room that they live in."""
    rooms: dict[str, list[str]] = {}
    for kind in kinds("strategies"):
        rooms.setdefault(load("strategies", kind).__module__.split(".")[2].replace("_", " "), []).append(kind)
    lists = [
        f"```{{toctree}}\n:maxdepth: 1\n:caption: {room}\n\n" + "\n".join(names) + "\n```"
        for room, names in rooms.items()
    ]
    return (
        "# Methods\n\nHow they are alike and where they differ: [strategies](../strategies.md).\n\n"
        + "\n\n".join(lists)
        + "\n"
    )


def directive(name: str, target: str, *settings: str) -> str:
    """Return a directive of Sphinx's autodoc in Markdown."""
    return restructured("\n".join([f".. {name}:: {target}", *(f"   :{setting}:" for setting in settings)]))


def restructured(text: str) -> str:
    """Return a text of docstrings, which are reStructuredText, as it stands in Markdown."""
    return f"```{{eval-rst}}\n{text}\n```\n\n"


def options(found: list[Option]) -> str:
    """Return options as a table."""
    if not found:
        return "None.\n"
    lines = []
    for o in found:
        names = " or ".join(f"`{name}`" for name in (o.name, *o.aliases))
        lines.append(f"| {names} | {default(o)} | {cell(o.allowed)} | {cell(o.description)} |")
    return "\n".join(["| option | default | allowed | |", "|---|---|---|---|", *lines]) + "\n"


def default(option: Option) -> str:
    """Return a default as YAML spells it."""
    plain = isinstance(option.default, str) and option.default
    return "required" if option.required else f"`{plain or shown(option.default)}`"


def cell(text: str) -> str:
    """Return a text as it can stand in a table: nothing in it is markup."""
    return re.sub(r"([|<*_\[\]$])", r"\\\1", " ".join(text.split()))


def every_option() -> str:
    """Return the page of every kind but the strategies, which have pages of their own."""
    blocks = ["# Options of every kind\n\nStrategies have [pages of their own](../methods/index.md).\n"]
    for package in PACKAGES:
        if package != "strategies":
            blocks.append(f"## {package.capitalize()}\n")
            for kind in kinds(package):
                found = listed(kind, load(package, kind))
                blocks.append(f"### `{kind}`\n\n{cell(found['description'])}\n\n{options(found['options'])}")
    return "\n".join(blocks)


def commands() -> str:
    """Return the page of the command line: what `--help` prints, command by command."""
    group: Any = typer.main.get_command(app)
    blocks = ["# Command line\n", block(group, "cl-engine")]
    for name, command in group.commands.items():
        blocks += [f"## cl-engine {name}\n", block(command, f"cl-engine {name}")]
    return "\n".join(blocks)


def block(command: Any, name: str) -> str:
    """Return the help of one command."""
    with command.make_context(name, [], resilient_parsing=True) as context:
        return f"```text\n{command.get_help(context)}\n```\n"


def module(name: str) -> str:
    """Return the reference page of a module: the names that it is for."""
    home = importlib.import_module(name)
    return f"# `{name}`\n\n{restructured(inspect.getdoc(home) or '')}{''.join(members(home))}"


def members(home: Any) -> Iterator[str]:
    """Yield the directive of every public name of a module."""
    for name in getattr(home, "__all__", None) or [
        n for n, m in vars(home).items() if getattr(m, "__module__", "") == home.__name__
    ]:
        member = getattr(home, name)
        if inspect.isclass(member):
            yield directive("autoclass", f"{home.__name__}.{name}", "members")
        elif inspect.isfunction(member) and not name.startswith("_"):
            yield directive("autofunction", f"{home.__name__}.{name}")


def write(folder: Path) -> None:
    """Write every page that is not there as it should be, so that unchanged ones are not built anew."""
    for path, text in pages().items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
