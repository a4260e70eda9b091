"""Checks that NumPy and the reference package read the files that the Rust suite wrote beside the cases.

Run by `cargo xtask test`: `python crates/conformance/scripts/check_files.py target/differential/cases`.
The vectors of CASES.npz were written again as exchange/*.npy, all.npz, packed.npz, all.safetensors and all.gguf.
"""

import pathlib
import sys

import mlx.core as mx
import numpy as np

cases = pathlib.Path(sys.argv[1])
folder = cases.parent / "exchange"
checked = 0


def same(got, name, where):
    """Compares bits, so that NaN equals NaN."""
    global checked
    if isinstance(got, mx.array):
        if got.dtype == mx.bfloat16:
            got = got.view(mx.uint16)
        got = np.array(got)
    if got.dtype == np.dtype("V2"):
        got = got.view(np.uint16)
    wanted = expected[name]
    if got.shape != wanted.shape or got.dtype != wanted.dtype or got.tobytes() != wanted.tobytes():
        sys.exit(f"{where}: {name} was read as {got.dtype} {got.shape}, not as it was written")
    checked += 1


expected = dict(np.load(cases.with_suffix(".npz")))
for name in expected:
    same(np.load(folder / f"{name}.npy"), name, f"{name}.npy by NumPy")
    same(mx.load(str(folder / f"{name}.npy")), name, f"{name}.npy by the reference")
for file in ("all.npz", "packed.npz"):
    with np.load(folder / file) as archive:
        if sorted(archive.files) != sorted(expected):
            sys.exit(f"{file} has other members: {archive.files}")
        for name in expected:
            same(archive[name], name, f"{file} by NumPy")
for file, least in (("all.safetensors", 13), ("all.gguf", 5)):
    arrays, metadata = mx.load(str(folder / file), return_metadata=True)
    if len(arrays) < min(least, len(expected)) or metadata.get("made.by") != "olivine":
        sys.exit(f"{file}: {sorted(arrays)} with {metadata}")
    for name, array in arrays.items():
        same(array, name, f"{file} by the reference")
print(f"{checked} arrays are read as they were written")
