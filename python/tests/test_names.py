"""Compares the names of the native module with the public names of MLX 0.32.4."""

from pathlib import Path

import olivine.core as mx
import pytest

NAMES = Path(__file__).parents[2] / "crates/conformance/golden/names.txt"


@pytest.mark.parametrize("name", NAMES.read_text().split())
def test_the_name_is_there(name: str) -> None:
    owner = mx
    for part in name.split("."):
        assert hasattr(owner, part), name
        owner = getattr(owner, part)
