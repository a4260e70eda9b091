"""Prints the reference package's public names, one a line; with `--check FILE`, compares them with FILE.

Run: `python crates/conformance/scripts/names.py > crates/conformance/golden/names.txt`.
"""

import pathlib
import sys

import mlx.core as mx


def public(module, prefix=""):
    return [prefix + name for name in dir(module) if not name.startswith("_")]


def names():
    found = public(mx)
    for module in ("fast", "linalg", "fft", "random"):
        found += public(getattr(mx, module), f"{module}.")
    return sorted(found)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--check"]:
        listed = pathlib.Path(sys.argv[2]).read_text(encoding="ascii").split()
        differ = sorted(set(listed) ^ set(names()))
        if differ:
            sys.exit(f"{sys.argv[2]} is out of date; these names came or went: {differ}")
    else:
        print("\n".join(names()))
