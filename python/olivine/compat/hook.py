"""Owns the import hook that serves ``mlx`` from ``olivine``."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import re
import sys
from collections.abc import Iterable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

__all__ = ["MLX_VERSION", "install", "is_installed", "uninstall"]

MLX_VERSION = "0.32.4"
"""The version of MLX whose names and behaviour olivine has."""

# Child processes look at this variable, in startup/sitecustomize.py.
VARIABLE = "OLIVINE_COMPAT_MLX"
STARTUP = str(Path(__file__).absolute().parent / "startup")


def _ours(name: str) -> str:
    """Returns the name of the module that stands for ``mlx`` or ``mlx.…``."""
    return "olivine" + name.removeprefix("mlx")


def _find(name: str) -> ModuleType | None:
    """Returns the module of olivine that stands for a module of mlx."""
    target = _ours(name)
    try:
        return importlib.import_module(target)
    except ModuleNotFoundError as error:
        # A module that olivine has but that cannot import something is an error to report.
        if error.name is None or not f"{target}.".startswith(f"{error.name}."):
            raise
    # A native module's submodules are attributes that only exist once it is loaded.
    parent, _, child = target.rpartition(".")
    module = getattr(sys.modules.get(parent), child, None)
    return module if isinstance(module, ModuleType) else None


class _Metadata(importlib.metadata.Distribution):
    """The metadata of an installed ``mlx``, for programs that ask for its version."""

    def read_text(self, filename: str) -> str | None:
        if filename == "METADATA":
            return f"Metadata-Version: 2.1\nName: mlx\nVersion: {MLX_VERSION}\n"
        return None

    def locate_file(self, path: str | os.PathLike[str]) -> Path:
        return Path(__file__).parent / path


class _Loader(Loader):
    """Hands out a module that exists already and leaves it as it was."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.spec = module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec
        if module.__name__ == "olivine.core":
            # Programs read names such as mlx.core.float32 in what is printed.
            module._stand_in(True)
            # It is no package, so `import mlx.core.random` looks nowhere else.
            for child, value in vars(module).items():
                if isinstance(value, ModuleType):
                    sys.modules.setdefault(f"mlx.core.{child}", value)


class _Finder(MetaPathFinder):
    """Finds ``mlx`` and all that is in it."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != "mlx":
            return None
        module = _find(fullname)
        if module is None:
            # Whoever came next would load a second copy of a file of olivine.
            raise ModuleNotFoundError(f"olivine has no counterpart of {fullname!r}", name=fullname)
        package = hasattr(module, "__path__")
        return ModuleSpec(
            fullname, _Loader(module), origin=getattr(module, "__file__", None), is_package=package
        )

    def find_distributions(
        self, context: importlib.metadata.DistributionFinder.Context | None = None
    ) -> Iterable[importlib.metadata.Distribution]:
        """Yields the metadata of ``mlx`` if it is asked for."""
        name = getattr(context, "name", None)
        if name is None or re.sub(r"[-_.]+", "-", name).lower() == "mlx":
            yield _Metadata()


_FINDER = _Finder()


def is_installed() -> bool:
    """Tells whether ``import mlx`` gives olivine.

    Example:
        >>> from olivine.compat import mlx
        >>> mlx.is_installed()
        False
    """
    return _FINDER in sys.meta_path


def install(*, children: bool = True) -> None:
    """Lets every later ``import mlx`` give olivine.

    ``mlx``, ``mlx.core``, ``mlx.nn``, ``mlx.optimizers``, ``mlx.utils`` and all below them are then
    the very modules of olivine, and ``importlib.metadata.version("mlx")`` answers with
    ``MLX_VERSION``. Calling it again does nothing.

    Args:
        children: Whether Python processes that this one starts shall have the hook too. They
            learn of it through the environment.

    Raises:
        RuntimeError: If the real ``mlx`` is imported already.

    Example:
        >>> import subprocess, sys
        >>> code = "from olivine.compat.mlx import install; install(); import mlx.utils as u; print(u)"
        >>> output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        >>> "olivine" in output.stdout or output.stderr
        True
    """
    if not is_installed():
        loaded = sorted(n for n in sys.modules if n.partition(".")[0] == "mlx")
        if loaded:
            raise RuntimeError(
                f"{loaded[0]} is imported already; call olivine.compat.mlx.install() before"
                " anything imports mlx"
            )
        sys.meta_path.insert(0, _FINDER)
    if children:
        os.environ[VARIABLE] = "1"
        paths = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
        if STARTUP not in paths:
            os.environ["PYTHONPATH"] = os.pathsep.join([STARTUP, *paths])


def uninstall() -> None:
    """Takes the hook away, so that ``import mlx`` looks for the real package again.

    What a program has imported stays with it.

    Example:
        >>> from olivine.compat import mlx
        >>> mlx.uninstall()
        >>> mlx.is_installed()
        False
    """
    if not is_installed():
        return
    sys.meta_path.remove(_FINDER)
    if core := sys.modules.get("olivine.core"):
        core._stand_in(False)
    for name in [n for n in sys.modules if n.partition(".")[0] == "mlx"]:
        del sys.modules[name]
    os.environ.pop(VARIABLE, None)
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if STARTUP in paths:
        paths.remove(STARTUP)
        if any(paths):
            os.environ["PYTHONPATH"] = os.pathsep.join(paths)
        else:
            del os.environ["PYTHONPATH"]
