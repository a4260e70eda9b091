"""Owns ``python -m olivine.compat.mlx``: starting a program as Python would, under the hook."""

from __future__ import annotations

import importlib.util
import io
import os
import pkgutil
import sys
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.metadata import PackageNotFoundError, version
from types import CodeType, ModuleType
from typing import Any

from olivine.compat import hook

HELP = """\
Run a Python program that imports mlx on olivine, without changing it.

usage: python -m olivine.compat.mlx SCRIPT [ARGUMENT …]
       python -m olivine.compat.mlx -m MODULE [ARGUMENT …]
       python -m olivine.compat.mlx -c CODE [ARGUMENT …]

  SCRIPT       a Python file, a folder or zip file with a __main__.py, or - for standard input
  -m MODULE    a module or package, as in python -m MODULE
  -c CODE      a piece of code, as in python -c CODE
  -h, --help   show this and stop
  -V, --version  show the versions and stop

The program sees sys.argv, sys.path and __main__ as if Python had started it. While it runs,
import mlx, mlx.core, mlx.nn, mlx.optimizers and mlx.utils give the modules of olivine, and so
they do in Python processes that it starts. The real mlx may be installed or not; it is not used.

examples:
  python -m olivine.compat.mlx train.py --epochs 3
  python -m olivine.compat.mlx -m mlx_lm generate --model DIR --prompt "Once upon a time"
  python -m olivine.compat.mlx "$(command -v mlx_lm.server)" --model DIR
  python -m olivine.compat.mlx -c "import mlx.core as mx; print(mx.arange(3) * 2)"

To ask for it inside a program instead, call this before the first import of mlx:
  import olivine.compat.mlx
  olivine.compat.mlx.install()

Processes started with -E, -I or -S ignore the environment, so they have no hook unless they
install it. To try a shell's every Python, set OLIVINE_COMPAT_MLX=1 and put this folder first
in PYTHONPATH:
  {startup}
"""


def main(arguments: list[str] | None = None) -> None:
    """Runs the program that the command line names.

    Args:
        arguments: The command line without the program's name. The default is ``sys.argv``.

    Raises:
        SystemExit: If the program does, or there is none to run.

    Example:
        >>> from olivine.compat.launch import main
        >>> main(["--version"])  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        SystemExit: 0
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    first, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if first in {"-h", "--help"}:
        print(HELP.format(startup=hook.STARTUP), end="")
        sys.exit(0)
    if first in {"-V", "--version"}:
        print(f"olivine {_version()}, with the names of mlx {hook.MLX_VERSION}")
        sys.exit(0)
    if first in {"-m", "-c"} and rest:
        start = _start_module if first == "-m" else _start_code
        start(rest[0], rest[1:])
    elif first == "-" or (first and not first.startswith("-")):
        _start_script(first, rest)
    else:
        problem = f"{first} needs an argument" if first in {"-m", "-c"} else f"no option {first}"
        print(f"{problem if first else 'no program to run'}; see --help", file=sys.stderr)
        sys.exit(2)


def _version() -> str:
    try:
        return version("olivine")
    except PackageNotFoundError:
        return "(not installed)"


def _first_path(path: str) -> None:
    """Puts a folder in the place where Python keeps that of the program."""
    # Python 3.10 has no such flag; with it there is no such place.
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = path


def _run(code: CodeType, **attributes: Any) -> None:
    """Executes code as a new ``__main__``, which stays: threads and pickles may look it up."""
    module = ModuleType("__main__")
    vars(module).update({"__package__": None, "__spec__": None, "__loader__": None, **attributes})
    sys.modules["__main__"] = module
    exec(code, vars(module))  # noqa: S102 - running a program is the purpose


def _run_spec(spec: ModuleSpec) -> None:
    code = getattr(spec.loader, "get_code", lambda name: None)(spec.name)
    if code is None:
        sys.exit(f"{spec.name} has no code to run")
    _run(
        code,
        __file__=spec.origin,
        __cached__=spec.cached,
        __loader__=spec.loader,
        __package__=spec.parent,
        __spec__=spec,
    )


def _start_code(code: str, arguments: list[str]) -> None:
    sys.argv = ["-c", *arguments]
    _first_path("")
    hook.install()
    _run(compile(code, "<string>", "exec", dont_inherit=True))


def _start_module(name: str, arguments: list[str]) -> None:
    sys.argv = ["-m", *arguments]
    hook.install()
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.__main__") or spec
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.__main__.".startswith(f"{error.name}."):
            raise
        spec = None
    if spec is None:
        sys.exit(f"{sys.executable}: No module named {name}")
    if spec.submodule_search_locations is not None:
        sys.exit(f"{sys.executable}: {name} is a package without a __main__ module")
    sys.argv[0] = spec.origin or name
    _run_spec(spec)


def _start_script(path: str, arguments: list[str]) -> None:
    sys.argv = [path, *arguments]
    if path == "-":
        _first_path("")
        hook.install()
        source = sys.stdin.buffer.read()
        _run(compile(source, "<stdin>", "exec", dont_inherit=True), __file__="<stdin>")
        return
    importer = pkgutil.get_importer(path)
    if importer is not None:  # a folder or a zip file
        if getattr(sys.flags, "safe_path", False):
            sys.path.insert(0, path)  # as Python does, since nothing in it would be found
        _first_path(path)
        hook.install()
        inside = importer.find_spec("__main__")
        if inside is None:
            sys.exit(f"{sys.executable}: there is no __main__.py in {path!r}")
        _run_spec(inside)
        return
    file_name = os.path.join(os.getcwd(), path)
    try:
        with io.open_code(file_name) as file:
            source = file.read()
    except OSError as error:
        sys.exit(f"{sys.executable}: can't open file {file_name!r}: {error.strerror}")
    # Python resolves links here, so that a script finds what lies beside the real file.
    _first_path(os.path.dirname(os.path.realpath(path)))
    hook.install()
    _run(
        compile(source, file_name, "exec", dont_inherit=True),
        __file__=file_name,
        __cached__=None,
        __loader__=SourceFileLoader("__main__", file_name),
    )
