"""Owns Module: a dictionary of parameters and child modules with attribute access."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

import olivine.core as mx
from olivine.utils import tree_flatten, tree_unflatten

Filter = Callable[["Module", str, Any], bool]
"""A question about one member: its module, its dotted key in that module, its value."""

# Asked about every member of a model again and again, so made once.
_PARAMETER_KINDS = (dict, list, mx.array)
_ITEM_KINDS = (*_PARAMETER_KINDS, tuple)


def _is_floating(dtype: mx.Dtype) -> bool:
    return mx.issubdtype(dtype, mx.floating)


class Module(dict[str, Any]):
    """A layer, or a model made of layers.

    Arrays, modules, and lists, tuples and dictionaries of them that are set as attributes become
    items of the dictionary; other attributes stay ordinary attributes. Every array that is reached
    through modules, lists and dictionaries under keys that do not start with ``_`` is a parameter.
    Parameters are trainable until ``freeze`` says otherwise.

    Subclasses call ``super().__init__()`` first and define ``__call__``.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> class Perceptron(nn.Module):
        ...     def __init__(self, dims: int, hidden: int):
        ...         super().__init__()
        ...         self.up = nn.Linear(dims, hidden)
        ...         self.down = nn.Linear(hidden, 1)
        ...
        ...     def __call__(self, x):
        ...         return self.down(nn.relu(self.up(x)))
        >>> model = Perceptron(4, 8)
        >>> model(mx.ones((3, 4))).shape
        (3, 1)
        >>> model.parameters()["up"]["weight"].shape
        (8, 4)
        >>> model
        Perceptron(
          (up): Linear(input_dims=4, output_dims=8, bias=True)
          (down): Linear(input_dims=8, output_dims=1, bias=True)
        )
    """

    __call__: Callable[..., Any]

    def __init__(self) -> None:
        self._no_grad: set[str] = set()
        self._training = True

    @property
    def training(self) -> bool:
        """Whether the module is in training mode, as it is when made."""
        return self._training

    @property
    def state(self) -> Module:
        """The module itself: the live dictionary of everything it holds, not a copy.

        Examples:
            >>> import olivine.nn as nn
            >>> layer = nn.RMSNorm(4)
            >>> layer.state is layer
            True
        """
        return self

    def _extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses; layers override it."""
        return ""

    def __repr__(self) -> str:
        lines = [
            textwrap.indent(f"({name}): {child!r}", "  ") for name, child in _named_children(self)
        ]
        head = f"{type(self).__name__}({self._extra_repr()}"
        return "\n".join([head, *lines, ")"]) if lines else head + ")"

    # Python asks here only after it found no ordinary attribute.
    def __getattr__(self, key: str) -> Any:
        value = self.get(key)
        if value is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {key!r}")
        return value

    def __setattr__(self, key: str, val: Any) -> None:
        if isinstance(val, _ITEM_KINDS):
            # An ordinary attribute would hide the item from now on. One of the class cannot be
            # removed from here, and Python says so. A property that raises AttributeError hides
            # nothing.
            if key not in self and hasattr(self, key):
                super().__delattr__(key)
            self[key] = val
        else:
            super().__setattr__(key, val)
            self.pop(key, None)

    def __delattr__(self, name: str) -> None:
        if self.get(name) is None:
            super().__delattr__(name)
        else:
            del self[name]

    def load_weights(
        self,
        file_or_weights: str | os.PathLike[str] | list[tuple[str, mx.array]],
        strict: bool = True,
    ) -> Module:
        """Replace parameters by those of a file or of a list.

        Args:
            file_or_weights: A ``.npz`` or ``.safetensors`` file, or pairs of a dotted parameter
                name and an array.
            strict: Whether names and shapes must be exactly those of the module. Otherwise names
                that the module lacks are passed over, and shapes are not compared.

        Returns:
            This module.

        Raises:
            ValueError: If ``strict`` and a name is unknown or missing, a shape differs, or a value
                is not an array.

        Examples:
            >>> import olivine.core as mx
            >>> import olivine.nn as nn
            >>> layer = nn.Linear(3, 2)
            >>> layer.load_weights([("weight", mx.ones((2, 3)))], strict=False)
            Linear(input_dims=3, output_dims=2, bias=True)
            >>> layer.load_weights([("weight", mx.ones((2, 3)))])
            Traceback (most recent call last):
                ...
            ValueError: [load_weights] 1 missing: bias
        """
        if isinstance(file_or_weights, (str, os.PathLike)):
            loaded = cast("dict[str, mx.array]", mx.load(os.fspath(file_or_weights)))
            weights = list(loaded.items())
        else:
            weights = file_or_weights
        if strict:
            _check_weights(tree_flatten(self.parameters(), destination={}), dict(weights))
        if len(weights) != 0:
            self.update(tree_unflatten(weights), strict=False)
        return self

    def save_weights(self, file: str | os.PathLike[str]) -> None:
        """Write all parameters, frozen ones too, under their dotted names.

        Args:
            file: The file; its extension, ``.npz`` or ``.safetensors``, chooses the format.

        Raises:
            ValueError: If the extension is another one.

        Examples:
            >>> import os, tempfile
            >>> import olivine.nn as nn
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     path = os.path.join(folder, "layer.safetensors")
            ...     nn.Linear(3, 2).save_weights(path)
            ...     _ = nn.Linear(3, 2).load_weights(path)
        """
        path = os.fspath(file)
        weights = tree_flatten(self.parameters(), destination={})
        if path.endswith(".npz"):
            mx.savez(path, **weights)
        elif path.endswith(".safetensors"):
            mx.save_safetensors(path, weights)
        else:
            raise ValueError(f"[save_weights] {path} ends in neither .npz nor .safetensors")

    @staticmethod
    def is_module(value: Any) -> bool:
        """Whether ``value`` is a module.

        Examples:
            >>> import olivine.nn as nn
            >>> nn.Module.is_module(nn.ReLU()), nn.Module.is_module(nn.relu)
            (True, False)
        """
        return isinstance(value, Module)

    @staticmethod
    def valid_child_filter(module: Module, key: str, value: Any) -> bool:
        """The filter of ``children``: keep what can hold modules.

        Examples:
            >>> import olivine.nn as nn
            >>> layer = nn.ReLU()
            >>> nn.Module.valid_child_filter(layer, "layers", [])
            True
        """
        return isinstance(value, (dict, list))

    @staticmethod
    def valid_parameter_filter(module: Module, key: str, value: Any) -> bool:
        """The filter of ``parameters``: keep arrays and what can hold them, but no private keys.

        Examples:
            >>> import olivine.core as mx
            >>> import olivine.nn as nn
            >>> layer = nn.ReLU()
            >>> nn.Module.valid_parameter_filter(layer, "_cache", mx.zeros(2))
            False
        """
        return isinstance(value, _PARAMETER_KINDS) and not key.startswith("_")

    @staticmethod
    def trainable_parameter_filter(module: Module, key: str, value: Any) -> bool:
        """The filter of ``trainable_parameters``: keep parameters that are not frozen.

        Examples:
            >>> import olivine.nn as nn
            >>> layer = nn.RMSNorm(4).freeze()
            >>> nn.Module.trainable_parameter_filter(layer, "weight", layer.weight)
            False
        """
        return (
            isinstance(value, _PARAMETER_KINDS)
            and not key.startswith("_")
            and key not in module._no_grad
        )

    def filter_and_map(
        self,
        filter_fn: Filter,
        map_fn: Callable[[Any], Any] | None = None,
        is_leaf_fn: Filter | None = None,
    ) -> dict[str, Any]:
        """Copy the tree of this module, keeping some members and transforming the leaves.

        A member is known by the module that holds it and its key there; inside lists and
        dictionaries the key goes on with dots, as in ``"stack.0"``. A member of a module that the
        filter turns down is left out; one of a list or dictionary becomes an empty dictionary, so
        that positions stay.

        Args:
            filter_fn: Whether to keep a member.
            map_fn: What to put in place of a leaf. By default the leaf itself.
            is_leaf_fn: Whether a member is a leaf. By default whatever is not a module, a list
                or a dictionary.

        Returns:
            The tree, in plain dictionaries and lists.

        Raises:
            RuntimeError: If the filter keeps a value that is no leaf and cannot be looked into.

        Examples:
            >>> import olivine.nn as nn
            >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
            >>> model.filter_and_map(nn.Module.valid_parameter_filter, lambda x: x.shape)
            {'layers': [{'weight': (3, 2), 'bias': (3,)}, {}]}
        """
        return _Selection(filter_fn, map_fn, is_leaf_fn).module(self)

    def parameters(self) -> dict[str, Any]:
        """All parameters, as a tree of dictionaries and lists.

        Examples:
            >>> import olivine.nn as nn
            >>> sorted(nn.Linear(2, 3).parameters())
            ['bias', 'weight']
        """
        return self.filter_and_map(self.valid_parameter_filter)

    def trainable_parameters(self) -> dict[str, Any]:
        """The parameters that are not frozen, as a tree of dictionaries and lists.

        Examples:
            >>> import olivine.nn as nn
            >>> sorted(nn.Linear(2, 3).freeze(keys="bias").trainable_parameters())
            ['weight']
        """
        return self.filter_and_map(self.trainable_parameter_filter)

    def children(self) -> dict[str, Any]:
        """The modules directly in this one, as a tree of dictionaries and lists.

        Examples:
            >>> import olivine.nn as nn
            >>> nn.Sequential(nn.ReLU(), nn.Tanh()).children()
            {'layers': [ReLU(), Tanh()]}
        """
        return self.filter_and_map(self.valid_child_filter, is_leaf_fn=_is_module_member)

    def leaf_modules(self) -> dict[str, Any]:
        """The modules below this one that have no modules in them, as a tree.

        Examples:
            >>> import olivine.nn as nn
            >>> model = nn.Sequential(nn.Sequential(nn.ReLU()), nn.Tanh())
            >>> model.leaf_modules()
            {'layers': [{'layers': [ReLU()]}, Tanh()]}
        """
        return self.filter_and_map(self.valid_child_filter, is_leaf_fn=_is_childless_member)

    def update(self, parameters: dict[str, Any], strict: bool = True) -> Module:  # type: ignore[override]
        """Replace parameters by the arrays at the same places of a tree.

        Args:
            parameters: All parameters or some of them, as a tree like that of ``parameters()``.
            strict: Whether a place that the module lacks, or a value that is not an array, is an
                error. Otherwise such places are passed over.

        Returns:
            This module.

        Raises:
            ValueError: If ``strict`` and the tree does not fit.

        Examples:
            >>> import olivine.core as mx
            >>> import olivine.nn as nn
            >>> layer = nn.Linear(2, 2).update({"bias": mx.zeros(2)})
            >>> layer.bias
            array([0, 0], dtype=float32)
        """
        _put_arrays(self, parameters, strict)
        return self

    def apply(
        self,
        map_fn: Callable[[mx.array], mx.array],
        filter_fn: Filter | None = None,
    ) -> Module:
        """Replace every parameter by a function of it.

        Args:
            map_fn: A function of an array that gives an array.
            filter_fn: Which members to transform. By default all parameters.

        Returns:
            This module.

        Examples:
            >>> import olivine.core as mx
            >>> import olivine.nn as nn
            >>> nn.Linear(2, 2).apply(lambda x: x.astype(mx.float16)).weight.dtype == mx.float16
            True
        """
        return self.update(self.filter_and_map(filter_fn or Module.valid_parameter_filter, map_fn))

    def update_modules(self, modules: dict[str, Any], strict: bool = True) -> Module:
        """Replace child modules by those at the same places of a tree.

        Args:
            modules: All child modules or some of them, as a tree like that of ``children()`` or
                ``leaf_modules()``. Empty dictionaries in it change nothing.
            strict: Whether a place that the module lacks, or a value that is not a module where
                one is expected, is an error. Otherwise such places are passed over.

        Returns:
            This module.

        Raises:
            ValueError: If ``strict`` and the tree does not fit.

        Examples:
            >>> import olivine.nn as nn
            >>> model = nn.Sequential(nn.ReLU(), nn.Tanh())
            >>> model.update_modules({"layers": [{}, nn.GELU()]}).layers
            [ReLU(), GELU()]
        """
        _put_modules(self, modules, strict)
        return self

    def apply_to_modules(self, apply_fn: Callable[[str, Module], Any]) -> Module:
        """Call a function with every module of the tree, this one first.

        Siblings are visited last to first, each with all that is below it before the next one.

        Args:
            apply_fn: A function of the dotted name of a module, empty for this one, and the module.

        Returns:
            This module.

        Examples:
            >>> import olivine.nn as nn
            >>> model = nn.Sequential(nn.ReLU(), nn.Tanh())
            >>> model.apply_to_modules(lambda name, module: print(repr(name)))
            ''
            'layers.1'
            'layers.0'
            Sequential(
              (layers.0): ReLU()
              (layers.1): Tanh()
            )
        """
        for name, module in _walk(self):
            apply_fn(name, module)
        return self

    def modules(self) -> list[Module]:
        """This module and all below it, in the order of ``apply_to_modules``.

        Examples:
            >>> import olivine.nn as nn
            >>> nn.Sequential(nn.ReLU(), nn.Tanh()).modules()[1:]
            [Tanh(), ReLU()]
        """
        return [module for _, module in _walk(self)]

    def named_modules(self) -> list[tuple[str, Module]]:
        """This module and all below it with their dotted names, as ``apply_to_modules`` goes.

        Examples:
            >>> import olivine.nn as nn
            >>> nn.Sequential(nn.ReLU(), nn.Tanh()).named_modules()[1:]
            [('layers.1', Tanh()), ('layers.0', ReLU())]
        """
        return list(_walk(self))

    def freeze(
        self,
        *,
        recurse: bool = True,
        keys: str | list[str] | None = None,
        strict: bool = False,
    ) -> Module:
        """Take parameters out of training; freezing twice is freezing once.

        Args:
            recurse: Whether to freeze in the modules below too.
            keys: The key or keys to freeze in each module. By default all its parameters.
            strict: Whether a key that is found nowhere is an error: in this module, or with
                ``recurse`` in any module of the tree.

        Returns:
            This module.

        Raises:
            KeyError: If ``strict`` and a key is found nowhere.

        Examples:
            >>> import olivine.nn as nn
            >>> model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1)).freeze(keys="bias")
            >>> [sorted(layer) for layer in model.trainable_parameters()["layers"]]
            [['weight'], ['weight']]
        """
        for module in self._modules_to_mark(recurse, keys, strict):
            module._no_grad.update(_own_parameters(module) if keys is None else _as_list(keys))
        return self

    def unfreeze(
        self,
        *,
        recurse: bool = True,
        keys: str | list[str] | None = None,
        strict: bool = False,
    ) -> Module:
        """Take parameters back into training; those that were never frozen stay as they are.

        Args:
            recurse: Whether to unfreeze in the modules below too.
            keys: The key or keys to unfreeze in each module. By default all its parameters.
            strict: Whether a key that is found nowhere is an error: in this module, or with
                ``recurse`` in any module of the tree.

        Returns:
            This module.

        Raises:
            KeyError: If ``strict`` and a key is found nowhere.

        Examples:
            >>> import olivine.nn as nn
            >>> layer = nn.Linear(2, 3).freeze().unfreeze(keys="bias")
            >>> sorted(layer.trainable_parameters())
            ['bias']
        """
        for module in self._modules_to_mark(recurse, keys, strict):
            if keys is None:
                module._no_grad.clear()
            else:
                module._no_grad.difference_update(_as_list(keys))
        return self

    def _modules_to_mark(
        self, recurse: bool, keys: str | list[str] | None, strict: bool
    ) -> list[Module]:
        """The modules that ``freeze`` and ``unfreeze`` change, once the keys are checked."""
        modules = self.modules() if recurse else [self]
        if strict and keys is not None:
            for key in _as_list(keys):
                if not any(key in module for module in modules):
                    raise KeyError(f"{type(self).__name__} has no member {key!r}")
        return modules

    def _set_training_mode(self, mode: bool) -> None:
        """What ``train`` does to each module; layers that change with the mode override it."""
        self._training = mode

    def train(self, mode: bool = True) -> Module:
        """Enter training mode, or leave it, in the whole tree.

        Args:
            mode: ``True`` for training, ``False`` for evaluation.

        Returns:
            This module.

        Examples:
            >>> import olivine.nn as nn
            >>> nn.Dropout(0.5).train(False).training
            False
        """
        return self.apply_to_modules(lambda _, module: module._set_training_mode(mode))

    def eval(self) -> Module:
        """Enter evaluation mode in the whole tree.

        Examples:
            >>> import olivine.nn as nn
            >>> nn.Dropout(0.5).eval().training
            False
        """
        return self.train(False)

    def set_dtype(
        self,
        dtype: mx.Dtype,
        predicate: Callable[[mx.Dtype], bool] | None = _is_floating,
    ) -> None:
        """Cast parameters.

        Args:
            dtype: The new dtype.
            predicate: Which dtypes to cast. By default the floating ones; ``None`` casts all.

        Examples:
            >>> import olivine.core as mx
            >>> import olivine.nn as nn
            >>> layer = nn.Linear(2, 3)
            >>> layer.set_dtype(mx.bfloat16)
            >>> layer.weight.dtype == mx.bfloat16
            True
        """

        def cast_one(x: mx.array) -> mx.array:
            return x.astype(dtype) if predicate is None or predicate(x.dtype) else x

        self.apply(cast_one)


