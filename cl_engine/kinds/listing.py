"""The options of a kind, as the command line lists them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from cl_engine.kinds.problems import shown
from cl_engine.kinds.registry import SINGULAR
from cl_engine.kinds.schema import allowed_here, part_of
from cl_engine.kinds.signature import Part, Section, aliases, describe, options_model


class Option(NamedTuple):
    """One option as ``cl-engine list`` shows it.

    Attributes:
        name: of the option.
        required: whether it has no default.
        default: plain data; None too where there is none.
        allowed: what it may be, in words; of an option that names a part, which list to look in.
        description: what it is for.
        aliases: its other names.
    """

    name: str
    required: bool
    default: Any
    allowed: str
    description: str
    aliases: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Return the option as JSON holds it."""
        value = {"required": True} if self.required else {"default": self.default}
        other_names = {"aliases": list(self.aliases)} if self.aliases else {}
        return {"name": self.name, **other_names, **value, "allowed": self.allowed, "description": self.description}

    def line(self) -> str:
        """Return the option as one line of text, its default as YAML spells it."""
        plain_text = isinstance(self.default, str) and self.default
        default = "required" if self.required else self.default if plain_text else shown(self.default)
        names = " or ".join([self.name, *self.aliases])
        return f"{names} = {default}  ({self.allowed})  {self.description}"


def options(target: Callable[..., Any]) -> list[Option]:
    """Return the options of a kind in the order of its signature."""
    model = options_model(target)
    other_names = aliases(model)
    return [
        Option(
            name,
            info.is_required(),
            None if info.is_required() else info.default,
            f"a {SINGULAR[part.package]}: see {part.package}"
            if isinstance(part := part_of(model, name), Part)
            else allowed_here(model, name),
            info.description or "",
            tuple(alias for alias, own in other_names.items() if own == name),
        )
        for name, info in model.model_fields.items()
    ]


def sections(target: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    """Return the options of a kind that are mappings of options themselves: what each takes its options from."""
    model = options_model(target)
    parts = {name: part_of(model, name) for name in model.model_fields}
    return {name: part.target for name, part in parts.items() if isinstance(part, Section)}


def listed(name: str, target: Callable[..., Any]) -> dict[str, Any]:
    """Return a kind, or another thing that has options, with all of them, as ``cl-engine list`` takes it."""
    return {"name": name, "description": describe(target), "options": options(target)}
