"""Owns Adagrad."""

from __future__ import annotations

import olivine.core as mx
from olivine.optimizers.base import Optimizer, Scheduled, State


class Adagrad(Optimizer):
    r"""Divides gradients by the root of the sum of all their squares so far.

    The rule is from Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning
    and stochastic optimization" (JMLR 2011).

    .. math::

        v &\leftarrow v + g^2 \\
        w &\leftarrow w - \eta g / (\sqrt{v} + \epsilon)

    Args:
        learning_rate: :math:`\eta`, a number or a function of the step.
        eps: :math:`\epsilon`, which keeps the divisor from zero. Default: ``1e-8``.

    Raises:
        ValueError: If ``eps`` is not positive.

    Example:
        >>> import olivine.core as mx
        >>> import olivine.optimizers as optim
        >>> optimizer = optim.Adagrad(learning_rate=0.5)
        >>> optimizer.apply_gradients({"w": mx.array([4.0])}, {"w": mx.array([3.0])})
        {'w': array([2.5], dtype=float32)}
    """

    def __init__(self, learning_rate: Scheduled, eps: float = 1e-8) -> None:
        super().__init__()
        if eps <= 0.0:
            raise ValueError(f"eps has to be >0, not {eps}")
        self._maybe_schedule("learning_rate", learning_rate)
        self.eps = eps

    def init_single(self, parameter: mx.array, state: State) -> None:
        """Makes the sum of squares ``v``, zeros in the shape of the parameter."""
        state["v"] = mx.zeros_like(parameter)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: State) -> mx.array:
        """Returns the parameter after one step and keeps the sum in ``state["v"]``."""
        total = state["v"] + mx.square(gradient)
        state["v"] = total
        return parameter - self._rate_for(gradient) * gradient / (mx.sqrt(total) + self.eps)
