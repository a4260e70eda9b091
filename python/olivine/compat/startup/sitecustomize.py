"""Owns what a child process does first: it installs the hook that its parent had.

Python imports a module of this name at its start, and finds it because ``install`` has put its
folder into ``PYTHONPATH``.
"""

import importlib.machinery
import importlib.util
import os
import sys


def _start() -> None:
    folder = os.path.dirname(os.path.abspath(__file__))
    # The folder has served; another sitecustomize may wait behind it.
    sys.path[:] = [path for path in sys.path if os.path.abspath(path) != folder]
    if os.environ.get("OLIVINE_COMPAT_MLX") == "1":
        # The parent may have found olivine by a path of its own.
        source = os.path.abspath(os.path.join(folder, *[os.pardir] * 3))
        try:
            from olivine.compat.hook import install
        except ImportError:
            sys.path.append(source)
            from olivine.compat.hook import install
        install()
    following = importlib.machinery.PathFinder.find_spec("sitecustomize")
    if following is not None and following.loader is not None:
        module = importlib.util.module_from_spec(following)
        sys.modules["sitecustomize"] = module
        following.loader.exec_module(module)


if __name__ == "sitecustomize":
    _start()
