"""Runs the examples in the documentation of the native module, and checks that all of it has some."""

import doctest
import types
from collections.abc import Iterator
from typing import Any

import olivine.core as mx
import pytest

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
PARSER = doctest.DocTestParser()


def documented(owner: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """The public members of a module or class, by their full names."""
    for name in sorted(vars(owner)):
        if name.startswith("_"):
            continue
        member = getattr(owner, name)
        if isinstance(member, types.ModuleType):
            yield from documented(member, f"{prefix}.{name}")
        elif isinstance(member, type):
            yield f"{prefix}.{name}", member
            yield from documented(member, f"{prefix}.{name}")
        elif callable(member) or isinstance(member, types.GetSetDescriptorType):
            yield f"{prefix}.{name}", member


MEMBERS = dict(documented(mx, "mx"))


@pytest.mark.parametrize("name", MEMBERS)
def test_examples_do_what_they_show(name: str) -> None:
    text = MEMBERS[name].__doc__
    assert text, f"{name} has no documentation"
    examples = PARSER.get_doctest(text, {}, name, None, 0)
    runner = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
    report: list[str] = []
    runner.run(examples, out=report.append)
    assert runner.failures == 0, "".join(report)


def test_functions_have_examples() -> None:
    functions = [name for name, member in MEMBERS.items() if not isinstance(member, type)]
    assert len(functions) > 300
    bare = [
        name
        for name in functions
        if ">>>" not in (MEMBERS[name].__doc__ or "") and name.count(".") == 1
    ]
    assert not bare
