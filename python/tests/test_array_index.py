"""Indexing and updates give what NumPy gives."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import olivine.core as mx
import pytest

Index = Any


def _slice(random_: random.Random, size: int) -> slice:
    def bound() -> int | None:
        return random_.choice([None, random_.randint(-size - 2, size + 2)])

    return slice(bound(), bound(), random_.choice([None, None, 1, 2, 3, -1, -2]))


def _positions(random_: random.Random, size: int, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    count = int(np.prod(shape))
    values = [random_.randint(-size, size - 1) for _ in range(count)]
    dtype = random_.choice([np.int32, np.int64, np.int16])
    return np.array(values, dtype=dtype).reshape(shape)


def _tuples(seed: int) -> tuple[tuple[int, ...], tuple[Index, ...]]:
    """A shape and indices into it, in NumPy's terms."""
    random_ = random.Random(seed)
    shape = tuple(random_.randint(1, 5) for _ in range(random_.randint(1, 5)))
    taken = random_.randint(0, len(shape))
    common = random_.choice([(2,), (3,), (2, 3), (1, 3)])
    indices: list[Index] = []
    # NumPy counts an ellipsis that stands for no axis as one between arrays; here it is nothing.
    ellipsis = random_.choice([None, random_.randint(0, taken)]) if taken < len(shape) else None
    for i in range(taken):
        if ellipsis == i:
            indices.append(Ellipsis)
        if random_.random() < 0.2:
            indices.append(None)
        axis = i - taken if ellipsis is not None and i >= ellipsis else i
        size = shape[axis]
        kind = random_.choice(["int", "slice", "slice", "array", "list"])
        if kind == "int":
            indices.append(random_.randint(-size, size - 1))
        elif kind == "slice":
            indices.append(_slice(random_, size))
        elif kind == "array":
            dims = random_.choice([common, common[-1:]])
            indices.append(_positions(random_, size, dims))
        else:
            indices.append(_positions(random_, size, common[-1:]).tolist())
    if ellipsis == taken:
        indices.append(Ellipsis)
    return shape, tuple(indices)


def _native(indices: tuple[Index, ...]) -> tuple[Index, ...]:
    return tuple(mx.array(i) if isinstance(i, np.ndarray) else i for i in indices)


@pytest.mark.parametrize("block", range(20))
def test_a_random_tuple_selects_what_numpy_selects(block: int) -> None:
    for seed in range(block * 30, block * 30 + 30):
        shape, indices = _tuples(seed)
        x = np.arange(int(np.prod(shape)), dtype=np.int32).reshape(shape)
        expected = x[indices]
        found = mx.array(x)[_native(indices)]
        assert found.shape == expected.shape, (shape, indices)
        np.testing.assert_array_equal(np.array(found), expected, err_msg=f"{shape} {indices}")
        # NumPy's own arrays of positions are taken too.
        np.testing.assert_array_equal(np.array(mx.array(x)[indices]), expected)


@pytest.mark.parametrize("block", range(20))
def test_a_random_assignment_changes_what_numpy_changes(block: int) -> None:
    for seed in range(block * 30, block * 30 + 30):
        shape, indices = _tuples(seed)
        x = np.zeros(shape, dtype=np.float32)
        # Where positions repeat, the order of assignments must not matter.
        if any(isinstance(i, (np.ndarray, list)) for i in indices):
            value = np.float32(7)
        else:
            value = np.arange(x[indices].size, dtype=np.float32).reshape(x[indices].shape)
        found = mx.array(x)
        alias, before = found, found[...]
        x[indices] = value
        found[_native(indices)] = mx.array(value)
        assert alias is found
        np.testing.assert_array_equal(np.array(found), x, err_msg=f"{shape} {indices}")
        assert not np.array(before).any()


@pytest.mark.parametrize(
    ("method", "ufunc", "value"),
    [
        ("add", np.add, 3.0),
        ("subtract", np.subtract, 3.0),
        ("multiply", np.multiply, 2.0),
        ("divide", np.divide, 2.0),
        ("maximum", np.maximum, 5.0),
        ("minimum", np.minimum, 5.0),
    ],
)
def test_at_updates_as_often_as_a_position_is_named(method: str, ufunc: Any, value: float) -> None:
    for seed in range(150):
        shape, indices = _tuples(seed)
        x = np.arange(int(np.prod(shape)), dtype=np.float32).reshape(shape)
        found = getattr(mx.array(x).at[_native(indices)], method)(value)
        ufunc.at(x, indices, np.float32(value))
        np.testing.assert_allclose(np.array(found), x, rtol=1e-6, err_msg=f"{shape} {indices}")


def test_a_mask_assigns_where_it_is_true() -> None:
    for seed in range(60):
        random_ = np.random.default_rng(seed)
        shape = tuple(random_.integers(1, 5, size=random_.integers(1, 4)))
        x = random_.normal(size=shape).astype(np.float32)
        rank = int(random_.integers(1, len(shape) + 1))
        mask = random_.random(shape[:rank]) < 0.5
        several = random_.normal(size=(int(mask.sum()), *shape[rank:])).astype(np.float32)
        for value in (np.float32(2.5), several):
            if value.ndim and value.shape[0] == 0:
                continue
            expected = x.copy()
            expected[mask] = value
            for key in (mx.array(mask), mask):
                found = mx.array(x)
                found[key] = mx.array(value)
                np.testing.assert_array_equal(np.array(found), expected)


