"""Owns RMSprop."""

from __future__ import annotations

import olivine.core as mx
from olivine.optimizers.base import Optimizer, Scheduled, State


class RMSprop(Optimizer):
    r"""Divides gradients by the root of a running mean of their squares.

    The rule is from lecture 6.5 of Tieleman and Hinton's course on neural networks (2012).

    .. math::

        v &\leftarrow \alpha v + (1 - \alpha) g^2 \\
        w &\leftarrow w - \eta g / (\sqrt{v} + \epsilon)

    Args:
        learning_rate: :math:`\eta`, a number or a function of the step.
        alpha: :math:`\alpha`, how much of the mean is kept. Default: ``0.99``.
        eps: :math:`\epsilon`, which keeps the divisor from zero. Default: ``1e-8``.

    Raises:
        ValueError: If ``alpha`` is negative or ``eps`` is not positive.

    Example:
        >>> import olivine.core as mx
        >>> import olivine.optimizers as optim
        >>> optimizer = optim.RMSprop(learning_rate=0.5, alpha=0.75)
        >>> optimizer.apply_gradients({"w": mx.array([4.0])}, {"w": mx.array([3.0])})
        {'w': array([2], dtype=float32)}
    """

    def __init__(self, learning_rate: Scheduled, alpha: float = 0.99, eps: float = 1e-8) -> None:
        super().__init__()
        if alpha < 0.0:
            raise ValueError(f"alpha has to be >=0, not {alpha}")
        if eps <= 0.0:
            raise ValueError(f"eps has to be >0, not {eps}")
        self._maybe_schedule("learning_rate", learning_rate)
        self.alpha = alpha
        self.eps = eps

    def init_single(self, parameter: mx.array, state: State) -> None:
        """Makes the mean of squares ``v``, zeros in the shape of the parameter."""
        state["v"] = mx.zeros_like(parameter)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: State) -> mx.array:
        """Returns the parameter after one step and keeps the mean in ``state["v"]``."""
        mean = self.alpha * state["v"] + (1 - self.alpha) * mx.square(gradient)
        state["v"] = mean
        return parameter - self._rate_for(gradient) * gradient / (mx.sqrt(mean) + self.eps)
