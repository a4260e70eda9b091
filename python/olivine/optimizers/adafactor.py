"""Owns Adafactor."""

from __future__ import annotations

import olivine.core as mx
from olivine.optimizers.base import Optimizer, Scheduled, State


def _root_mean_square(x: mx.array) -> mx.array:
    return mx.sqrt(mx.mean(mx.square(x)))


class Adafactor(Optimizer):
    r"""Adam in little memory: of a matrix of squares it keeps the means of rows and columns.

    The rule is from Shazeer and Stern, "Adafactor: adaptive learning rates with sublinear
    memory cost" (arXiv:1804.04235). Parameters with more than two axes are stacks of matrices.

    Args:
        learning_rate: A number or a function of the step; needed if ``relative_step`` is
            ``False``. Default: ``None``.
        eps: What is added to squares of gradients, and the smallest scale of a parameter.
            Default: ``(1e-30, 1e-3)``.
        clip_threshold: The root mean square above which a step is shortened. Default: ``1``.
        decay_rate: The mean keeps ``1 - step ** decay_rate`` of itself. Default: ``-0.8``.
        beta_1: How much is kept of a running mean of steps, if there shall be one.
            Default: ``None``.
        weight_decay: What times the learning rate parameters shrink by. Default: ``0``.
        scale_parameter: Whether steps grow with the parameter's root mean square.
            Default: ``True``.
        relative_step: Whether the learning rate follows from the step, as its inverse root
            and at most 0.01. Default: ``True``.
        warmup_init: Whether the relative step is besides at most a millionth of the step
            count, instead of 0.01. Default: ``False``.

    Example:
        >>> import olivine.core as mx
        >>> import olivine.optimizers as optim
        >>> optimizer = optim.Adafactor()
        >>> ones = {"w": mx.ones((2, 3))}
        >>> new = optimizer.apply_gradients(ones, ones)
        >>> round(new["w"][0, 0].item(), 4)
        0.99
        >>> sorted((name, x.shape) for name, x in optimizer.state["w"].items())
        [('exp_avg_sq_col', (3,)), ('exp_avg_sq_row', (2,))]
    """

    def __init__(
        self,
        learning_rate: Scheduled | None = None,
        eps: tuple[float, float] = (1e-30, 1e-3),
        clip_threshold: float = 1.0,
        decay_rate: float = -0.8,
        beta_1: float | None = None,
        weight_decay: float = 0.0,
        scale_parameter: bool = True,
        relative_step: bool = True,
        warmup_init: bool = False,
    ) -> None:
        super().__init__()
        if learning_rate is not None:
            self._maybe_schedule("learning_rate", learning_rate)
        self.eps = eps
        self.clip_threshold = clip_threshold
        self.decay_rate = decay_rate
        self.beta_1 = beta_1
        self.weight_decay = weight_decay
        self.scale_parameter = scale_parameter
        self.relative_step = relative_step
        self.warmup_init = warmup_init

    def init_single(self, parameter: mx.array, state: State) -> None:
        """Makes the means of squares, by row and column where there are two axes, of zeros."""
        if parameter.ndim >= 2:
            *stack, rows, columns = parameter.shape
            state["exp_avg_sq_row"] = mx.zeros((*stack, rows), dtype=parameter.dtype)
            state["exp_avg_sq_col"] = mx.zeros((*stack, columns), dtype=parameter.dtype)
        else:
            state["exp_avg_sq"] = mx.zeros_like(parameter)
        if self.beta_1 is not None:
            state["exp_avg"] = mx.zeros_like(parameter)

    def _step_size(self, parameter: mx.array) -> mx.array:
        """Returns the learning rate for a parameter, a scalar."""
        size = _root_mean_square(parameter)
        rate = self.learning_rate if not self.relative_step else self._relative_rate()
        rate = rate.astype(size.dtype)
        return mx.maximum(self.eps[1], size) * rate if self.scale_parameter else rate

    def _relative_rate(self) -> mx.array:
        largest = 1e-6 * self.step if self.warmup_init else 1e-2
        return mx.minimum(largest, mx.rsqrt(self.step))

    def _approximate_exp_moving_avg(
        self, exp_avg_sq_row: mx.array, exp_avg_sq_col: mx.array
    ) -> mx.array:
        """Returns the inverse roots of the matrix that has these means of rows and columns."""
        mean = mx.mean(exp_avg_sq_row, axis=-1, keepdims=True)
        of_rows = mx.rsqrt(exp_avg_sq_row / mean)
        of_columns = mx.rsqrt(exp_avg_sq_col)
        return mx.expand_dims(of_rows, -1) * mx.expand_dims(of_columns, -2)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: State) -> mx.array:
        """Returns the parameter after one step and keeps the means in the state."""
        rate = self._step_size(parameter)
        keep = 1.0 - (self.step**self.decay_rate).astype(rate.dtype)
        squares = mx.square(gradient) + self.eps[0]

        def mean(name: str, value: mx.array) -> mx.array:
            new: mx.array = keep * state[name] + (1 - keep) * value
            state[name] = new
            return new

        if gradient.ndim >= 2:
            inverse_root = self._approximate_exp_moving_avg(
                mean("exp_avg_sq_row", mx.mean(squares, axis=-1)),
                mean("exp_avg_sq_col", mx.mean(squares, axis=-2)),
            )
        else:
            inverse_root = mx.rsqrt(mean("exp_avg_sq", squares))
        step = inverse_root * gradient
        step = step / mx.maximum(1.0, _root_mean_square(step) / self.clip_threshold)
        step = rate * step
        if self.beta_1 is not None:
            step = self.beta_1 * state["exp_avg"] + (1 - self.beta_1) * step
            state["exp_avg"] = step
        if self.weight_decay != 0:
            parameter = parameter + parameter * (-self.weight_decay * rate)
        return parameter - step
