"""Arrays lend their memory by the buffer protocol and DLPack."""

from __future__ import annotations

import copy
import ctypes
import gc
import pickle
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import olivine.core as mx
import pytest

FORMATS = {
    mx.bool_: "?",
    mx.uint8: "B",
    mx.uint16: "H",
    mx.uint32: "I",
    mx.uint64: "Q",
    mx.int8: "b",
    mx.int16: "h",
    mx.int32: "i",
    mx.int64: "q",
    mx.float16: "e",
    mx.bfloat16: "bfloat16",
    mx.float32: "f",
    mx.float64: "d",
    mx.complex64: "Zf",
}


@pytest.mark.parametrize("dtype", FORMATS)
def test_a_view_tells_format_shape_and_strides(dtype: Any) -> None:
    a = mx.array([[0, 1, 2], [3, 4, 5]]).astype(dtype)
    size = a.itemsize
    view = memoryview(a)
    assert (view.format, view.shape, view.itemsize) == (FORMATS[dtype], (2, 3), size)
    assert (view.strides, view.nbytes, view.readonly) == ((3 * size, size), 6 * size, False)
    assert memoryview(a.T).strides == (size, 3 * size)
    assert memoryview(a[::-1, 1:]).strides == (-3 * size, size)
    assert memoryview(mx.broadcast_to(a[0, 0], (2, 2))).strides == (0, 0)
    scalar = memoryview(mx.array(1, dtype))
    assert (scalar.shape, scalar.strides, scalar.readonly) == ((), (), False)
    assert memoryview(a[:0]).nbytes == 0


def test_numpy_shares_the_memory() -> None:
    a = mx.arange(12).reshape(3, 4) + 0
    for part in (a, a.T, a[::-1, ::2], a[1]):
        x = np.asarray(part)
        assert not x.flags.owndata
        assert x.tolist() == part.tolist()
        assert np.shares_memory(x, np.asarray(a))
    x = np.array(a, copy=False)
    x[0, 0] = 99
    assert a[0, 0].item() == 99
    assert np.array(a).flags.owndata
    assert np.array(a, dtype=np.float64).dtype == np.float64
    assert np.frombuffer(a, dtype=np.int32).shape == (12,)
    assert np.sin(mx.array([0.0])).tolist() == [0.0]


def test_the_array_method_converts() -> None:
    a = mx.arange(3)
    assert a.__array__().dtype == np.int32
    assert a.__array__(np.float32).dtype == np.float32
    assert a.__array__(copy=True).flags.owndata
    assert np.shares_memory(a.__array__(), a.__array__(copy=False))
    with pytest.raises(TypeError, match="bfloat16"):
        mx.array([1.0], mx.bfloat16).__array__()
    with pytest.raises(ValueError, match="bfloat16"):
        np.asarray(mx.array([1.0], mx.bfloat16))


def test_a_view_keeps_the_memory_through_updates() -> None:
    a = mx.arange(1000) + 0
    view = memoryview(a)
    a += 1
    a[0] = 7
    assert a[:2].tolist() == [7, 2]
    assert view[0] == 0
    assert view[999] == 999
    del a
    gc.collect()
    assert view[998] == 998


def test_a_view_keeps_the_array() -> None:
    a = mx.arange(3)
    gone = weakref.ref(a)
    view = memoryview(a)
    del a
    assert gone() is not None
    view.release()
    del view
    assert gone() is None


def test_buffers_are_lent_by_name_and_by_derived_classes() -> None:
    class Derived(mx.array):
        pass

    for a in (mx.array([1, 2]), Derived([1, 2])):
        view = memoryview(a)
        assert (view.format, view.tolist(), view.readonly) == ("i", [1, 2], False)
        assert np.asarray(a.__buffer__(0)).tolist() == [1, 2]
        view.release()


def test_a_lent_buffer_is_not_reused_for_results() -> None:
    a = mx.arange(1000, dtype=mx.float32) + 0
    x = np.asarray(a)
    b = a * 2
    del a
    assert b[10].item() == 20.0
    assert x[10] == 10.0


def test_contiguous_memory_is_only_lent_where_it_is() -> None:
    a = mx.arange(12).reshape(3, 4)
    assert np.frombuffer(a, np.int32).tolist() == list(range(12))
    with pytest.raises((BufferError, ValueError)):
        np.frombuffer(a.T, np.int32)
    assert bytes(a.T) == np.asarray(a).T.tobytes()
    assert bytes(mx.array([1, 2], mx.uint8)) == b"\x01\x02"


