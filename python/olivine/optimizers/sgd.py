"""Owns stochastic gradient descent."""

from __future__ import annotations

import olivine.core as mx
from olivine.optimizers.base import Optimizer, Scheduled, State


class SGD(Optimizer):
    r"""Stochastic gradient descent, with momentum if wanted.

    .. math::

        v &\leftarrow \mu v + (1 - \tau) g \\
        w &\leftarrow w - \eta v

    Args:
        learning_rate: :math:`\eta`, a number or a function of the step.
        momentum: :math:`\mu`. Default: ``0``.
        weight_decay: What times the parameter is added to its gradient. Default: ``0``.
        dampening: :math:`\tau`. Default: ``0``.
        nesterov: Whether to look ahead by Nesterov's rule. Default: ``False``.

    Raises:
        ValueError: If ``nesterov`` comes without momentum or with dampening.

    Example:
        >>> import olivine.core as mx
        >>> import olivine.optimizers as optim
        >>> optimizer = optim.SGD(learning_rate=0.5, momentum=0.5)
        >>> w = {"w": mx.array([4.0])}
        >>> for _ in range(2):
        ...     w = optimizer.apply_gradients({"w": mx.array([1.0])}, w)
        >>> w
        {'w': array([2.75], dtype=float32)}
    """

    def __init__(
        self,
        learning_rate: Scheduled,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        dampening: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("nesterov takes a momentum above zero and no dampening")
        super().__init__()
        self._maybe_schedule("learning_rate", learning_rate)
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.dampening = dampening
        self.nesterov = nesterov

    def init_single(self, parameter: mx.array, state: State) -> None:
        """Makes the velocity ``v``, zeros in the shape of the parameter."""
        state["v"] = mx.zeros_like(parameter)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: State) -> mx.array:
        """Returns the parameter after one step and keeps the velocity in ``state["v"]``."""
        if self.weight_decay != 0:
            gradient = gradient + self.weight_decay * parameter
        step = gradient
        if self.momentum > 0:
            fresh = (1 - self.dampening) * gradient if self.dampening > 0 else gradient
            state["v"] = step = self.momentum * state["v"] + fresh
            if self.nesterov:
                step = gradient + self.momentum * step
        return parameter - self._rate_for(gradient) * step
