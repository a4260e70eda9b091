"""Arrays are made of numbers, lists, buffers and other libraries' arrays."""

from __future__ import annotations

import array as arrays
import ctypes
import gc
import time
import weakref
from typing import Any

import numpy as np
import olivine.core as mx
import pytest

INTEGERS = (mx.int8, mx.int16, mx.int32, mx.int64, mx.uint8, mx.uint16, mx.uint32, mx.uint64)
FLOATS = (mx.float16, mx.bfloat16, mx.float32, mx.float64)


@pytest.mark.parametrize(
    ("value", "dtype", "shape"),
    [
        (True, mx.bool_, ()),
        (3, mx.int32, ()),
        (2**31, mx.int64, ()),
        (-(2**31) - 1, mx.int64, ()),
        (2**63, mx.uint64, ()),
        (2.5, mx.float32, ()),
        (1 + 2j, mx.complex64, ()),
        ([], mx.float32, (0,)),
        ([[], []], mx.float32, (2, 0)),
        ([True, False], mx.bool_, (2,)),
        ([True, 2], mx.int32, (2,)),
        ([1, 2**40], mx.int64, (2,)),
        ([1, 2**63], mx.uint64, (2,)),
        ([1, 2.5], mx.float32, (2,)),
        ([1, 2.5, 3j], mx.complex64, (3,)),
        (((1, 2), [3, 4]), mx.int32, (2, 2)),
        ([[1, 2], (3, 4)], mx.int32, (2, 2)),
        ([[[1], [2]], [[3], [4.0]]], mx.float32, (2, 2, 1)),
        ([np.float64(1.5)], mx.float32, (1,)),
        (b"abc", mx.uint8, (3,)),
        (bytearray(b"ab"), mx.uint8, (2,)),
        (np.float32(1.5), mx.float32, ()),
        (np.int64(5), mx.int64, ()),
        (np.float64(1.5), mx.float32, ()),
        (np.bool_(True), mx.bool_, ()),
    ],
)
def test_the_dtype_follows_from_the_numbers(value: Any, dtype: Any, shape: Any) -> None:
    a = mx.array(value)
    assert (a.dtype, a.shape) == (dtype, shape)


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS, mx.bool_, mx.complex64])
def test_a_dtype_may_be_asked_for(dtype: Any) -> None:
    for value in (1, 1.0, True, 1 + 0j, [1], [1.0], [True], [1 + 0j], np.ones(1), np.ones(1, "i2")):
        a = mx.array(value, dtype)
        assert a.dtype == dtype
        assert a.reshape(()).item() == 1
        assert mx.asarray(value, dtype).dtype == dtype


def test_numbers_are_cast_as_in_c() -> None:
    assert mx.array(3.7, mx.int32).item() == 3
    assert mx.array([-1.5, 300.0], mx.uint8).tolist() == [255, 44]
    assert mx.array([300, -1], mx.uint8).tolist() == [44, 255]
    assert mx.array(2**40, mx.int32).item() == 0
    assert mx.array([0.5, 0.0], mx.bool_).tolist() == [True, False]
    assert mx.array([1 + 2j], mx.float32).tolist() == [1.0]
    assert mx.array([0.1], mx.float64).item() == 0.1
    assert mx.array([2**53 + 2], mx.float64).item() == 2**53 + 2
    assert mx.array(1e300).item() == float("inf")
    assert mx.full((2,), 0.1, dtype=mx.float64).tolist() == [0.1, 0.1]


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ([2**40], mx.int32),
        ([2**33], mx.uint32),
        ([-1], mx.uint32),
        ([-1], mx.uint64),
        ([2**63, -1], None),
        (2**64, None),
        ([2**64], None),
    ],
)
def test_integers_far_out_of_range_are_refused(value: Any, dtype: Any) -> None:
    with pytest.raises(ValueError, match=r"overflow|64.bit"):
        mx.array(value, dtype)


@pytest.mark.parametrize(
    "value",
    [
        [1, [2]],
        [[1], 2],
        [[1, 2], [3]],
        [[[1]], [[2], [3]]],
        [[], [1]],
        [[1], []],
        [[3, 4], mx.zeros((1,))],
        [mx.zeros((2,)), mx.zeros((1,))],
        [mx.zeros((1,)), 1.0],
        [1.0, mx.zeros((1,))],
    ],
)
def test_ragged_lists_are_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="Initialization encountered"):
        mx.array(value)


@pytest.mark.parametrize(
    "value",
    ["abc", ["a"], [1, "a"], [None], {}, {1}, range(3), object(), mx.float32, int, np.array],
)
def test_other_things_are_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="Invalid type"):
        mx.array(value)