def test_read_only_memory_stays_so() -> None:
    x = np.arange(4, dtype=np.float32)
    a = mx.from_dlpack(x)
    assert memoryview(a).readonly
    assert not np.asarray(a).flags.writeable
    with pytest.raises((BufferError, TypeError, ValueError)):
        np.asarray(a)[0] = 1


def test_dlpack_goes_to_numpy() -> None:
    for dtype in FORMATS:
        if dtype == mx.bfloat16:
            continue
        a = mx.array([[0, 1, 2], [3, 4, 5]]).astype(dtype)
        for part in (a, a.T, a[:, ::2], a[0, 0], a[:0]):
            x = np.from_dlpack(part)
            assert x.shape == part.shape
            assert x.tolist() == part.tolist()
            if part.size:
                assert np.shares_memory(x, np.asarray(part))


def test_dlpack_capsules_follow_the_version_asked_for() -> None:
    a = mx.arange(3)
    assert a.__dlpack_device__() == (1, 0)
    assert '"dltensor"' in repr(a.__dlpack__())
    assert '"dltensor"' in repr(a.__dlpack__(max_version=(0, 8)))
    assert '"dltensor_versioned"' in repr(a.__dlpack__(max_version=(1, 0)))
    assert '"dltensor"' in repr(a.__dlpack__(stream=None, dl_device=(1, 0), copy=True))
    for device in ((2, 0), (8, 0), (7, 0), (13, 0)):
        with pytest.raises(BufferError):
            a.__dlpack__(dl_device=device)
    call: Any = a.__dlpack__
    with pytest.raises(TypeError):
        call(1)


def test_dlpack_copies_if_asked_or_if_memory_is_read_only() -> None:
    a = mx.arange(3) + 0
    x = np.from_dlpack(a, copy=True)
    assert not np.shares_memory(x, np.asarray(a))
    fixed = mx.from_dlpack(np.arange(3, dtype=np.int32))
    assert not np.from_dlpack(fixed).flags.writeable
    with pytest.raises(BufferError):
        fixed.__dlpack__(copy=False)


def test_a_capsule_is_used_once() -> None:
    class Once:
        def __init__(self) -> None:
            self.capsule = mx.arange(3).__dlpack__()

        def __dlpack_device__(self) -> tuple[int, int]:
            return (1, 0)

        def __dlpack__(self, **_: Any) -> Any:
            return self.capsule

    once = Once()
    assert mx.from_dlpack(once).tolist() == [0, 1, 2]
    with pytest.raises(ValueError):
        mx.from_dlpack(once)


@pytest.mark.parametrize("answer", [None, 5, "capsule", b"", object()])
def test_wrong_capsules_are_refused(answer: Any) -> None:
    class Wrong:
        def __dlpack_device__(self) -> tuple[int, int]:
            return (1, 0)

        def __dlpack__(self, **_: Any) -> Any:
            return answer

    with pytest.raises((TypeError, ValueError)):
        mx.from_dlpack(Wrong())


