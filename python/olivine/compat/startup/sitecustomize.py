"""Owns what a child process does first: it installs the hook that its parent had.

Python imports a module of this name at its start, and finds it because ``install`` has put its
folder into ``PYTHONPATH``.
"""

import importlib.machinery
import importlib.util
import os
import sys

_folder = os.path.dirname(os.path.abspath(__file__))
# The folder has served; another sitecustomize may wait behind it.
sys.path[:] = [path for path in sys.path if os.path.abspath(path) != _folder]

if os.environ.get("OLIVINE_COMPAT_MLX") == "1":
    try:
        import olivine.compat.hook
    except ImportError:
        # The parent had a path of its own.
        sys.path.append(os.path.abspath(os.path.join(_folder, *[os.pardir] * 3)))
        import olivine.compat.hook

    olivine.compat.hook.install()

_next = importlib.machinery.PathFinder.find_spec("sitecustomize")
if _next is not None and _next.loader is not None:
    _module = importlib.util.module_from_spec(_next)
    sys.modules["sitecustomize"] = _module
    _next.loader.exec_module(_module)
