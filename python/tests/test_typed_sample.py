"""Owns the tests of the program in ``typed_sample.py``: it runs, and its types fit."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import olivine
import olivine.core as mx
import pytest

SAMPLE = Path(__file__).parent / "typed_sample.py"


def test_the_sample_does_what_it_says() -> None:
    spec = importlib.util.spec_from_file_location("typed_sample", SAMPLE)
    assert spec is not None and spec.loader is not None
    sample = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sample)
    losses = sample.train(60)
    assert losses[-1] < 0.2 * losses[0]
    assert sample.arrays() == ((2, 2), mx.float32, [20.0, 2624.0])
    assert sample.slopes() == ([[0.0, 10.0], [0.0, 10.0]], 22.0)
    assert sample.files() == (["a", "b"], {"made by": "hand"}, True)
    assert sample.streams() == (True, mx.default_device())
    assert sample.trees() == {
        "first.weight": (3, 2),
        "first.bias": (3,),
        "second.weight": (1, 3),
    }


def test_the_package_says_that_it_is_typed() -> None:
    package = Path(olivine.__file__).parent
    assert (package / "py.typed").exists()
    assert (package / "core/__init__.pyi").exists()


def test_type_checkers_find_nothing_in_the_sample() -> None:
    pytest.importorskip("mypy", reason="mypy is not installed")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", str(SAMPLE)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
