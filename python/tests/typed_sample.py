"""Owns a program that uses every part of the package; type checkers have to find nothing in it."""

from __future__ import annotations

from functools import partial
from typing import Any

import olivine.core as mx
import olivine.optimizers as optim
from olivine import nn
from olivine.utils import tree_flatten, tree_map, tree_unflatten


class Network(nn.Module):
    """Two layers with something in between."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, hidden)
        self.second = nn.Linear(hidden, outputs, bias=False)

    def __call__(self, x: mx.array) -> mx.array:
        return self.second(nn.relu(self.first(x)))


def loss(model: Network, x: mx.array, y: mx.array) -> mx.array:
    """Returns the mean squared error, a scalar."""
    return nn.losses.mse_loss(model(x), y)


def train(steps: int) -> list[float]:
    """Returns the loss of every step."""
    mx.random.seed(0)
    model = Network(4, 16, 1)
    optimizer = optim.AdamW(learning_rate=optim.cosine_decay(0.05, steps))
    optimizer.init(model.trainable_parameters())
    x = mx.random.normal((32, 4))
    y = mx.sum(x, axis=-1, keepdims=True)
    state: list[Any] = [model.state, optimizer.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(x: mx.array, y: mx.array) -> mx.array:
        value, gradients = nn.value_and_grad(model, loss)(model, x, y)
        gradients, _ = optim.clip_grad_norm(gradients, max_norm=1.0)
        optimizer.update(model, gradients)
        return value

    losses: list[float] = []
    for _ in range(steps):
        value: mx.array = step(x, y)
        mx.eval(value, state)
        losses.append(float(value.item()))
    return losses


def arrays() -> tuple[tuple[int, ...], mx.Dtype, list[Any]]:
    """Returns facts about an array that indexing, operators and transforms have made."""
    a = mx.arange(12, dtype=mx.float32).reshape(3, 4)
    b = a[1:, ::2] * 2 + a[0, 0]
    b[0] = mx.array([1.0, 2.0])
    slope = mx.grad(lambda x: mx.sum(mx.square(x)))(b)
    squares = mx.vmap(lambda row: mx.sum(row * row))(slope)
    return b.shape, b.dtype, [float(value.item()) for value in squares]


def trees() -> dict[str, tuple[int, ...]]:
    """Returns the shapes of a network's parameters after a round trip."""
    parameters = tree_unflatten(tree_flatten(Network(2, 3, 1).parameters()))
    shapes = tree_map(lambda x: x.shape, parameters)
    return dict(tree_flatten(shapes, is_leaf=lambda x: isinstance(x, tuple)))


if __name__ == "__main__":
    losses = train(60)
    print(f"{losses[0]:.3f} {losses[-1]:.3f}", arrays(), trees())
