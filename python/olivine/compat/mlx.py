"""Owns the public way to run programs that were written for ``mlx``.

``python -m olivine.compat.mlx --help`` tells how to start one; a program that shall always run
on olivine calls :func:`install` before it imports ``mlx``. Importing this module does nothing.
"""

from olivine.compat.hook import MLX_VERSION, install, is_installed, uninstall

__all__ = ["MLX_VERSION", "install", "is_installed", "uninstall"]

if __name__ == "__main__":
    from olivine.compat.launch import main

    main()