def test_arguments_are_checked() -> None:
    make: Any = mx.array
    for arguments in ((), (None,), (1, 2), (1, mx.float32, 3)):
        with pytest.raises(TypeError):
            make(*arguments)
    assert make(val=[1], dtype=mx.int8).dtype == mx.int8


def test_a_list_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(ValueError, match="deep"):
        mx.array(loop)


def test_lists_of_arrays_are_stacked() -> None:
    a = mx.array([mx.array(1), 2.5, np.float64(3)])
    assert (a.dtype, a.tolist()) == (mx.float32, [1.0, 2.5, 3.0])
    b = mx.array([[mx.array([1]), [2.0]], [[3.0], mx.array([4])]])
    assert (b.shape, b.tolist()) == ((2, 2, 1), [[[1.0], [2.0]], [[3.0], [4.0]]])
    assert mx.array([mx.array([1, 2])], mx.float16).dtype == mx.float16


def test_a_long_list_takes_little_time() -> None:
    numbers = [0.5] * 1_000_000
    mx.array(numbers[:1000])
    start = time.perf_counter()
    a = mx.array(numbers)
    assert time.perf_counter() - start < 0.5
    assert a.shape == (1_000_000,)
    start = time.perf_counter()
    assert a.tolist() == numbers
    assert time.perf_counter() - start < 0.5


NUMPY = [np.bool_, *(np.dtype(f"{s}{n}") for s in "iu" for n in (1, 2, 4, 8))]
NUMPY += [np.float16, np.float32, np.complex64]


@pytest.mark.parametrize("dtype", NUMPY)
@pytest.mark.parametrize("order", ["<", ">"])
def test_numpy_arrays_keep_their_values_in_every_layout(dtype: Any, order: str) -> None:
    x = np.arange(24).reshape(2, 3, 4).astype(dtype)
    layouts = [x, x.T, x[:, ::-1], x[::-1, :, ::2], x[1:], x[..., None], x[:, 0:0], x[0, 0, 0]]
    layouts += [np.asfortranarray(x), np.broadcast_to(x[0], (5, 3, 4)), np.squeeze(x[0, 1:2])]
    for layout in layouts:
        found = mx.array(layout.astype(np.dtype(dtype).newbyteorder(order)))
        assert str(found.dtype).endswith(str(np.dtype(dtype).name))
        np.testing.assert_array_equal(np.array(found), layout)
        unswapped = mx.array(layout)
        np.testing.assert_array_equal(np.array(unswapped), layout)


def test_doubles_become_single_unless_asked_for() -> None:
    x = np.array([0.1, 1e300])
    assert mx.array(x).dtype == mx.float32
    assert mx.array(x, mx.float64).tolist() == x.tolist()
    assert mx.array(np.array([1 + 2j])).tolist() == [1 + 2j]
    assert mx.array(np.array([1 + 2j])).dtype == mx.complex64


def test_unaligned_and_odd_memory_is_read() -> None:
    raw = np.frombuffer(b"x" + np.arange(4, dtype=np.float32).tobytes(), dtype=np.uint8)
    x = raw[1:].view(np.float32)
    assert mx.array(x).tolist() == [0.0, 1.0, 2.0, 3.0]
    # Any byte but zero is true.
    truth = np.array([0, 1, 2, 255], dtype=np.uint8).view(np.bool_)
    assert mx.array(truth).astype(mx.int32).tolist() == [0, 1, 1, 1]
    assert mx.from_dlpack(truth).astype(mx.int32).tolist() == [0, 1, 1, 1]


def test_bfloat16_comes_from_ml_dtypes() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = np.array([[1.5, -2.0], [3.0, 0.25]], dtype=ml_dtypes.bfloat16)
    for layout in (x, x.T, x[0, 0], x[:, ::2]):
        a = mx.array(layout)
        assert a.dtype == mx.bfloat16
        np.testing.assert_array_equal(np.array(a.astype(mx.float32)), layout.astype(np.float32))
    assert mx.array(x, mx.float32).dtype == mx.float32


def test_other_buffers_are_read() -> None:
    assert mx.array(arrays.array("d", [1.5, 2.0])).dtype == mx.float32
    assert mx.array(arrays.array("l", [1, 2])).dtype == mx.int64
    assert mx.array(memoryview(b"abcdefgh").cast("I", (2,))).dtype == mx.uint32
    assert mx.array((ctypes.c_int * 3)(1, 2, 3)).tolist() == [1, 2, 3]
    assert mx.array((ctypes.c_double * 2 * 2)((1, 2), (3, 4))).tolist() == [[1, 2], [3, 4]]
    assert mx.array(memoryview(mx.array([1.5], mx.bfloat16))).dtype == mx.bfloat16
    assert mx.array(np.ma.array([1, 2])).tolist() == [1, 2]


