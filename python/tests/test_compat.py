"""Owns the tests of ``olivine.compat.mlx``, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from textwrap import dedent

import olivine
import pytest

SOURCE = str(Path(olivine.__file__).parent.parent)


def python(*arguments: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs Python in a clean environment that can import olivine."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "OLIVINE"))}
    environment |= {"PYTHONPATH": SOURCE, **variables}
    return subprocess.run(
        [sys.executable, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )


def output(*arguments: str, stdin: str = "", **variables: str) -> str:
    """Returns what a program prints, and fails if it fails."""
    result = python(*arguments, stdin=stdin, **variables)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def hooked(*arguments: str, stdin: str = "", **variables: str) -> str:
    """Returns what a program prints that is run by the command."""
    return output("-m", "olivine.compat.mlx", *arguments, stdin=stdin, **variables)


def installed(code: str) -> str:
    """Returns what code prints after it has called for the hook."""
    return output("-c", "import olivine.compat.mlx as compat\n" + dedent(code))


def test_the_modules_are_those_of_olivine() -> None:
    code = """
    compat.install()
    import mlx.core as mx, mlx.nn as nn, mlx.optimizers as optim, mlx.utils
    import mlx.nn.layers.linear, mlx.nn.losses, mlx.optimizers.schedulers
    import olivine.core, olivine.nn, olivine.optimizers, olivine.utils
    assert mx is olivine.core and nn is olivine.nn and optim is olivine.optimizers
    assert mlx.utils is olivine.utils and mlx.nn.losses is olivine.nn.losses
    assert mlx.nn.layers.linear.Linear is olivine.nn.Linear
    from mlx import optimizers
    from mlx.utils import tree_map
    assert optimizers is optim and tree_map is olivine.utils.tree_map
    assert nn.__spec__.name == "olivine.nn" and nn.__name__ == "olivine.nn"
    optim.SGD = None
    assert olivine.optimizers.SGD is None
    print("fine")
    """
    assert installed(code) == "fine"


def test_the_submodules_of_the_native_module_are_served() -> None:
    code = """
    compat.install()
    import mlx.core.random
    from mlx.core.fft import rfft
    import olivine.core
    assert mlx.core.random is olivine.core.random and rfft is olivine.core.fft.rfft
    print("fine")
    """
    assert installed(code) == "fine"


def test_modules_are_loaded_when_they_are_imported_and_not_before() -> None:
    code = """
    compat.install()
    import sys, mlx.utils
    print("olivine.core" in sys.modules, "olivine.nn" in sys.modules)
    """
    assert installed(code) == "False False"


def test_the_metadata_of_mlx_is_there() -> None:
    code = """
    compat.install()
    import importlib.metadata as metadata, importlib.util as util
    print(metadata.version("mlx"), metadata.metadata("MLX")["Name"], util.find_spec("mlx") is None)
    print(util.find_spec("mlx.core").name, [d.name for d in metadata.distributions()].count("mlx") > 0)
    try:
        metadata.version("mlx-nonsense")
    except metadata.PackageNotFoundError:
        print("not found")
    """
    assert installed(code).splitlines() == ["0.32.4 mlx False", "mlx.core True", "not found"]


def test_what_olivine_lacks_is_not_found() -> None:
    code = """
    compat.install()
    try:
        import mlx.nonsense.more
    except ModuleNotFoundError as error:
        print(error.name, error)
    """
    assert installed(code) == "mlx.nonsense olivine has no counterpart of 'mlx.nonsense'"


def test_install_refuses_when_the_real_package_is_imported(tmp_path: Path) -> None:
    (tmp_path / "mlx").mkdir()
    code = f"""
    import sys
    sys.path.insert(0, {str(tmp_path)!r})
    import mlx
    try:
        compat.install()
    except RuntimeError as error:
        print(error)
    print(compat.is_installed())
    """
    message, state = installed(code).splitlines()
    assert message.startswith("mlx is imported already; call olivine.compat.mlx.install() before")
    assert state == "False"


def test_uninstall_gives_the_name_back(tmp_path: Path) -> None:
    (tmp_path / "mlx").mkdir()
    (tmp_path / "mlx" / "__init__.py").write_text("real = True\n")
    code = f"""
    import os, sys
    sys.path.insert(0, {str(tmp_path)!r})
    before = dict(os.environ)
    compat.install()
    compat.install()
    import mlx.utils
    compat.uninstall()
    assert dict(os.environ) == before
    compat.uninstall()
    import mlx
    print(mlx.real, compat.is_installed())
    """
    assert installed(code) == "True False"


def test_importing_the_package_installs_nothing() -> None:
    assert installed("import sys\nprint(compat.is_installed(), 'mlx' in sys.modules)") == (
        "False False"
    )


SHOW = """
import json, sys
import mlx.utils
main = sys.modules["__main__"]
print(json.dumps({
    "argv": sys.argv, "path": sys.path, "name": __name__, "file": globals().get("__file__"),
    "own": vars(main) is globals(), "package": __package__,
    "spec": getattr(__spec__, "name", None), "module": mlx.utils.__name__,
}))
"""
PLAIN = SHOW.replace("import mlx.utils", "import olivine.utils; mlx = olivine")


@pytest.mark.parametrize("safe_path", ["", "1"])
@pytest.mark.parametrize("kind", ["script", "link", "folder", "zip", "code", "stdin", "module"])
def test_programs_see_what_python_would_show_them(
    kind: str, safe_path: str, tmp_path: Path
) -> None:
    def arguments(text: str) -> tuple[list[str], str]:
        if kind == "code":
            return ["-c", text, "-x", "y"], ""
        if kind == "stdin":
            return ["-", "y"], text
        script = tmp_path / "program.py"
        script.write_text(text)
        if kind == "link":
            (tmp_path / "elsewhere").mkdir(exist_ok=True)
            link = tmp_path / "elsewhere" / "link.py"
            link.unlink(missing_ok=True)
            link.symlink_to(script)
            return [str(link)], ""
        if kind == "folder":
            (tmp_path / "__main__.py").write_text(text)
            return [str(tmp_path), "--flag"], ""
        if kind == "zip":
            with zipfile.ZipFile(tmp_path / "program.pyz", "w") as archive:
                archive.writestr("__main__.py", text)
            return [str(tmp_path / "program.pyz"), "1"], ""
        if kind == "module":
            package = tmp_path / "package"
            package.mkdir(exist_ok=True)
            (package / "__init__.py").write_text("")
            (package / "__main__.py").write_text(text)
            return ["-m", "package", "-m", "x"], ""
        return [os.path.relpath(script), "--help", "-m"], ""

    paths = os.pathsep.join([SOURCE, str(tmp_path)])
    variables = {"PYTHONPATH": paths, "PYTHONSAFEPATH": safe_path}
    command, stdin = arguments(PLAIN)
    expected = json.loads(output(*command, stdin=stdin, **variables))
    command, stdin = arguments(SHOW)
    assert json.loads(hooked(*command, stdin=stdin, **variables)) == expected


def test_future_statements_of_the_launcher_do_not_leak() -> None:
    assert hooked("-c", "def f(x: 1 + 1): pass\nprint(f.__annotations__)") == "{'x': 2}"


def test_exit_codes_and_errors_are_the_programs() -> None:
    result = python("-m", "olivine.compat.mlx", "-c", "import sys; sys.exit(3)")
    assert result.returncode == 3
    result = python("-m", "olivine.compat.mlx", "-c", "1 / 0")
    assert result.returncode == 1
    assert result.stderr.strip().endswith("ZeroDivisionError: division by zero")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "see --help"),
        (["-m"], "-m needs an argument"),
        (["--nonsense"], "no option --nonsense"),
        (["-m", "nonsense.more"], "No module named nonsense.more"),
        (["-m", "email"], "email is a package without a __main__ module"),
        (["nonsense.py"], "can't open file"),
        ([str(Path(SOURCE) / "olivine" / "compat")], "no __main__.py"),
    ],
)
def test_wrong_command_lines_are_explained(arguments: list[str], message: str) -> None:
    result = python("-m", "olivine.compat.mlx", *arguments)
    assert result.returncode != 0
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_help_teaches() -> None:
    text = hooked("--help")
    assert "python -m olivine.compat.mlx -m mlx_lm generate" in text
    assert "install()" in text
    assert hooked("-V").endswith("0.32.4")


def test_a_module_that_fails_to_import_something_says_so(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import absent_package\n")
    result = python(
        "-m", "olivine.compat.mlx", "-m", "broken", PYTHONPATH=f"{SOURCE}{os.pathsep}{tmp_path}"
    )
    assert "No module named 'absent_package'" in result.stderr


def test_subprocesses_have_the_hook() -> None:
    child = (
        "import mlx.utils, sys; print(mlx.utils.__name__, any('startup' in p for p in sys.path))"
    )
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    assert hooked("-c", code) == "olivine.utils False"
    assert hooked("-c", code, PYTHONWARNINGS="error") == "olivine.utils False"
    nested = (
        "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]], check=True)"
    )
    assert hooked("-c", nested, code) == "olivine.utils False"


def test_the_command_works_below_itself_without_a_warning() -> None:
    code = dedent("""
        import subprocess, sys
        command = [sys.executable, "-m", "olivine.compat.mlx", "-c", "import mlx.utils; print(1)"]
        done = subprocess.run(command, capture_output=True, text=True)
        print(done.stdout.strip(), repr(done.stderr))
    """)
    assert hooked("-c", code) == "1 ''"


def test_subprocesses_do_without_the_hook_if_told_so() -> None:
    code = """
    import os
    compat.install(children=False)
    import mlx.utils
    print("OLIVINE_COMPAT_MLX" in os.environ, "startup" in os.environ["PYTHONPATH"])
    """
    assert installed(code) == "False False"


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_multiprocessing_children_have_the_hook(method: str, tmp_path: Path) -> None:
    if method not in __import__("multiprocessing").get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    script = tmp_path / "program.py"
    script.write_text(
        dedent(f"""
        import multiprocessing
        from mlx.utils import tree_map

        def work(tree):
            return tree_map(lambda x: x + 1, tree), tree_map.__module__

        if __name__ == "__main__":
            with multiprocessing.get_context("{method}").Pool(1) as pool:
                print(pool.apply(work, ([1, 2],)))
        """)
    )
    assert hooked(str(script)) == "([2, 3], 'olivine.utils')"


def test_another_sitecustomize_still_runs(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('other')\n")
    child = "import mlx.utils, sitecustomize; print(mlx.utils.__name__, sitecustomize.__file__)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    lines = hooked("-c", code, PYTHONPATH=f"{SOURCE}{os.pathsep}{tmp_path}").splitlines()
    assert sorted(lines) == sorted(
        ["other", "other", f"olivine.utils {tmp_path / 'sitecustomize.py'}"]
    )


def test_a_child_finds_olivine_where_its_parent_did() -> None:
    child = "import mlx.utils; print(mlx.utils.__name__)"
    code = dedent(f"""
        import subprocess, sys
        sys.path.insert(0, {SOURCE!r})
        import olivine.compat.mlx
        olivine.compat.mlx.install()
        print(subprocess.run([sys.executable, "-c", {child!r}], capture_output=True, text=True).stdout)
    """)
    assert output("-c", code, PYTHONPATH="") == "olivine.utils"


def test_pickles_that_name_modules_of_mlx_are_read() -> None:
    code = """
    compat.install()
    import pickle
    from olivine.optimizers import cosine_decay
    print(pickle.loads(b"cmlx.optimizers\\ncosine_decay\\n.") is cosine_decay)
    """
    assert installed(code) == "True"
