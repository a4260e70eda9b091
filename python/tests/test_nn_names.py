"""The public names of olivine.nn, their arguments and defaults are those of mlx.nn 0.32.4."""

from __future__ import annotations

import importlib
import inspect
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

NAMES = Path(__file__).with_name("nn_names.txt")

# Each module, and the families of layers, which programs import by name.
MODULES = ("nn", "nn.init", "nn.losses", "nn.utils")
FAMILIES = "nn.layers"


def _default(value: Any) -> str:
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value)
    if callable(value):
        return "<function>"
    return str(value).removeprefix("mlx.core.").removeprefix("olivine.core.")


def _arguments(function: Callable[..., Any]) -> str:
    """The names of arguments and their defaults, with the marks of what must be named."""
    shown = []
    named_only = False
    for p in inspect.signature(function).parameters.values():
        if p.name in ("self", "cls", "_"):
            continue
        if p.kind is p.KEYWORD_ONLY and not named_only:
            named_only = True
            shown.append("*")
        mark = "*" if p.kind is p.VAR_POSITIONAL else "**" if p.kind is p.VAR_KEYWORD else ""
        end = "" if p.default is p.empty else f"={_default(p.default)}"
        shown.append(f"{mark}{p.name}{end}")
    return ", ".join(shown)


def _methods(name: str, kind: type, base: type) -> Iterator[str]:
    """The public members of a class that are not those of a base class."""
    for member in dir(kind):
        found = getattr(kind, member)
        if found is getattr(base, member, None) or member == "fromkeys":
            continue
        if isinstance(found, property):
            yield f"{name}.{member}"
        elif callable(found) and (member == "__call__" or not member.startswith("_")):
            yield f"{name}.{member}({_arguments(found)})"


def describe(package: str) -> list[str]:
    """One line for each public name of the neural networks of a package."""
    nn = importlib.import_module(f"{package}.nn")
    modules = [(path, importlib.import_module(f"{package}.{path}")) for path in MODULES]
    lines = set()
    for family, module in vars(importlib.import_module(f"{package}.{FAMILIES}")).items():
        if isinstance(module, types.ModuleType) and module.__name__.startswith(f"{package}.nn."):
            lines.add(f"nn.{family}")
            modules.append((f"{FAMILIES}.{family}", module))
    for path, module in modules:
        for name, value in vars(module).items():
            home = getattr(value, "__module__", None) or ""
            ours = home == module.__name__ or module is nn and home.startswith(f"{package}.nn")
            if name.startswith("_") or not ours or path != "nn" and hasattr(nn, name):
                continue
            if inspect.isclass(value) and issubclass(value, dict):
                lines.add(f"{path}.{name}({_arguments(value.__init__)})")
                lines.update(_methods(f"{path}.{name}", value, nn.Module))
            elif callable(value) and not inspect.isclass(value):
                lines.add(f"{path}.{name}({_arguments(value)})")
    lines.update(_methods("nn.Module", nn.Module, dict))
    return sorted(lines)


def test_every_name_of_the_list_is_there_with_the_same_arguments() -> None:
    missing = set(NAMES.read_text().splitlines()) - set(describe("olivine"))
    assert not sorted(missing)


def test_every_public_layer_function_and_method_is_on_the_list() -> None:
    listed = {line.split("(")[0] for line in NAMES.read_text().splitlines()}
    extra = {line.split("(")[0] for line in describe("olivine")} - listed
    assert not sorted(extra)


def test_a_star_import_gives_what_the_reference_package_gives() -> None:
    nn = importlib.import_module("olivine.nn")
    listed = {line.split("(")[0] for line in NAMES.read_text().splitlines()}
    top = {name.removeprefix("nn.") for name in listed if name.count(".") == 1}
    assert top <= set(nn.__all__)
    assert {"init", "layers", "losses", "utils"} <= set(nn.__all__)
