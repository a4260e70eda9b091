"""Arrays made, indexed and lent inside transforms and among other work."""

from __future__ import annotations

import olivine.core as mx


def test_updates_inside_a_gradient_are_traced() -> None:
    def f(x: mx.array) -> mx.array:
        y = mx.zeros((4,))
        y[1:3] = x * x
        y[mx.array([0])] = x[0]
        y += 1
        return (y * mx.array([1.0, 2.0, 3.0, 4.0])).sum()

    assert mx.grad(f)(mx.array([3.0, 5.0])).tolist() == [13.0, 30.0]


def test_a_list_of_arrays_is_traced() -> None:
    slope = mx.grad(lambda x: (mx.array([x, 2 * x]) * mx.array([1.0, 3.0])).sum())
    assert slope(mx.array(1.0)).item() == 7.0


def test_masks_and_updates_at_positions_have_gradients() -> None:
    def f(x: mx.array) -> mx.array:
        y = mx.ones((3,)).at[mx.array([0, 0, 2])].add(x)
        y[mx.array([False, True, False])] = x[1]
        return (y * mx.array([1.0, 10.0, 100.0])).sum()

    assert mx.grad(f)(mx.array([1.0, 2.0, 3.0])).tolist() == [1.0, 11.0, 100.0]


def test_compiled_functions_update_arrays_in_place() -> None:
    def f(x: mx.array) -> mx.array:
        y = x + 0
        y[1:] *= 2
        y[0] = x[-1]
        y += 1
        return y

    x = mx.array([1.0, 2.0, 3.0])
    for _ in range(2):
        assert mx.compile(f)(x).tolist() == f(x).tolist() == [4.0, 5.0, 7.0]
    assert x.tolist() == [1.0, 2.0, 3.0]


def test_batches_are_indexed_and_updated() -> None:
    def f(x: mx.array, i: mx.array) -> mx.array:
        y = mx.zeros((3,))
        y[i] = x[0]
        return y + x[i]

    x, i = mx.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), mx.array([1, 2])
    assert mx.vmap(f)(x, i).tolist() == [f(x[0], i[0]).tolist(), f(x[1], i[1]).tolist()]


def test_unused_capsules_free_their_memory() -> None:
    for version in (None, (1, 0)):
        before = mx.get_active_memory()
        a = mx.zeros((1000, 1000)) + 1
        mx.eval(a)
        capsule = a.__dlpack__(max_version=version)
        del a
        assert mx.get_active_memory() >= before + 4_000_000
        del capsule
        assert mx.get_active_memory() < before + 4_000_000


def test_the_namespace_names_the_default_device() -> None:
    info = mx.__array_namespace_info__()
    assert info.default_device() in info.devices()
