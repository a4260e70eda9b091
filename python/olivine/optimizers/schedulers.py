"""Owns schedules: functions from the step to a learning rate.

A schedule takes an array, as optimizers pass, or a plain number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import olivine.core as mx

__all__ = [
    "cosine_decay",
    "exponential_decay",
    "join_schedules",
    "linear_schedule",
    "step_decay",
]


def _at_least_one(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name} has to be at least 1, not {value}")


def exponential_decay(init: float, decay_rate: float) -> Callable[[Any], Any]:
    """Makes a schedule that is multiplied by ``decay_rate`` at every step.

    Args:
        init: The first value.
        decay_rate: The factor.

    Returns:
        The schedule.

    Example:
        >>> import olivine.optimizers as optim
        >>> optimizer = optim.SGD(learning_rate=optim.exponential_decay(0.5, 0.5))
        >>> for _ in range(3):
        ...     optimizer.update({}, {})
        >>> optimizer.learning_rate
        array(0.125, dtype=float32)
    """
    return lambda step: init * decay_rate**step


def step_decay(init: float, decay_rate: float, step_size: int) -> Callable[[Any], Any]:
    """Makes a schedule that is multiplied by ``decay_rate`` every ``step_size`` steps.

    Args:
        init: The first value.
        decay_rate: The factor.
        step_size: For how many steps the value stays.

    Returns:
        The schedule.

    Raises:
        ValueError: If ``step_size`` is less than one.

    Example:
        >>> from olivine.optimizers import step_decay
        >>> [step_decay(1.0, 0.5, 2)(step) for step in range(5)]
        [1.0, 1.0, 0.5, 0.5, 0.25]
    """
    _at_least_one("step_size", step_size)
    return lambda step: init * decay_rate ** (step // step_size)


def cosine_decay(init: float, decay_steps: int, end: float = 0.0) -> Callable[[Any], Any]:
    """Makes a schedule that falls along half a cosine wave and then stays.

    Args:
        init: The first value.
        decay_steps: How many steps it falls for.
        end: The last value. Default: ``0``.

    Returns:
        The schedule.

    Raises:
        ValueError: If ``decay_steps`` is less than one.

    Example:
        >>> from olivine.optimizers import cosine_decay
        >>> schedule = cosine_decay(1.0, 4)
        >>> [round(schedule(step).item(), 3) for step in range(6)]
        [1.0, 0.854, 0.5, 0.146, 0.0, 0.0]
    """
    _at_least_one("decay_steps", decay_steps)

    def schedule(step: Any) -> mx.array:
        angle = (math.pi / decay_steps) * mx.minimum(step, decay_steps)
        height = 0.5 * (1.0 + mx.cos(angle))
        return end + height * (init - end)

    return schedule


def join_schedules(
    schedules: Sequence[Callable[[Any], Any]], boundaries: Sequence[int]
) -> Callable[[Any], Any]:
    """Makes a schedule that follows one schedule after another.

    Args:
        schedules: The schedules. Each counts its steps from where it begins.
        boundaries: The steps at which the second schedule and those after it begin.

    Returns:
        The schedule.

    Raises:
        ValueError: If there is no schedule, or the number of boundaries is not one less.

    Example:
        >>> from olivine.optimizers import cosine_decay, join_schedules, linear_schedule
        >>> warmup = linear_schedule(0.0, 1.0, 2)
        >>> schedule = join_schedules([warmup, cosine_decay(1.0, 2)], [2])
        >>> [round(schedule(step).item(), 3) for step in range(5)]
        [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if len(schedules) == 0:
        raise ValueError("there is no schedule to join")
    if len(schedules) != len(boundaries) + 1:
        raise ValueError(
            f"{len(schedules)} schedules take {len(schedules) - 1} boundaries,"
            f" not {len(boundaries)}"
        )

    def schedule(step: Any) -> Any:
        value = schedules[0](step)
        for begin, following in zip(boundaries, schedules[1:]):
            value = mx.where(step < begin, value, following(step - begin))
        return value

    return schedule


def linear_schedule(init: float, end: float, steps: int) -> Callable[[Any], Any]:
    """Makes a schedule that goes from one value to another evenly and then stays.

    Args:
        init: The first value.
        end: The last value.
        steps: How many steps it takes.

    Returns:
        The schedule.

    Raises:
        ValueError: If ``steps`` is less than one.

    Example:
        >>> from olivine.optimizers import linear_schedule
        >>> [linear_schedule(0.0, 1.0, 4)(step).item() for step in (0, 1, 4, 9)]
        [0.0, 0.25, 1.0, 1.0]
    """
    _at_least_one("steps", steps)
    slope = (end - init) / steps
    return lambda step: mx.minimum(step, steps) * slope + init
