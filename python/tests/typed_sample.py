"""Owns a program that uses every part of the package; type checkers have to find nothing in it."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
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
        clipped, _ = optim.clip_grad_norm(gradients, max_norm=1.0)
        optimizer.update(model, clipped)
        return value

    losses: list[float] = []
    for _ in range(steps):
        value = step(x, y)
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


@mx.custom_function
def step(x: mx.array) -> mx.array:
    """Returns one where the input is positive, and zero elsewhere."""
    return (x > 0).astype(x.dtype)


@step.vjp
def _step_vjp(x: mx.array, cotangent: mx.array, _: mx.array) -> mx.array:
    return mx.where(mx.abs(x) < 1, cotangent, 0.0)


def slopes() -> tuple[list[list[float]], float]:
    """Returns gradients, for each row, of a function with a rule of its own; and a derivative."""

    def loss(weights: dict[str, mx.array], x: mx.array) -> mx.array:
        return mx.sum(step(weights["w"]) * x)

    weights = {"w": mx.array([[-2.0, 0.5], [1.0, -0.25]])}
    of_rows = mx.vmap(mx.compile(mx.grad(loss)), in_axes=({"w": 0}, None))
    gradients = of_rows(weights, mx.array([1.0, 10.0]))["w"]
    forgetful = mx.checkpoint(loss)
    value, _ = mx.value_and_grad(forgetful, argnums=(0, 1))(weights, mx.array([1.0, 10.0]))
    _, tangents = mx.jvp(lambda x: x * x, [value], [mx.ones_like(value)])
    return gradients.tolist(), tangents[0].item()


def files() -> tuple[list[str], dict[str, str], bool]:
    """Returns what comes back of arrays and texts that were saved."""
    keys = mx.random.split(mx.random.key(1), 2)
    arrays = {"a": mx.random.normal((2, 3), key=keys[0]), "b": mx.random.uniform(key=keys[1])}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "arrays.safetensors"
        mx.save_safetensors(path, arrays, {"made by": "hand"})
        loaded, metadata = mx.load(path, return_metadata=True)
        path = path.with_suffix(".npy")
        mx.save(path, arrays["a"])
        same = mx.array_equal(mx.load(path, format="npy"), loaded["a"])
        return sorted(loaded), metadata, same.item()


def streams() -> tuple[bool, mx.Device]:
    """Returns whether two streams agree, and the device that they are on."""
    side = mx.new_stream(mx.cpu)
    a = mx.arange(6, dtype=mx.float32).reshape(2, 3)
    with mx.stream(side):
        there = a @ a.T
    here = mx.matmul(a, mx.transpose(a), stream=mx.default_stream(mx.cpu))
    mx.async_eval(there, here)
    mx.synchronize(side)
    return bool(mx.allclose(here, there)), side.device


def trees() -> dict[str, tuple[int, ...]]:
    """Returns the shapes of a network's parameters after a round trip."""
    parameters = tree_unflatten(tree_flatten(Network(2, 3, 1).parameters()))
    shapes = tree_map(lambda x: x.shape, parameters)
    return dict(tree_flatten(shapes, is_leaf=lambda x: isinstance(x, tuple)))


if __name__ == "__main__":
    losses = train(60)
    print(f"{losses[0]:.3f} {losses[-1]:.3f}", arrays(), slopes(), files(), streams(), trees())
