"""Owns the base class of optimizers: the state tree, the step count and schedules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import olivine.core as mx
from olivine.utils import _rebuild, tree_map

State: TypeAlias = dict[str, Any]
Schedule: TypeAlias = Callable[[Any], Any]
Scheduled: TypeAlias = float | mx.array | Schedule


def _with_slots(parameters: Any, state: Any) -> Any:
    """Gives every parameter a dictionary in ``state``; what is there already stays.

    Dictionaries are filled in place: a compiled function may hold on to them.
    """
    if isinstance(parameters, dict):
        slots = {} if state is None else state
        for name, below in parameters.items():
            slots[name] = _with_slots(below, slots.get(name))
        return slots
    if isinstance(parameters, (list, tuple)):
        known = [] if state is None else list(state)
        missing = [None] * (len(parameters) - len(known))
        slots = [_with_slots(p, s) for p, s in zip(parameters, known + missing)]
        return _rebuild(parameters, [], slots + known[len(parameters) :])
    return {} if state is None else state


class Optimizer:
    """The base of all optimizers, which applies a rule for one parameter to a tree of them.

    A new optimizer defines ``init_single`` and ``apply_single``, and passes its learning
    rate to ``_maybe_schedule``.

    Args:
        schedulers: Functions from the step to a value, by the name that the value has in
            the state.

    Example:
        >>> import olivine.core as mx
        >>> import olivine.optimizers as optim
        >>> class Descent(optim.Optimizer):
        ...     def __init__(self, learning_rate):
        ...         super().__init__()
        ...         self._maybe_schedule("learning_rate", learning_rate)
        ...     def init_single(self, parameter, state):
        ...         state["seen"] = mx.array(0)
        ...     def apply_single(self, gradient, parameter, state):
        ...         state["seen"] += 1
        ...         return parameter - self.learning_rate * gradient
        >>> optimizer = Descent(0.5)
        >>> optimizer.apply_gradients({"w": mx.array([2.0])}, {"w": mx.array([3.0])})
        {'w': array([2], dtype=float32)}
        >>> optimizer.state["w"]["seen"].item()
        1
    """

    def __init__(self, schedulers: Mapping[str, Schedule] | None = None) -> None:
        self._initialized = False
        self._state: State = {"step": mx.array(0, mx.uint64)}
        self._schedulers: dict[str, Schedule] = dict(schedulers or {})

    def update(self, model: Any, gradients: Any) -> None:
        """Changes the parameters of a model by one step.

        Args:
            model: The module whose parameters change.
            gradients: The tree of gradients, as ``olivine.nn.value_and_grad`` returns it.

        Example:
            >>> import olivine.core as mx
            >>> import olivine.optimizers as optim
            >>> model = {"w": mx.array([1.0])}
            >>> optim.SGD(0.5).update(model, {"w": mx.array([1.0])})
            >>> model
            {'w': array([0.5], dtype=float32)}
        """
        model.update(self.apply_gradients(gradients, model))

    def init(self, parameters: Any) -> None:
        """Makes the state for a tree of parameters, except where it exists.

        The first ``update`` does this by itself. Call it where the state is needed before
        that, to compile a step for instance.

        Args:
            parameters: The tree of parameters that will have gradients.

        Example:
            >>> import olivine.core as mx
            >>> import olivine.optimizers as optim
            >>> optimizer = optim.Adam(1e-3)
            >>> optimizer.init({"w": mx.zeros((2,))})
            >>> list(optimizer.state), list(optimizer.state["w"])
            (['step', 'learning_rate', 'w'], ['m', 'v'])
        """

        def fill(parameter: mx.array, state: State) -> None:
            if not state:
                self.init_single(parameter, state)

        _with_slots(parameters, self._state)
        tree_map(fill, parameters, self._state)
        self._initialized = True

    def init_single(self, parameter: mx.array, state: State) -> None:
        """Fills in the state of one parameter; subclasses define it.

        Args:
            parameter: The parameter.
            state: An empty dictionary that belongs to it.

        Raises:
            NotImplementedError: In this class.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define init_single")

    def apply_gradients(self, gradients: Any, parameters: Any) -> Any:
        """Computes the parameters after one step.

        Args:
            gradients: The tree of gradients.
            parameters: A tree that has at least the structure of ``gradients``.

        Returns:
            The new parameters, in a tree with the structure of ``gradients``.

        Example:
            >>> import olivine.core as mx
            >>> import olivine.optimizers as optim
            >>> parameters = {"w": mx.array([1.0]), "frozen": mx.array([2.0])}
            >>> optim.SGD(0.5).apply_gradients({"w": mx.array([1.0])}, parameters)
            {'w': array([0.5], dtype=float32)}
        """
        if not self._initialized:
            self.init(gradients)
        for name, schedule in self._schedulers.items():
            self.state[name] = schedule(self.step)
        self.state["step"] = self.step + 1
        return tree_map(self.apply_single, gradients, parameters, self.state)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: State) -> mx.array:
        """Computes one parameter after one step; subclasses define it.

        Args:
            gradient: The gradient of the parameter.
            parameter: The parameter, of the same shape.
            state: What ``init_single`` made, to be changed in place.

        Returns:
            The new parameter.

        Raises:
            NotImplementedError: In this class.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define apply_single")

    @property
    def state(self) -> State:
        """The step, scheduled values, and a dictionary for each parameter, as one tree.

        Setting it continues where another optimizer stopped.

        Example:
            >>> import olivine.core as mx
            >>> import olivine.optimizers as optim
            >>> from olivine.utils import tree_flatten, tree_unflatten
            >>> gradients = {"w": mx.array([1.0])}
            >>> first, second = optim.Adam(0.1), optim.Adam(0.1)
            >>> _ = first.apply_gradients(gradients, gradients)
            >>> second.state = tree_unflatten(tree_flatten(first.state))
            >>> second.step.item()
            1
        """
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        self._initialized = False
        self._state = state

    @property
    def step(self) -> mx.array:
        """The number of steps made, a scalar of dtype ``uint64``."""
        step: mx.array = self.state["step"]
        return step

    @property
    def learning_rate(self) -> mx.array:
        """The learning rate, a scalar array that belongs to the state."""
        learning_rate: mx.array = self.state["learning_rate"]
        return learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: float | mx.array) -> None:
        self.state["learning_rate"] = mx.array(learning_rate)

    def _maybe_schedule(self, name: str, param: Scheduled) -> None:
        """Stores a value in the state, and changes it with the steps if it is a function."""
        if callable(param):
            self._schedulers[name] = param
            self.state[name] = param(self.step)
        else:
            self.state[name] = mx.array(param)

    def _rate_for(self, gradient: mx.array) -> mx.array:
        """Returns the learning rate with the dtype of a gradient, which must not be promoted."""
        return self.learning_rate.astype(gradient.dtype)
