"""Owns AdaDelta."""

from __future__ import annotations

import olivine.core as mx
from olivine.optimizers.base import Optimizer, Scheduled, State


class AdaDelta(Optimizer):
    r"""Scales gradients so that steps have the size of recent steps.

    The rule is from Zeiler, "ADADELTA: an adaptive learning rate method" (arXiv:1212.5701), with
    a learning rate besides.

    .. math::

        v &\leftarrow \rho v + (1 - \rho) g^2 \\
        d &= g \sqrt{u + \epsilon} / \sqrt{v + \epsilon} \\
        u &\leftarrow \rho u + (1 - \rho) d^2 \\
        w &\leftarrow w - \eta d

    Args:
        learning_rate: :math:`\eta`, a number or a function of the step.
        rho: :math:`\rho`, how much of the means is kept. Default: ``0.9``.
        eps: :math:`\epsilon`, which keeps the roots from zero. Default: ``1e-6``.

    Raises:
        ValueError: If ``rho`` is negative or ``eps`` is not positive.

    Example:
        >>> import olivine.core as mx
        >>> import olivine.optimizers as optim
        >>> optimizer = optim.AdaDelta(learning_rate=1.0, rho=0.5, eps=1.0)
        >>> new = optimizer.apply_gradients({"w": mx.array([4.0])}, {"w": mx.array([3.0])})
        >>> round(new["w"].item(), 4)
        1.6667
    """

    def __init__(self, learning_rate: Scheduled, rho: float = 0.9, eps: float = 1e-6) -> None:
        super().__init__()
        if rho < 0.0:
            raise ValueError(f"rho has to be >=0, not {rho}")
        if eps <= 0.0:
            raise ValueError(f"eps has to be >0, not {eps}")
        self._maybe_schedule("learning_rate", learning_rate)
        self.rho = rho
        self.eps = eps

    def init_single(self, parameter: mx.array, state: State) -> None:
        """Makes the mean squares of gradients ``v`` and of steps ``u``, both zeros."""
        state["v"] = mx.zeros_like(parameter)
        state["u"] = mx.zeros_like(parameter)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: State) -> mx.array:
        """Returns the parameter after one step and keeps the means in the state."""

        def mean(name: str, value: mx.array) -> mx.array:
            new: mx.array = self.rho * state[name] + (1 - self.rho) * mx.square(value)
            return new

        state["v"] = mean("v", gradient)
        step = mx.sqrt(state["u"] + self.eps) / mx.sqrt(state["v"] + self.eps) * gradient
        state["u"] = mean("u", step)
        return parameter - self._rate_for(gradient) * step