class _Selection:
    """One run of ``filter_and_map``."""

    __slots__ = ("convert", "is_leaf", "keep")

    def __init__(
        self, keep: Filter, convert: Callable[[Any], Any] | None, is_leaf: Filter | None
    ) -> None:
        self.keep = keep
        self.convert = convert
        self.is_leaf = is_leaf

    def module(self, module: Module) -> dict[str, Any]:
        keep, member = self.keep, self.member
        # Most members are arrays that stay as they are.
        bare = self.is_leaf is None and self.convert is None
        return {
            k: v if bare and not isinstance(v, (dict, list)) else member(module, k, v)
            for k, v in module.items()
            if keep(module, k, v)
        }

    def member(self, owner: Module, key: str, value: Any) -> Any:
        if self.is_leaf is None:
            leaf = not isinstance(value, (dict, list))
        else:
            leaf = self.is_leaf(owner, key, value)
        if leaf:
            return value if self.convert is None else self.convert(value)
        if isinstance(value, Module):
            return self.module(value)
        if isinstance(value, dict):
            return {k: self.element(owner, f"{key}.{k}", v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.element(owner, f"{key}.{i}", v) for i, v in enumerate(value)]
        raise RuntimeError(f"[filter_and_map] cannot look into {key!r}, a {type(value).__name__}")

    def element(self, owner: Module, key: str, value: Any) -> Any:
        return self.member(owner, key, value) if self.keep(owner, key, value) else {}


def _is_module_member(owner: Module, key: str, value: Any) -> bool:
    return isinstance(value, Module)


def _is_childless_member(owner: Module, key: str, value: Any) -> bool:
    return isinstance(value, Module) and not _named_children(value)


def _named_children(module: Module, prefix: str = "") -> list[tuple[str, Module]]:
    """The child modules with dotted names that start from ``prefix``."""
    found: list[tuple[str, Module]] = []
    _collect_modules(module.children(), f"{prefix}." if prefix else "", found)
    return found


def _collect_modules(tree: Any, start: str, found: list[tuple[str, Module]]) -> None:
    """Add the modules in a dictionary or list, which are its leaves."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        if isinstance(value, Module):
            found.append((f"{start}{key}", value))
        elif isinstance(value, (dict, list)):
            _collect_modules(value, f"{start}{key}.", found)


def _walk(root: Module) -> Iterator[tuple[str, Module]]:
    """Every module with its dotted name; children are looked up after their parent was used."""
    pending = [("", root)]
    while pending:
        name, module = pending.pop()
        yield name, module
        pending += _named_children(module, name)


def _as_list(keys: str | list[str]) -> list[str]:
    return keys if isinstance(keys, list) else [keys]


def _own_parameters(module: Module) -> list[str]:
    """The dotted keys of the arrays that a module holds itself, not through another module."""
    found: list[str] = []
    for key, value in module.items():
        _collect_own(module, key, value, found)
    return found


def _collect_own(owner: Module, key: str, value: Any, found: list[str]) -> None:
    if isinstance(value, Module) or not owner.valid_parameter_filter(owner, key, value):
        return
    if isinstance(value, (dict, list)):
        for k, v in value.items() if isinstance(value, dict) else enumerate(value):
            _collect_own(owner, f"{key}.{k}", v, found)
    else:
        found.append(key)


def _check_weights(expected: dict[str, mx.array], given: dict[str, Any]) -> None:
    """Raise unless ``given`` has arrays of the names and shapes of ``expected``."""
    for relation, names in (
        ("not in the model", given.keys() - expected.keys()),
        ("missing", expected.keys() - given.keys()),
    ):
        if names:
            raise ValueError(f"[load_weights] {len(names)} {relation}: {', '.join(sorted(names))}")
    for name, old in expected.items():
        new = given[name]
        if not isinstance(new, mx.array):
            raise ValueError(f"[load_weights] {name} is a {type(new).__name__}, not an array")  # noqa: TRY004
        if new.shape != old.shape:
            raise ValueError(f"[load_weights] {name} has shape {new.shape}, not {old.shape}")


def _entries(tree: Any, strict: bool) -> Iterable[tuple[Any, Any]]:
    """The keys or indices of a tree, and what is there."""
    if isinstance(tree, dict):
        return tree.items()
    if isinstance(tree, list):
        return enumerate(tree)
    if strict:
        raise ValueError(f"[update] a {type(tree).__name__} does not fit where a tree is expected")
    return ()


def _misfit(target: Any, key: Any, strict: bool) -> None:
    if strict:
        raise ValueError(f"[update] {type(target).__name__} has no entry {key!r}") from None


_ABSENT = (KeyError, IndexError, TypeError)
"""What ``target[key]`` raises where there is no such entry, or no container."""


def _put_arrays(target: Any, source: Any, strict: bool) -> None:
    for key, new in _entries(source, strict):
        try:
            current = target[key]
        except _ABSENT:
            _misfit(target, key, strict)
            continue
        if not isinstance(current, mx.array):
            _put_arrays(current, new, strict)
        elif strict and not isinstance(new, mx.array):
            raise ValueError(f"[update] {key!r} takes an array, not a {type(new).__name__}")
        else:
            target[key] = new


def _put_modules(target: Any, source: Any, strict: bool) -> None:
    for key, new in _entries(source, strict):
        try:
            current = target[key]
        except _ABSENT:
            _misfit(target, key, strict)
            continue
        if isinstance(current, Module) and isinstance(new, Module):
            target[key] = new
        elif isinstance(current, (dict, list)):
            _put_modules(current, new, strict)
        elif strict and not (isinstance(new, dict) and not new):
            raise ValueError(f"[update] {key!r} is no module, but got a {type(new).__name__}")
