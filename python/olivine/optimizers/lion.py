"""Owns Lion."""

from __future__ import annotations

from collections.abc import Sequence

import olivine.core as mx
from olivine.optimizers.adam import check_betas
from olivine.optimizers.base import Optimizer, Scheduled, State


class Lion(Optimizer):
    r"""Steps by the sign of a mean of gradients.

    The rule is from Chen et al., "Symbolic discovery of optimization algorithms"
    (arXiv:2302.06675). All steps have the same size, so the learning rate should be 3 to 10
    times smaller than for :class:`AdamW`, and the weight decay larger by as much.

    .. math::

        c &= \beta_1 m + (1 - \beta_1) g \\
        m &\leftarrow \beta_2 m + (1 - \beta_2) g \\
        w &\leftarrow w - \eta (\operatorname{sign}(c) + \lambda w)

    Args:
        learning_rate: :math:`\eta`, a number or a function of the step.
        betas: :math:`(\beta_1, \beta_2)`, how much of the mean counts in a step and is kept.
            Default: ``[0.9, 0.99]``.
        weight_decay: :math:`\lambda`. Default: ``0``.

    Raises:
        ValueError: If a coefficient is not in [0, 1).

    Example:
        >>> import olivine.core as mx
        >>> import olivine.optimizers as optim
        >>> optimizer = optim.Lion(learning_rate=0.5)
        >>> optimizer.apply_gradients({"w": mx.array([-4.0])}, {"w": mx.array([3.0])})
        {'w': array([3.5], dtype=float32)}
    """

    def __init__(
        self,
        learning_rate: Scheduled,
        betas: Sequence[float] = [0.9, 0.99],  # noqa: B006 - a list as in MLX
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__()
        check_betas(betas)
        self._maybe_schedule("learning_rate", learning_rate)
        self.betas = betas
        self.weight_decay = weight_decay

    def init_single(self, parameter: mx.array, state: State) -> None:
        """Makes the mean of gradients ``m``, zeros in the shape of the parameter."""
        state["m"] = mx.zeros_like(parameter)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: State) -> mx.array:
        """Returns the parameter after one step and keeps the mean in ``state["m"]``."""
        rate = self._rate_for(gradient)
        in_step, kept = (beta * state["m"] + (1 - beta) * gradient for beta in self.betas)
        state["m"] = kept
        if self.weight_decay > 0:
            parameter = (1 - rate * self.weight_decay) * parameter
        return parameter - rate * mx.sign(in_step)
