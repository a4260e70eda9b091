"""Runs the Python program of the README."""

import re
from pathlib import Path

import olivine.core as mx

README = Path(__file__).parents[2] / "README.md"


def test_the_tour_learns_what_it_says() -> None:
    (program,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    mx.random.seed(0)
    names: dict[str, object] = {}
    exec(compile(program, str(README), "exec"), names)
    value = names["value"]
    assert isinstance(value, mx.array)
    assert value.item() < 0.15
