"""Owns the optimizer that shares parameters out among several others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import olivine.core as mx
from olivine.optimizers.base import Optimizer, State
from olivine.utils import tree_flatten, tree_merge, tree_unflatten


def _accept(path: str, gradient: mx.array) -> bool:
    return True


class MultiOptimizer(Optimizer):
    """Uses different optimizers for different parameters.

    A parameter goes to the first optimizer whose filter accepts it, and to the last one if
    none does.

    Args:
        optimizers: The optimizers.
        filters: For each optimizer except the last, a function of a parameter's dotted path
            and its gradient that tells whether the optimizer is for it.

    Raises:
        ValueError: If the numbers of optimizers and filters do not fit.

    Example:
        >>> import olivine.core as mx
        >>> import olivine.optimizers as optim
        >>> optimizer = optim.MultiOptimizer(
        ...     [optim.SGD(1.0), optim.SGD(0.5)], [lambda path, g: "bias" in path]
        ... )
        >>> ones = {"weight": mx.ones((1,)), "bias": mx.ones((1,))}
        >>> new = optimizer.apply_gradients(ones, ones)
        >>> new["weight"].item(), new["bias"].item()
        (0.5, 0.0)
    """

    def __init__(
        self,
        optimizers: Sequence[Optimizer],
        filters: Sequence[Callable[[str, mx.array], Any]] = (),
    ) -> None:
        super().__init__()
        if len(filters) != len(optimizers) - 1:
            raise ValueError(
                f"{len(optimizers)} optimizers take {len(optimizers) - 1} filters,"
                f" not {len(filters)}"
            )
        self.optimizers = optimizers
        self.filters: list[Callable[[str, mx.array], Any]] = [*filters, _accept]

    def _shares(self, tree: Any) -> list[Any]:
        """Splits a tree into one for each optimizer."""
        if len(self.optimizers) == 1:
            return [tree]
        shares: list[list[tuple[str, Any]]] = [[] for _ in self.optimizers]
        for path, leaf in tree_flatten(tree):
            accepts = (share for share, fits in zip(shares, self.filters) if fits(path, leaf))
            next(accepts).append((path, leaf))
        # Without leaves there is no telling what the tree was; a dictionary merges with all.
        return [tree_unflatten(share) if share else {} for share in shares]

    def init(self, parameters: Any) -> None:
        """Makes the state of every optimizer for its share of the parameters.

        Args:
            parameters: The tree of parameters that will have gradients.
        """
        for optimizer, share in zip(self.optimizers, self._shares(parameters)):
            optimizer.init(share)

    def apply_gradients(self, gradients: Any, parameters: Any) -> Any:
        """Computes the parameters after one step, each by its own optimizer.

        Args:
            gradients: The tree of gradients.
            parameters: A tree that has at least the structure of ``gradients``.

        Returns:
            The new parameters.
        """
        result: Any = {}
        for optimizer, share in zip(self.optimizers, self._shares(gradients)):
            result = tree_merge(result, optimizer.apply_gradients(share, parameters))
        return result

    @property
    def state(self) -> State:
        """The states of all optimizers, in a list under ``"states"``."""
        return {"states": [optimizer.state for optimizer in self.optimizers]}

    @state.setter
    def state(self, state: State) -> None:
        states = state.get("states", ())
        if len(states) != len(self.optimizers):
            raise ValueError(
                f'the state needs a list "states" for {len(self.optimizers)} optimizers'
            )
        for optimizer, own in zip(self.optimizers, states):
            optimizer.state = own

    @property
    def learning_rate(self) -> mx.array:
        """The learning rate of the first optimizer. Setting it sets that of all."""
        return self.optimizers[0].learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: float | mx.array) -> None:
        for optimizer in self.optimizers:
            optimizer.learning_rate = learning_rate