@pytest.mark.parametrize(
    "value",
    [
        np.array(["a"]),
        np.array([object()]),
        np.array(["2020"], dtype="M8[D]"),
        np.array([1.5], dtype=np.longdouble),
        np.zeros(2, dtype=[("a", "i4"), ("b", "f4")]),
    ],
)
def test_buffers_of_other_things_are_refused(value: Any) -> None:
    with pytest.raises(ValueError):
        mx.array(value)


def test_sizes_beyond_32_bits_overflow() -> None:
    with pytest.raises(OverflowError, match="2147483648"):
        mx.array(np.broadcast_to(np.zeros((), np.int8), (2**31,)))


class Own:
    """An object that says what its array is."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def __mlx_array__(self) -> Any:
        return self.answer


class Lender:
    """An object that NumPy can read."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array([7, 8], dtype=dtype)


def test_objects_may_hold_arrays() -> None:
    assert mx.array(Own(mx.array([7, 8]))).tolist() == [7, 8]
    assert (mx.array([1, 2]) + Own(mx.array([7, 8]))).tolist() == [8, 10]
    assert mx.array(mx.ArrayLike(Own(mx.array(3)))).item() == 3
    assert mx.array(Lender(), mx.float32).tolist() == [7.0, 8.0]
    with pytest.raises(TypeError, match="__mlx_array__"):
        mx.array(Own(5))


def test_numpy_operands_take_the_dtype_of_the_array() -> None:
    a = mx.array([1.5], mx.float16)
    assert (a * np.float32(2)).dtype == mx.float16
    assert (mx.array([1]) + np.array([1.5])).tolist() == [2]
    assert (mx.array([1.5]) + np.array([1])).tolist() == [2.5]


def test_arrays_are_copied_by_handle() -> None:
    a = mx.array([1, 2])
    b, c = mx.array(a), mx.asarray(a)
    a += 1
    assert b.tolist() == c.tolist() == [1, 2]
    assert mx.array(a, mx.float32).dtype == mx.float32


def test_asarray_never_shares() -> None:
    x = np.arange(3, dtype=np.float32)
    for copy in (None, True):
        a = mx.asarray(x, copy=copy)
        x += 10
        assert a.tolist() == (x - 10).tolist()
    for value in (x, [1], 5, mx.array(1)):
        with pytest.raises(ValueError):
            mx.asarray(value, copy=False)


def test_from_dlpack_shares_what_can_stay_as_it_is() -> None:
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    for layout in (x, x.T, x[:, 1::2], np.broadcast_to(x[:1], (5, 4)), x[1:2]):
        a = mx.from_dlpack(layout)
        assert a.tolist() == layout.tolist()
        view = memoryview(a)
        assert view.strides == layout.strides
        assert view.readonly
        assert np.shares_memory(np.asarray(a), x)
    assert mx.from_dlpack(x, copy=False).tolist() == x.tolist()
    copy = mx.from_dlpack(x, copy=True)
    x += 1
    assert copy.tolist() == (x - 1).tolist()


def test_from_dlpack_copies_what_cannot() -> None:
    for x in (np.array([1.5]), np.array([True]), np.array([1j])):
        assert mx.from_dlpack(x).tolist() == x.tolist()
        with pytest.raises(ValueError, match="copy"):
            mx.from_dlpack(x, copy=False)
    assert mx.from_dlpack(np.array([1.5])).dtype == mx.float32
    with pytest.raises(ValueError, match="negative"):
        mx.from_dlpack(np.arange(3.0)[::-1])
    nothing: Any = [1, 2]
    with pytest.raises(TypeError):
        mx.from_dlpack(nothing)


def test_shared_memory_lives_as_long_as_the_array() -> None:
    class Holder(np.ndarray):  # type: ignore[type-arg]
        pass

    x = np.arange(1000, dtype=np.float32).view(Holder)
    gone = weakref.ref(x)
    a = mx.from_dlpack(x)
    half = a[500:]
    del x, a
    gc.collect()
    assert gone() is not None
    assert half.sum().item() == sum(range(500, 1000))
    del half
    gc.collect()
    assert gone() is None


def test_operations_leave_shared_memory_alone() -> None:
    x = np.arange(4, dtype=np.float32)
    a = mx.from_dlpack(x)
    for _ in range(3):
        a = a * 2 + 1
    assert a[0].item() == 7.0
    b = mx.from_dlpack(x)
    b += 1
    b[0] = 100
    assert b.tolist() == [100.0, 2.0, 3.0, 4.0]
    assert x.tolist() == [0.0, 1.0, 2.0, 3.0]