def test_masks_may_be_lists_and_truth_values() -> None:
    a = mx.array([1.0, 2.0, 3.0])
    a[[True, False, True]] = mx.array([5.0, 6.0])
    assert a.tolist() == [5.0, 2.0, 6.0]
    a[False] = 9
    assert a.tolist() == [5.0, 2.0, 6.0]
    a[True] = 9
    assert a.tolist() == [9.0, 9.0, 9.0]
    with pytest.raises(ValueError, match="boolean"):
        a[mx.array([True, False, True])]
    with pytest.raises(ValueError, match="mask"):
        a[mx.array([True, False])] = 1


def test_numbers_take_the_dtype_of_the_elements() -> None:
    a = mx.array([1, 2, 3])
    a[0] = 7.9
    a[1] = True
    a[2] = np.float64(2.5)
    assert (a.dtype, a.tolist()) == (mx.int32, [7, 1, 2])
    b = mx.array([1, 2], mx.uint8)
    with pytest.raises(ValueError, match="overflow"):
        b[0] = 300
    b[0] = np.array(44)
    assert b.tolist() == [44, 2]
    several: Any = [1]
    with pytest.raises(ValueError, match="list"):
        b[0] = several
    nothing: Any = None
    with pytest.raises(TypeError):
        b[0] = nothing


def test_an_alias_changes_and_a_view_does_not() -> None:
    a = mx.array([1, 2, 3])
    alias, view, copy = a, a[:], mx.array(a)
    number = id(a)
    a[0] = 9
    a += 1
    assert id(a) == number
    assert alias.tolist() == [10, 3, 4]
    assert view.tolist() == copy.tolist() == [1, 2, 3]


@pytest.mark.parametrize("index", [3, -4, 2**31, 2**70, -(2**70), (0, 4), (0, -5)])
def test_positions_outside_are_index_errors_and_value_errors(index: Any) -> None:
    a = mx.zeros((3, 4))
    for error in (IndexError, ValueError, mx.AxisError):
        with pytest.raises(error):
            a[index]
        with pytest.raises(error):
            a[index] = 1


def test_bounds_of_slices_have_32_bits() -> None:
    a = mx.arange(5)
    assert a[: 2**31 - 1].tolist() == [0, 1, 2, 3, 4]
    assert a[-(2**31) :: 2**30].tolist() == [0]
    assert a[2**31 - 1 :: -1].tolist() == [4, 3, 2, 1, 0]
    assert a[mx.array(1) : np.int64(3)].tolist() == [1, 2]
    for wide in (slice(2**31), slice(-(2**40), None), slice(None, None, 2**70)):
        with pytest.raises(ValueError, match="32-bit"):
            a[wide]


@pytest.mark.parametrize(
    "index",
    ["a", 1.0, (0, "a"), (0, 1.0), {}, {0}, range(2), b"ab", object(), True, (0, True)],
)
def test_other_things_are_no_indices(index: Any) -> None:
    with pytest.raises(ValueError, match="Cannot index"):
        mx.zeros((3, 4))[index]


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ((..., ...), "single ellipsis"),
        ((0, 0, 0), "Too many indices"),
        (slice(None, None, 0), "step"),
        (slice(1.0, None), "Slice indices"),
        (slice("a"), "Slice indices"),
    ],
)
def test_wrong_indices_say_what_is_wrong(index: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mx.zeros((3, 4))[index]
    with pytest.raises(ValueError, match=message):
        mx.zeros((3, 4))[index] = 1


def test_a_scalar_has_no_positions() -> None:
    a = mx.array(5)
    assert a[()].item() == a[...].item() == a[None].item() == 5
    for index in (0, slice(None), mx.array(0), [0]):
        with pytest.raises(ValueError, match="0-dimensional"):
            a[index]
    a[None, None] = mx.array([[[3]]])
    assert a.item() == 3


def test_elements_cannot_be_deleted() -> None:
    a: Any = mx.zeros((2,))
    with pytest.raises(AttributeError):
        del a[0]


def test_an_empty_list_selects_nothing() -> None:
    assert mx.zeros((3, 4))[[]].shape == (0, 4)


def test_at_needs_indices() -> None:
    with pytest.raises(ValueError, match="at"):
        mx.zeros((3,)).at.add(1)


def test_integers_are_divided_towards_zero_at_positions() -> None:
    assert mx.array([7, -7, 7]).at[:2].divide(2).tolist() == [3, -3, 7]


def test_iteration_goes_along_the_first_axis() -> None:
    a = mx.arange(24).reshape(12, 2)
    rows = list(a)
    assert len(rows) == 12
    assert all(row.tolist() == [2 * i, 2 * i + 1] for i, row in enumerate(rows))
    iterator = iter(a[:1])
    assert isinstance(iterator, mx.ArrayIterator)
    assert [row.shape for row in iterator] == [(2,)]
    assert list(iterator) == []
    first, second = mx.array([1, 2])
    assert (first.item(), second.item()) == (1, 2)
    with pytest.raises(TypeError):
        iter(mx.array(1))


def test_eight_threads_may_assign_to_one_array() -> None:
    a = mx.zeros((8, 64))

    def work(row: int) -> None:
        for i in range(200):
            a[row] = i
            a.at[row].add(1)
            assert a[row, 3].item() <= 200
            a[row, ::2] += 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert a.shape == (8, 64)
    assert mx.max(a).item() <= 200
