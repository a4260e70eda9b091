"""Tests random numbers: their values for a key, their distributions, and the state between draws."""

import sys
import threading
from typing import Any

import olivine.core as mx
import pytest

KEY = mx.random.key(0)


def close(array: mx.array, expected: Any, tolerance: float = 1e-5) -> bool:
    return bool(mx.allclose(array, mx.array(expected), atol=tolerance, rtol=tolerance).item())


def test_a_key_always_gives_the_same_numbers() -> None:
    random = mx.random
    assert random.split(KEY).tolist() == [[4146024105, 967050713], [2718843009, 1272950319]]
    assert close(random.uniform(shape=(2,), key=KEY), [0.216295, 0.804124])
    assert close(random.normal((2,), key=KEY), [-0.784766, 0.856445])
    assert close(random.gumbel((2,), key=KEY), [-0.425993, 1.52325])
    assert close(random.truncated_normal(-1, 1, (3,), key=KEY), [0.906521, -0.322637, 0.22965])
    assert random.randint(0.5, 10, (3,), key=KEY).tolist() == [9, 3, 6]
    assert random.randint(mx.array([1, 2, 3]), 10, (3,), key=KEY).tolist() == [9, 4, 7]
    assert random.bernoulli(0.5, (3,), KEY).tolist() == [False, True, False]
    assert random.categorical(mx.zeros((3, 4)), key=KEY).tolist() == [0, 1, 3]
    assert random.categorical(mx.zeros((3, 4)), num_samples=2, key=KEY).shape == (3, 2)
    assert random.permutation(5, key=KEY).tolist() == [1, 2, 0, 4, 3]
    rows = mx.array([[1, 2], [3, 4], [5, 6]])
    assert random.permutation(rows, key=KEY).tolist() == [[3, 4], [5, 6], [1, 2]]
    normals = random.multivariate_normal(mx.zeros(2), mx.eye(2), (2,), key=KEY)
    assert close(normals, [[1.81609, -0.754885], [0.339889, -0.534835]])
    assert random.laplace((2,), mx.float16, 1.0, 2.0, KEY).tolist() == [2.67578125, -0.8740234375]


def test_a_seed_starts_this_threads_draws_again() -> None:
    mx.random.seed(3)
    first = mx.random.uniform(shape=(2,))
    assert close(first, [0.520858, 0.244856])
    other: list[Any] = []
    thread = threading.Thread(target=lambda: other.append(mx.random.uniform(shape=(2,)).tolist()))
    thread.start()
    thread.join()
    second = mx.random.uniform(shape=(2,))
    mx.random.seed(3)
    assert mx.random.uniform(shape=(2,)).tolist() == first.tolist() != second.tolist()
    assert mx.random.uniform(shape=(2,)).tolist() == second.tolist()
    assert other[0] not in (first.tolist(), second.tolist())


def test_the_state_is_a_list_of_a_key() -> None:
    mx.random.seed(7)
    assert len(mx.random.state) == 1
    assert [key.tolist() for key in mx.random.state] == [[0, 7]]
    assert mx.random.state[0].dtype == mx.uint32
    mx.random.uniform()
    assert mx.random.state[0].tolist() != [0, 7]


def test_a_compiled_function_draws_what_the_function_itself_draws() -> None:
    def noise(x: mx.array) -> mx.array:
        return x + mx.random.normal(x.shape)

    compiled = mx.compile(noise, inputs=mx.random.state, outputs=mx.random.state)
    x = mx.zeros((4,))
    mx.random.seed(11)
    expected = [noise(x).tolist() for _ in range(3)]
    mx.random.seed(11)
    assert [compiled(x).tolist() for _ in range(3)] == expected


@pytest.mark.parametrize(
    ("draw", "mean", "deviation"),
    [
        (lambda shape: mx.random.uniform(-1, 3, shape), 1.0, 4 / 12**0.5),
        (lambda shape: mx.random.normal(shape, loc=2.0, scale=mx.array(3.0)), 2.0, 3.0),
        (lambda shape: mx.random.laplace(shape, loc=1.0, scale=2.0), 1.0, 8**0.5),
        (lambda shape: mx.random.gumbel(shape), 0.5772, 1.2825),
        (lambda shape: mx.random.randint(0, 10, shape).astype(mx.float32), 4.5, (99 / 12) ** 0.5),
        (lambda shape: mx.random.bernoulli(0.25, shape).astype(mx.float32), 0.25, 0.1875**0.5),
    ],
)
def test_distributions_have_their_means_and_deviations(
    draw: Any, mean: float, deviation: float
) -> None:
    mx.random.seed(0)
    x = draw((20_000,))
    assert abs(x.mean().item() - mean) < 0.05 * deviation
    assert abs(mx.std(x).item() - deviation) < 0.05 * deviation


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16, mx.float32])
def test_numbers_come_in_the_dtype_that_is_asked_for(dtype: Any) -> None:
    for draw in (mx.random.uniform, mx.random.normal, mx.random.gumbel, mx.random.laplace):
        assert draw(shape=(2, 0, 3), dtype=dtype).dtype == dtype
        assert draw(shape=(2,), dtype=None).dtype == mx.float32


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: mx.random.key(-1), TypeError),
        (lambda: mx.random.seed(1.5), TypeError),
        (lambda: mx.random.uniform(shape=3), TypeError),
        (lambda: mx.random.uniform(shape=(-1,)), ValueError),
        (lambda: mx.random.uniform(shape=(2,), dtype=mx.int32), ValueError),
        (lambda: mx.random.uniform(high=mx.array([1.0, 2.0, 3.0]), shape=(2,)), ValueError),
        (lambda: mx.random.randint(0, 2, (2,), mx.float32), ValueError),
        (lambda: mx.random.bernoulli(1), ValueError),
        (lambda: mx.random.split(mx.array([1, 2, 3])), ValueError),
        (lambda: mx.random.categorical(mx.zeros((3, 4)), axis=3), IndexError),
        (lambda: mx.random.categorical(mx.zeros(3), shape=(2,), num_samples=2), ValueError),
        (
            lambda: mx.random.multivariate_normal(mx.zeros(2), mx.eye(2), dtype=mx.float16),
            ValueError,
        ),
    ],
)
def test_misuse_is_an_error(call: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        call()


def test_submodules_can_be_imported() -> None:
    for name in ("random", "metal", "cuda", "distributed"):
        assert sys.modules[f"olivine.core.{name}"] is getattr(mx, name)
