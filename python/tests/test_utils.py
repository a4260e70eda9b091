"""Owns the tests of trees, which need no arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from olivine.utils import (
    tree_flatten,
    tree_map,
    tree_map_with_path,
    tree_merge,
    tree_reduce,
    tree_unflatten,
)


class Pair(NamedTuple):
    left: Any
    right: Any


class Mapping(dict[str, Any]):
    """A dictionary of its own kind, as modules are."""


def test_map_keeps_the_kinds_of_sequences() -> None:
    tree = [(1, 2), Pair(3, [4]), {"a": 5}]
    mapped = tree_map(lambda x: x * 10, tree)
    assert mapped == [(10, 20), Pair(30, [40]), {"a": 50}]
    assert isinstance(mapped[1], Pair)


def test_map_makes_plain_dictionaries_of_mappings() -> None:
    assert type(tree_map(lambda x: x, Mapping(a=1))) is dict


def test_map_takes_only_what_the_first_tree_has_from_the_others() -> None:
    result = tree_map(lambda x, y, z: (x, y, z), {"a": [1]}, {"a": [2, 3], "b": 4}, {"a": [{5}]})
    assert result == {"a": [(1, 2, {5})]}
    with pytest.raises(KeyError):
        tree_map(lambda x, y: x, {"a": 1}, {"b": 1})
    with pytest.raises(IndexError):
        tree_map(lambda x, y: x, [1, 2], [1])


def test_map_passes_whole_subtrees_of_the_others_at_leaves() -> None:
    assert tree_map(lambda x, s: s["m"] + x, {"w": 1}, {"w": {"m": 2}}) == {"w": 3}


def test_map_stops_at_what_is_leaf_calls_a_leaf() -> None:
    shapes = {"w": (2, 3)}
    assert tree_map(sum, shapes, is_leaf=lambda x: isinstance(x, tuple)) == {"w": 5}
    assert tree_map(id, shapes, is_leaf=lambda x: True) == id(shapes)


def test_map_of_a_leaf_is_the_result() -> None:
    assert tree_map(lambda x: x + 1, 1) == 2
    assert tree_map(lambda x: x is None, [None]) == [True]


def test_paths_are_joined_with_dots() -> None:
    seen: list[Any] = []
    tree_map_with_path(lambda path, x: seen.append((path, x)), {"a": [1, Pair(2, 3)], 4: 5})
    assert seen == [("a.0", 1), ("a.1.0", 2), ("a.1.1", 3), ("4", 5)]


def test_paths_begin_with_the_given_one() -> None:
    assert tree_map_with_path(lambda path, x: path, [0], path="model") == ["model.0"]
    assert tree_map_with_path(lambda path, x: path, 0) is None
    assert tree_map_with_path(lambda path, x: path, [0], path="") == ["0"]


def test_map_with_path_takes_other_trees_and_leaves() -> None:
    result = tree_map_with_path(
        lambda path, x, y: (path, x, y), Pair([1], 2), Pair("a", "b"), is_leaf=lambda x: x == [1]
    )
    assert result == Pair(("0", [1], "a"), ("1", 2, "b"))


def test_flatten_lists_leaves_in_order() -> None:
    tree = {"b": [1, (2, Pair(3, 4))], "a": {"c": None}}
    assert tree_flatten(tree) == [
        ("b.0", 1),
        ("b.1.0", 2),
        ("b.1.1.0", 3),
        ("b.1.1.1", 4),
        ("a.c", None),
    ]
    assert tree_flatten(7) == [("", 7)]
    assert tree_flatten({"a": [], "b": {}}) == []


def test_flatten_drops_the_first_character_of_the_prefix() -> None:
    assert tree_flatten([[0]], prefix=".model") == [("model.0.0", 0)]
    assert tree_flatten(0, ".x") == [("x", 0)]


def test_flatten_fills_a_destination() -> None:
    pairs: list[tuple[str, Any]] = [("x", 0)]
    assert tree_flatten([1], destination=pairs) is pairs
    assert pairs == [("x", 0), ("0", 1)]
    named: dict[str, Any] = {"x": 0}
    assert tree_flatten({"y": [1]}, destination=named) is named
    assert named == {"x": 0, "y.0": 1}
    with pytest.raises(ValueError, match="destination"):
        tree_flatten([1], destination=())  # type: ignore[call-overload]


def test_flatten_stops_at_what_is_leaf_calls_a_leaf() -> None:
    tree = {"a": [1, 2], "b": {"c": [3]}}
    assert tree_flatten(tree, is_leaf=lambda x: isinstance(x, list)) == [
        ("a", [1, 2]),
        ("b.c", [3]),
    ]


@pytest.mark.parametrize(
    "tree",
    [
        {"layers": [{"w": 1, "b": 2}, {"w": 3}], "x": {"10": 4, "a": 5}},
        [[[0]]],
        {"a": 1},
        [],
        5,
        [{}, {}, {"a": 1}],
        {"01": "a", "1": "b"},
    ],
)
def test_unflatten_undoes_flatten(tree: Any) -> None:
    assert tree_unflatten(tree_flatten(tree)) == tree
    if isinstance(tree, dict):
        assert tree_unflatten(tree_flatten(tree, destination={})) == tree


def test_unflatten_sorts_lists_and_fills_gaps() -> None:
    assert tree_unflatten([("10", "j"), ("9", "i"), ("2", "b")]) == [
        {},
        {},
        "b",
        *[{} for _ in range(6)],
        "i",
        "j",
    ]


def test_unflatten_refuses_a_path_that_occurs_twice() -> None:
    with pytest.raises(ValueError, match="same path"):
        tree_unflatten([("a.b", 1), ("a.b", 2)])


def test_a_leaf_above_other_leaves_gets_the_empty_key() -> None:
    assert tree_unflatten([("a", 1), ("a.b", 2)]) == {"a": {"": 1, "b": 2}}


def test_reduce_goes_from_the_first_leaf_to_the_last() -> None:
    tree = {"a": ["x", ("y",)], "b": "z"}
    assert tree_reduce(lambda a, b: a + b, tree) == "xyz"
    assert tree_reduce(lambda a, b: a + b, tree, "_") == "_xyz"
    assert tree_reduce(lambda a, b: a + b, [], 3) == 3
    assert tree_reduce(lambda a, b: a + b, {}) is None


def test_reduce_stops_at_what_is_leaf_calls_a_leaf() -> None:
    tree = [(1, 2), (3, 4, 5)]
    assert tree_reduce(lambda a, b: a + len(b), tree, 0, lambda x: isinstance(x, tuple)) == 5


def test_merge_joins_dictionaries_and_lists() -> None:
    a = {"x": [1, None, {"y": 2}], "only_a": 3}
    b = {"x": [None, 4, {"z": 5}, 6], "only_b": (7,)}
    assert tree_merge(a, b) == {
        "x": [1, 4, {"y": 2, "z": 5}, 6],
        "only_a": 3,
        "only_b": (7,),
    }


def test_merge_keeps_the_kind_of_the_first_sequence() -> None:
    merged = tree_merge(Pair(1, {}), Pair(None, 2))
    assert merged == Pair(1, 2) and isinstance(merged, Pair)
    assert tree_merge((1, None), [None, 2]) == (1, 2)


def test_empty_containers_are_missing_subtrees() -> None:
    assert tree_merge({}, [1]) == [1]
    assert tree_merge({"a": 1}, ()) == {"a": 1}
    assert tree_merge([], None) == []
    assert tree_merge(None, {}) == {}
    assert tree_merge(None, {"a": 1}) == {"a": 1}
    assert tree_merge({}, {}) == {}
    with pytest.raises(ValueError, match="list and dict"):
        tree_merge([], {})


def test_leaves_at_the_same_place_need_a_function() -> None:
    assert tree_merge({"a": [1]}, {"a": [2]}, lambda x, y: (x, y)) == {"a": [(1, 2)]}
    with pytest.raises(ValueError, match="merge_fn"):
        tree_merge({"a": 1}, {"a": 2})
    with pytest.raises(ValueError, match="merge_fn"):
        tree_merge({"a": 1}, {"a": [2]})
