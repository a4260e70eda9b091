"""Owns Muon and the Newton-Schulz iteration that it stands on."""

from __future__ import annotations

import olivine.core as mx
from olivine.optimizers.base import Optimizer, Scheduled, State

# The quintic that the method's author chose: it lifts small singular values fast and leaves
# all of them somewhere around one, which is as good as one for this purpose.
LINEAR, CUBIC, QUINTIC = 3.4445, -4.7750, 2.0315


def _orthogonalized(x: mx.array, steps: int) -> mx.array:
    """Returns a matrix with the singular vectors of ``x`` and singular values near one."""
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.T
    x = x / (mx.linalg.norm(x, keepdims=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        weights = mx.addmm(CUBIC * gram, gram, gram, beta=1.0, alpha=QUINTIC)
        x = mx.addmm(LINEAR * x, weights, x, beta=1.0, alpha=1.0)
    return x.T if tall else x


class Muon(Optimizer):
    r"""Makes the momentum of a matrix orthogonal before it steps along it.

    The rule is from Keller Jordan, "Muon: an optimizer for hidden layers in neural networks"
    (https://kellerjordan.github.io/posts/muon/). It is meant for hidden layers: use another
    optimizer for embeddings, the last layer, and parameters without two axes, by way of
    :class:`MultiOptimizer`. Parameters with more than two axes are matrices whose columns are
    all but the first.

    Args:
        learning_rate: A number or a function of the step.
        momentum: How much of the momentum is kept. Default: ``0.95``.
        weight_decay: What times the parameter is added to its gradient. Default: ``0.01``.
        nesterov: Whether to look ahead by Nesterov's rule. Default: ``True``.
        ns_steps: How many steps of the iteration to make. Default: ``5``.

    Example:
        >>> import olivine.core as mx
        >>> import olivine.optimizers as optim
        >>> optimizer = optim.Muon(learning_rate=1.0, weight_decay=0.0)
        >>> w = {"w": mx.zeros((2, 2))}
        >>> new = optimizer.apply_gradients({"w": mx.array([[5.0, 0.0], [0.0, 5.0]])}, w)
        >>> bool(mx.all(mx.abs(new["w"] + mx.eye(2)) < 0.35))
        True
    """

    def __init__(
        self,
        learning_rate: Scheduled,
        momentum: float = 0.95,
        weight_decay: float = 0.01,
        nesterov: bool = True,
        ns_steps: int = 5,
    ) -> None:
        super().__init__()
        self._maybe_schedule("learning_rate", learning_rate)
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.nesterov = nesterov
        self.ns_steps = ns_steps

    def init_single(self, parameter: mx.array, state: State) -> None:
        """Makes the momentum ``v``, zeros in the shape of the parameter."""
        state["v"] = mx.zeros_like(parameter)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: State) -> mx.array:
        """Returns the parameter after one step and keeps the momentum in ``state["v"]``."""
        if self.weight_decay != 0:
            gradient = gradient + self.weight_decay * parameter
        fresh = 1 - self.momentum
        step: mx.array = self.momentum * state["v"] + fresh * gradient
        state["v"] = step
        if self.nesterov:
            step = gradient * fresh + step * self.momentum
        rate = self._rate_for(gradient)
        if step.ndim >= 2:
            matrix = mx.reshape(step, (step.shape[0], -1)) if step.ndim > 2 else step
            step = mx.reshape(_orthogonalized(matrix, self.ns_steps), step.shape)
            # As in MLX, the last two axes decide, even where they are those of a filter.
            rate = rate * max(1, step.shape[-2] / step.shape[-1]) ** 0.5
        return parameter - rate * step
