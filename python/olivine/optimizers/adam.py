"""Owns Adam and its relatives AdamW and Adamax."""

from __future__ import annotations

from collections.abc import Sequence

import olivine.core as mx
from olivine.optimizers.base import Optimizer, Scheduled, State


def check_betas(betas: Sequence[float]) -> None:
    """Raises ``ValueError`` unless every coefficient lies in [0, 1)."""
    for position, beta in enumerate(betas, start=1):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"beta{position} has to be in [0, 1), not {beta}")


class Adam(Optimizer):
    r"""Steps along a running mean of gradients, divided by the root of that of their squares.

    The rule is from Kingma and Ba, "Adam: a method for stochastic optimization" (ICLR 2015).

    .. math::

        m &\leftarrow \beta_1 m + (1 - \beta_1) g \\
        v &\leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
        w &\leftarrow w - \eta m / (\sqrt{v} + \epsilon)

    Args:
        learning_rate: :math:`\eta`, a number or a function of the step.
        betas: :math:`(\beta_1, \beta_2)`, how much of the means is kept.
            Default: ``[0.9, 0.999]``.
        eps: :math:`\epsilon`, which keeps the divisor from zero. Default: ``1e-8``.
        bias_correction: Whether to make up for the means starting at zero, as the paper
            does. Default: ``False``.

    Raises:
        ValueError: If a coefficient is not in [0, 1) or ``eps`` is negative.

    Example:
        >>> import olivine.core as mx
        >>> import olivine.optimizers as optim
        >>> optimizer = optim.Adam(learning_rate=0.5, bias_correction=True)
        >>> new = optimizer.apply_gradients({"w": mx.array([4.0])}, {"w": mx.array([3.0])})
        >>> round(new["w"].item(), 4)
        2.5
    """

    def __init__(
        self,
        learning_rate: Scheduled,
        betas: Sequence[float] = [0.9, 0.999],  # noqa: B006 - a list as in MLX
        eps: float = 1e-8,
        bias_correction: bool = False,
    ) -> None:
        super().__init__()
        check_betas(betas)
        if eps < 0.0:
            raise ValueError(f"eps has to be >=0, not {eps}")
        self._maybe_schedule("learning_rate", learning_rate)
        self.betas = betas
        self.eps = eps
        self.bias_correction = bias_correction

    def init_single(self, parameter: mx.array, state: State) -> None:
        """Makes the means of gradients ``m`` and of their squares ``v``, both zeros."""
        state["m"] = mx.zeros_like(parameter)
        state["v"] = mx.zeros_like(parameter)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: State) -> mx.array:
        """Returns the parameter after one step and keeps the means in the state."""
        beta1, beta2 = self.betas
        rate = self._rate_for(gradient)
        mean: mx.array = beta1 * state["m"] + (1 - beta1) * gradient
        square: mx.array = beta2 * state["v"] + (1 - beta2) * mx.square(gradient)
        state["m"], state["v"] = mean, square
        spread = mx.sqrt(square)
        if self.bias_correction:
            rate = (rate / (1 - beta1**self.step)).astype(gradient.dtype)
            spread = spread * mx.rsqrt(1 - beta2**self.step).astype(gradient.dtype)
        return parameter - rate * mean / (spread + self.eps)


class AdamW(Adam):
    r"""Adam that also shrinks parameters, apart from the gradient.

    The rule is from Loshchilov and Hutter, "Decoupled weight decay regularization" (ICLR 2019).

    .. math::

        w \leftarrow (1 - \eta \lambda) w - \eta m / (\sqrt{v} + \epsilon)

    Args:
        learning_rate: :math:`\eta`, a number or a function of the step.
        betas: How much of the means is kept, as in :class:`Adam`. Default: ``[0.9, 0.999]``.
        eps: :math:`\epsilon`, which keeps the divisor from zero. Default: ``1e-8``.
        weight_decay: :math:`\lambda`. Default: ``0.01``.
        bias_correction: Whether to make up for the means starting at zero. Default: ``False``.

    Raises:
        ValueError: If a coefficient is not in [0, 1) or ``eps`` is negative.

    Example:
        >>> import olivine.core as mx
        >>> import olivine.optimizers as optim
        >>> optimizer = optim.AdamW(learning_rate=0.5, weight_decay=0.5)
        >>> optimizer.apply_gradients({"w": mx.array([0.0])}, {"w": mx.array([4.0])})
        {'w': array([3], dtype=float32)}
    """

    def __init__(
        self,
        learning_rate: Scheduled,
        betas: Sequence[float] = [0.9, 0.999],  # noqa: B006 - a list as in MLX
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        bias_correction: bool = False,
    ) -> None:
        super().__init__(learning_rate, betas, eps, bias_correction)
        self.weight_decay = weight_decay

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: State) -> mx.array:
        """Returns the parameter, shrunk first, after one step of Adam."""
        kept = 1 - self._rate_for(gradient) * self.weight_decay
        return super().apply_single(gradient, parameter * kept, state)


class Adamax(Adam):
    r"""Adam that divides by a decaying maximum of gradients instead of a mean of squares.

    The rule is from section 7.1 of the paper on Adam.

    .. math::

        m &\leftarrow \beta_1 m + (1 - \beta_1) g \\
        v &\leftarrow \max(\beta_2 v, |g|) \\
        w &\leftarrow w - \eta m / (v + \epsilon)

    Args:
        learning_rate: :math:`\eta`, a number or a function of the step.
        betas: :math:`(\beta_1, \beta_2)`, how much of the mean and of the maximum is kept.
            Default: ``[0.9, 0.999]``.
        eps: :math:`\epsilon`, which keeps the divisor from zero. Default: ``1e-8``.

    Raises:
        ValueError: If a coefficient is not in [0, 1) or ``eps`` is negative.

    Example:
        >>> import olivine.core as mx
        >>> import olivine.optimizers as optim
        >>> optimizer = optim.Adamax(learning_rate=1.0, betas=(0.5, 0.5))
        >>> optimizer.apply_gradients({"w": mx.array([-4.0])}, {"w": mx.array([3.0])})
        {'w': array([3.5], dtype=float32)}
    """

    def __init__(
        self,
        learning_rate: Scheduled,
        betas: Sequence[float] = [0.9, 0.999],  # noqa: B006 - a list as in MLX
        eps: float = 1e-8,
    ) -> None:
        super().__init__(learning_rate, betas, eps)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: State) -> mx.array:
        """Returns the parameter after one step and keeps mean and maximum in the state."""
        beta1, beta2 = self.betas
        mean: mx.array = beta1 * state["m"] + (1 - beta1) * gradient
        largest = mx.maximum(beta2 * state["v"], mx.abs(gradient))
        state["m"], state["v"] = mean, largest
        return parameter - self._rate_for(gradient) * mean / (largest + self.eps)