class Tensor(ctypes.Structure):
    """A tensor as DLPack lays it out, without version."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
    )


class Hostile:
    """An exporter of a tensor with some fields changed."""

    def __init__(self, sizes: tuple[int, ...] = (2, 3), **changed: int) -> None:
        self.numbers = (ctypes.c_float * 6)(*range(6))
        self.sizes = (ctypes.c_int64 * 64)(*sizes)
        self.tensor = Tensor(
            data=ctypes.addressof(self.numbers),
            device_type=1,
            ndim=len(sizes),
            code=2,
            bits=32,
            lanes=1,
            shape=self.sizes,
        )
        for name, value in changed.items():
            setattr(self.tensor, name, value)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __dlpack__(self, **_: Any) -> Any:
        make = ctypes.pythonapi.PyCapsule_New
        make.restype = ctypes.py_object
        make.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
        return make(ctypes.addressof(self.tensor), b"dltensor", None)


@pytest.mark.parametrize("copy", [None, True, False])
def test_a_tensor_without_strides_or_deleter_is_row_major(copy: Any) -> None:
    keep = Hostile()
    assert mx.from_dlpack(keep, copy=copy).tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    empty = Hostile((0, 3), data=None)
    if copy is not False:
        assert mx.from_dlpack(empty, copy=copy).shape == (0, 3)


@pytest.mark.parametrize(
    "tensor",
    [
        Hostile(ndim=-1),
        Hostile(ndim=1000),
        Hostile(code=3),
        Hostile(code=99),
        Hostile(bits=7),
        Hostile(bits=128),
        Hostile(lanes=4),
        Hostile(device_type=2),
        Hostile(data=None),
        Hostile((-1, 3)),
        Hostile((2**40, 1)),
        Hostile((2**31 - 1,) * 8),
    ],
)
def test_broken_tensors_are_refused(tensor: Any) -> None:
    for wish in (None, True, False):
        with pytest.raises((ValueError, OverflowError)):
            mx.from_dlpack(tensor, copy=wish)


def test_other_devices_are_refused() -> None:
    class Away:
        def __dlpack_device__(self) -> tuple[int, int]:
            return (2, 0)

        def __dlpack__(self, **_: Any) -> Any:
            raise AssertionError("must not be asked")

    with pytest.raises(ValueError, match="device"):
        mx.from_dlpack(Away())


def test_old_exporters_take_no_arguments() -> None:
    class Old:
        def __init__(self) -> None:
            self.x = np.arange(3, dtype=np.float32)

        def __dlpack_device__(self) -> tuple[int, int]:
            return (1, 0)

        def __dlpack__(self, stream: Any = None) -> Any:
            return self.x.__dlpack__(stream=stream)

    assert mx.from_dlpack(Old()).tolist() == [0.0, 1.0, 2.0]
    assert mx.array(Old()).tolist() == [0.0, 1.0, 2.0]


def test_torch_tensors_go_both_ways() -> None:
    torch = pytest.importorskip("torch")
    names = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32")
    for name in (*names, "complex64"):
        t = torch.arange(6).reshape(2, 3).to(getattr(torch, name)).T
        a = mx.from_dlpack(t)
        assert str(a.dtype).split(".")[-1] == name
        assert a.tolist() == t.tolist()
        assert mx.array(t).tolist() == t.tolist()
        back = torch.from_dlpack(mx.array(t))
        assert back.tolist() == t.tolist()
        assert back.dtype == t.dtype
    a = mx.zeros((2, 3)) + 0
    t = torch.from_dlpack(a)
    t[0, 0] = 5
    assert a[0, 0].item() == 5.0
    with pytest.raises((BufferError, ValueError)):
        mx.array(torch.zeros(2, requires_grad=True))


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_keep_values_and_dtype(dtype: Any, protocol: int) -> None:
    whole = mx.array([[0, 1, 2], [3, 4, 5]]).astype(dtype)
    for a in (whole, whole.T, whole[0, 1], whole[:0]):
        b = pickle.loads(pickle.dumps(a, protocol))
        assert (b.dtype, b.shape, b.tolist()) == (a.dtype, a.shape, a.tolist())


def test_pickles_of_mlx_are_read() -> None:
    a = mx.array(0)
    a.__setstate__((np.array([[1.5, 2.0]], dtype=np.float32), 10))
    assert (a.dtype, a.tolist()) == (mx.float32, [[1.5, 2.0]])
    a.__setstate__((np.array([16320], dtype=np.uint16), 12))
    assert (a.dtype, a.tolist()) == (mx.bfloat16, [1.5])


@pytest.mark.parametrize(
    "state",
    [(), (1,), (b"abc", (1,), 10), (b"abcd", (2**62, 4), 10), (b"abcd", (1,), 99), (b"", 1, 2, 3)],
)
def test_broken_pickles_are_refused(state: Any) -> None:
    with pytest.raises((ValueError, TypeError, OverflowError)):
        mx.array(0).__setstate__(state)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_copies_are_handles_of_their_own(duplicate: Any) -> None:
    a = mx.array([1, 2])
    b = duplicate(a)
    b -= 1
    assert (a.tolist(), b.tolist()) == ([1, 2], [0, 1])
    assert duplicate({"a": a})["a"].tolist() == [1, 2]


def test_classes_may_be_derived() -> None:
    class Named(mx.array):
        def __init__(self, value: Any, name: str) -> None:
            super().__init__(value)
            self.name = name

    a = Named([1, 2], "a")
    assert a.name == "a"
    assert (a + a).tolist() == [2, 4]
    assert type(a + 1) is mx.array
    assert mx.array(a).tolist() == [1, 2]
    assert np.asarray(a).tolist() == [1, 2]


def test_eight_threads_may_lend_and_update() -> None:
    a = mx.zeros((64, 64)) + 0

    def work(thread: int) -> None:
        for i in range(100):
            view = memoryview(a)
            x = np.asarray(a).copy()
            assert x.shape == view.shape == (64, 64)
            a[(i + thread) % 64] = i
            assert len(a.tolist()) == 64
            assert mx.from_dlpack(x).shape == (64, 64)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
