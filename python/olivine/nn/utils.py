"""Owns what training needs around a module: gradients, recomputation, averages over processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from itertools import accumulate
from typing import Any, Concatenate, ParamSpec, TypeVar, overload

import olivine.core as mx
from olivine.nn.layers.base import Module
from olivine.utils import tree_flatten, tree_map, tree_reduce, tree_unflatten

_P = ParamSpec("_P")
_R = TypeVar("_R")
_Value = TypeVar("_Value", bound=mx.array | tuple[Any, ...])


def _with_parameters(
    model: Module, fn: Callable[_P, _R]
) -> Callable[Concatenate[dict[str, Any], _P], _R]:
    """``fn``, but as a function of the parameters of ``model`` too."""

    def call(parameters: dict[str, Any], /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        model.update(parameters)
        return fn(*args, **kwargs)

    return call


def value_and_grad(
    model: Module, fn: Callable[_P, _Value]
) -> Callable[_P, tuple[_Value, dict[str, Any]]]:
    """Make a function that gives what ``fn`` gives and its gradient in the parameters.

    Args:
        model: The module whose trainable parameters the gradient is taken in.
        fn: A function that calls ``model`` and gives a number, or a tuple that starts with one.

    Returns:
        A function of the arguments of ``fn``. It gives a pair of the value and the gradient, a
        tree like ``model.trainable_parameters()``.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> model = nn.Linear(2, 1, bias=False)
        >>> step = nn.value_and_grad(model, lambda x: model(x).sum())
        >>> value, gradient = step(mx.array([[1.0, 2.0]]))
        >>> gradient
        {'weight': array([[1, 2]], dtype=float32)}
    """
    of_parameters = mx.value_and_grad(_with_parameters(model, fn))

    @wraps(fn)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> tuple[_Value, dict[str, Any]]:
        value, gradient = of_parameters(model.trainable_parameters(), *args, **kwargs)
        return value, gradient

    return call


@overload
def checkpoint(module: Module, fn: None = None) -> Callable[..., Any]: ...
@overload
def checkpoint(module: Module, fn: Callable[_P, _R]) -> Callable[_P, _R]: ...
def checkpoint(module: Module, fn: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """Make a function that does not keep what it computes for gradients, but computes it again.

    Args:
        module: The module whose trainable parameters may need gradients.
        fn: The function to call, which uses ``module``. By default ``module`` itself.

    Returns:
        A function of the arguments of ``fn`` that gives what it gives.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> from olivine.nn.utils import checkpoint
        >>> layer = nn.Linear(2, 1)
        >>> x = mx.array([[1.0, 2.0]])
        >>> mx.array_equal(checkpoint(layer)(x), layer(x)).item()
        True
    """
    fn = module if fn is None else fn
    of_parameters = mx.checkpoint(_with_parameters(module, fn))

    @wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        return of_parameters(module.trainable_parameters(), *args, **kwargs)

    return call


def _batches(
    gradients: Iterable[tuple[str, mx.array]], limit: int
) -> Iterator[list[tuple[str, mx.array]]]:
    """Cut a list after each gradient with which a batch reaches ``limit`` bytes."""
    batch: list[tuple[str, mx.array]] = []
    size = 0
    for name, gradient in gradients:
        batch.append((name, gradient))
        size += gradient.nbytes
        if size >= limit:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def average_gradients(
    gradients: Any,
    group: mx.distributed.Group | None = None,
    all_reduce_size: int = 32 * 1024**2,
    communication_stream: mx.Stream | None = None,
) -> Any:
    """Average the gradients of all processes of a group.

    Args:
        gradients: A tree of gradients, the same in shape everywhere.
        group: The processes. By default all.
        all_reduce_size: The bytes that a message should have: smaller gradients of one dtype are
            put together. 0 or less sends each alone.
        communication_stream: The stream that sends.

    Returns:
        The tree of averages; with one process the tree that was given.

    Examples:
        >>> import olivine.core as mx
        >>> import olivine.nn as nn
        >>> nn.average_gradients({"weight": mx.array([1.0])})
        {'weight': array([1], dtype=float32)}
    """
    group = group or mx.distributed.init()
    processes = group.size()
    if processes == 1:
        return gradients

    def average(x: mx.array) -> mx.array:
        return mx.distributed.all_sum(x, group=group, stream=communication_stream) / processes

    flat = list(tree_flatten(gradients, destination={}).items())
    if all_reduce_size <= 0 or len({str(gradient.dtype) for _, gradient in flat}) != 1:
        return tree_map(average, gradients)
    averaged: list[tuple[str, mx.array]] = []
    for batch in _batches(flat, all_reduce_size):
        joined = average(mx.concatenate([gradient.reshape(-1) for _, gradient in batch]))
        ends = list(accumulate(gradient.size for _, gradient in batch))
        parts = mx.split(joined, ends[:-1])
        for (name, gradient), part in zip(batch, parts, strict=True):
            averaged.append((name, part.reshape(gradient.shape)))
    return tree_unflatten(averaged)


def clip_grad_norm_sharded(
    gradients: Any, max_norm: float, group: mx.distributed.Group | None = None
) -> tuple[Any, mx.array]:
    """Scale gradients that are spread over a group so that their common norm has a bound.

    Args:
        gradients: A tree of the gradients that this process holds.
        max_norm: The largest norm of the gradients of all processes together.
        group: The processes. By default all.

    Returns:
        The scaled tree, and the norm before.

    Examples:
        >>> import olivine.core as mx
        >>> from olivine.nn.utils import clip_grad_norm_sharded
        >>> clipped, norm = clip_grad_norm_sharded({"weight": mx.array([3.0, 4.0])}, 1.0)
        >>> clipped["weight"].round(3), norm
        (array([0.6, 0.8], dtype=float32), array(5, dtype=float32))
    """
    # Beginning from a number leaves half-precision gradients in half precision.
    squares = tree_reduce(lambda total, g: total + g.square().sum(), gradients, 0.0)
    norm = mx.sqrt(mx.distributed.all_sum(mx.array(squares), group=group))
    factor = mx.minimum(max_norm / (norm + 1e-6), 1.0)
    return tree_map(lambda g: g * factor, gradients), norm
