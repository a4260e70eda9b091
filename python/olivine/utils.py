"""Owns the functions on trees: nested lists, tuples and dictionaries with arrays as leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import zip_longest
from typing import Any, TypeAlias, overload

__all__ = [
    "tree_flatten",
    "tree_map",
    "tree_map_with_path",
    "tree_merge",
    "tree_reduce",
    "tree_unflatten",
]

_IsLeaf: TypeAlias = Callable[[Any], Any] | None
_Pairs: TypeAlias = list[tuple[str, Any]]


def _branches(tree: Any, is_leaf: _IsLeaf = None) -> list[tuple[Any, Any]] | None:
    """Returns the keys and subtrees of a container, or ``None`` for a leaf."""
    if is_leaf is not None and is_leaf(tree):
        return None
    if isinstance(tree, (list, tuple)):
        return list(enumerate(tree))
    if isinstance(tree, dict):
        return list(tree.items())
    return None


def _rebuild(like: Any, keys: list[Any], values: list[Any]) -> Any:
    """Makes a container of the same kind as ``like``; every mapping becomes a plain ``dict``."""
    if isinstance(like, dict):
        return dict(zip(keys, values))
    if hasattr(like, "_fields"):  # named tuples take their fields one by one
        return type(like)(*values)
    return type(like)(values)


def _leaves(tree: Any, path: str, is_leaf: _IsLeaf) -> Iterator[tuple[str, Any]]:
    branches = _branches(tree, is_leaf)
    if branches is None:
        yield path, tree
        return
    for key, child in branches:
        yield from _leaves(child, f"{path}.{key}", is_leaf)


def tree_map(fn: Callable[..., Any], tree: Any, *rest: Any, is_leaf: _IsLeaf = None) -> Any:
    """Calls ``fn`` on every leaf of ``tree`` and returns a tree of the results.

    Lists, tuples and named tuples keep their type; mappings, modules included, become
    plain dictionaries.

    Args:
        fn: Takes a leaf of ``tree`` and the matching entry of each tree in ``rest``.
        tree: The tree whose structure decides.
        rest: Further trees that have at least the keys of ``tree``.
        is_leaf: Tells whether a node counts as a leaf, even if it is a container.

    Returns:
        A tree with the structure of ``tree``.

    Example:
        >>> from olivine.utils import tree_map
        >>> tree_map(lambda x, y: x + y, {"w": [1, 2]}, {"w": [10, 20], "b": 0})
        {'w': [11, 22]}
        >>> tree_map(len, [(1, 2), (3,)], is_leaf=lambda x: isinstance(x, tuple))
        [2, 1]
    """
    branches = _branches(tree, is_leaf)
    if branches is None:
        return fn(tree, *rest)
    values = [
        tree_map(fn, child, *(other[key] for other in rest), is_leaf=is_leaf)
        for key, child in branches
    ]
    return _rebuild(tree, [key for key, _ in branches], values)


def tree_map_with_path(
    fn: Callable[..., Any],
    tree: Any,
    *rest: Any,
    is_leaf: _IsLeaf = None,
    path: Any | None = None,
) -> Any:
    """Calls ``fn`` on every leaf and its dotted path and returns a tree of the results.

    Args:
        fn: Takes the path, a leaf of ``tree``, and the matching entry of each tree in ``rest``.
        tree: The tree whose structure decides.
        rest: Further trees that have at least the keys of ``tree``.
        is_leaf: Tells whether a node counts as a leaf, even if it is a container.
        path: What the paths begin with.

    Returns:
        A tree with the structure of ``tree``.

    Example:
        >>> from olivine.utils import tree_map_with_path
        >>> tree_map_with_path(lambda path, x: f"{path}={x}", {"layers": [{"w": 3}]})
        {'layers': [{'w': 'layers.0.w=3'}]}
    """
    branches = _branches(tree, is_leaf)
    if branches is None:
        return fn(path, tree, *rest)
    values = [
        tree_map_with_path(
            fn,
            child,
            *(other[key] for other in rest),
            is_leaf=is_leaf,
            path=f"{path}.{key}" if path else str(key),
        )
        for key, child in branches
    ]
    return _rebuild(tree, [key for key, _ in branches], values)


@overload
def tree_flatten(
    tree: Any, prefix: str = "", is_leaf: _IsLeaf = None, destination: None = None
) -> _Pairs: ...
@overload
def tree_flatten(
    tree: Any, prefix: str = "", is_leaf: _IsLeaf = None, *, destination: _Pairs
) -> _Pairs: ...
@overload
def tree_flatten(
    tree: Any,
    prefix: str = "",
    is_leaf: _IsLeaf = None,
    *,
    destination: dict[str, Any],
) -> dict[str, Any]: ...
def tree_flatten(
    tree: Any,
    prefix: str = "",
    is_leaf: _IsLeaf = None,
    destination: _Pairs | dict[str, Any] | None = None,
) -> _Pairs | dict[str, Any]:
    """Lists the leaves of a tree with their dotted paths.

    Args:
        tree: Any nesting of lists, tuples and dictionaries.
        prefix: What the paths begin with. Its first character, the dot that would come
            before a key, is dropped.
        is_leaf: Tells whether a node counts as a leaf, even if it is a container.
        destination: A list or a dictionary that receives the leaves. The default is a new list.

    Returns:
        The destination.

    Raises:
        ValueError: If ``destination`` is something else.

    Example:
        >>> from olivine.utils import tree_flatten
        >>> tree_flatten({"layers": [{"w": 1}, {"w": 2}]})
        [('layers.0.w', 1), ('layers.1.w', 2)]
        >>> tree_flatten({"w": 1}, prefix=".model", destination={})
        {'model.w': 1}
    """
    if destination is None:
        destination = []
    pairs = ((path[1:], leaf) for path, leaf in _leaves(tree, prefix, is_leaf))
    if isinstance(destination, list):
        destination.extend(pairs)
    elif isinstance(destination, dict):
        destination.update(pairs)
    else:
        kind = type(destination).__name__
        # MLX raises ValueError, so that is what programs expect.
        raise ValueError(f"destination is a list or a dictionary, not {kind}")  # noqa: TRY004
    return destination


def _as_list(children: dict[str, _Pairs]) -> list[Any] | None:
    """Returns the subtrees in the order of their numbers, or ``None`` if a key is no number."""
    try:
        numbers = {int(key): key for key in children}
    except ValueError:
        return None
    if len(numbers) < len(children):  # "1" and "01" are different keys
        return None
    result: list[Any] = []
    for number, key in sorted(numbers.items()):
        # An empty dictionary keeps the place of every number that has no leaf.
        result += [{} for _ in range(number - len(result))]
        result.append(tree_unflatten(children[key]))
    return result


def tree_unflatten(tree: _Pairs | dict[str, Any]) -> Any:
    """Builds the tree that :func:`tree_flatten` flattened.

    Where all keys are whole numbers there will be a list, otherwise a dictionary. Tuples
    come back as lists, and numbers that are left out as empty dictionaries.

    Args:
        tree: Pairs of a dotted path and a leaf, or a dictionary from paths to leaves.

    Returns:
        The tree.

    Raises:
        ValueError: If a path occurs twice.

    Example:
        >>> from olivine.utils import tree_unflatten
        >>> tree_unflatten([("layers.0.w", 1), ("layers.1.w", 2)])
        {'layers': [{'w': 1}, {'w': 2}]}
        >>> tree_unflatten({"layers.1.w": 2})
        {'layers': [{}, {'w': 2}]}
    """
    pairs = list(tree.items()) if isinstance(tree, dict) else tree
    if len(pairs) == 1 and pairs[0][0] == "":
        return pairs[0][1]
    children: dict[str, _Pairs] = {}
    for path, leaf in pairs:
        key, _, remainder = path.partition(".")
        children.setdefault(key, []).append((remainder, leaf))
    if len(pairs) > 1 and all(path == "" for path, _ in pairs):
        raise ValueError("several leaves have the same path")
    as_list = _as_list(children)
    if as_list is not None:
        return as_list
    return {key: tree_unflatten(below) for key, below in children.items()}


def tree_reduce(
    fn: Callable[[Any, Any], Any],
    tree: Any,
    initializer: Any = None,
    is_leaf: _IsLeaf = None,
) -> Any:
    """Folds the leaves of a tree into one value, from the first to the last.

    Args:
        fn: Takes the value so far and a leaf, and returns the new value.
        tree: Any nesting of lists, tuples and dictionaries.
        initializer: The value to begin with. The default is the first leaf.
        is_leaf: Tells whether a node counts as a leaf, even if it is a container.

    Returns:
        The last value; ``initializer`` for a tree without leaves.

    Example:
        >>> from olivine.utils import tree_reduce
        >>> tree_reduce(lambda total, x: total + x, {"a": [1, 2], "b": 3}, 10)
        16
    """
    value = initializer
    for _, leaf in _leaves(tree, "", is_leaf):
        value = leaf if value is None else fn(value, leaf)
    return value


def _is_empty(tree: Any) -> bool:
    return isinstance(tree, (dict, list, tuple)) and not tree


def tree_merge(tree_a: Any, tree_b: Any, merge_fn: Callable[[Any, Any], Any] | None = None) -> Any:
    """Joins two trees into one that has the leaves of both.

    ``None`` and empty containers stand for missing subtrees, and the other tree's takes
    their place.

    Args:
        tree_a: The first tree.
        tree_b: The second tree.
        merge_fn: Combines two leaves that lie at the same place.

    Returns:
        The joined tree. The keys of ``tree_a`` come first.

    Raises:
        ValueError: If two leaves lie at the same place and there is no ``merge_fn``, or two
            empty containers there are of different types.

    Example:
        >>> from olivine.utils import tree_merge
        >>> tree_merge({"layers": [{"w": 1}, {}]}, {"layers": [{}, {"w": 2}]})
        {'layers': [{'w': 1}, {'w': 2}]}
        >>> tree_merge([1, 2], [10], merge_fn=lambda a, b: a + b)
        [11, 2]
    """
    empty_a, empty_b = _is_empty(tree_a), _is_empty(tree_b)
    if empty_a and empty_b:
        if type(tree_a) is not type(tree_b):
            kinds = f"{type(tree_a).__name__} and {type(tree_b).__name__}"
            raise ValueError(f"an empty {kinds} do not merge")
        return type(tree_a)()
    if (empty_a or tree_a is None) and tree_b is not None:
        return tree_b
    if (empty_b or tree_b is None) and tree_a is not None:
        return tree_a

    if isinstance(tree_a, (list, tuple)) and isinstance(tree_b, (list, tuple)):
        values = [tree_merge(a, b, merge_fn) for a, b in zip_longest(tree_a, tree_b)]
        return _rebuild(tree_a, [], values)
    if isinstance(tree_a, dict) and isinstance(tree_b, dict):
        keys = list(dict.fromkeys([*tree_a, *tree_b]))
        values = [tree_merge(tree_a.get(k), tree_b.get(k), merge_fn) for k in keys]
        return _rebuild({}, keys, values)
    if merge_fn is None:
        raise ValueError("both trees have a leaf at the same place and there is no merge_fn")
    return merge_fn(tree_a, tree_b)
