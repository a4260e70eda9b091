"""Values leave arrays as Python numbers, lists and text; dtypes say what they are."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import olivine.core as mx
import pytest

INTEGERS = (mx.int8, mx.int16, mx.int32, mx.int64, mx.uint8, mx.uint16, mx.uint32, mx.uint64)
FLOATS = (mx.float16, mx.bfloat16, mx.float32, mx.float64)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_leave_exactly(dtype: Any) -> None:
    info = mx.iinfo(dtype)
    for value in (info.min, 0, 1, info.max):
        a = mx.array(value, dtype)
        assert a.item() == value
        assert type(a.item()) is int
        assert mx.array([value], dtype).tolist() == [value]
        assert [0, 1][mx.array(1, dtype)] == 1
    assert info.dtype == dtype


@pytest.mark.parametrize("dtype", FLOATS)
def test_floats_leave_as_python_floats(dtype: Any) -> None:
    info = mx.finfo(dtype)
    for value in (info.min, -0.5, 0.0, info.max, math.inf):
        a = mx.array(value, dtype)
        assert a.item() == value
        assert type(a.item()) is float
    assert math.isnan(mx.array(math.nan, dtype).item())
    assert (info.dtype, info.bits) == (dtype, dtype.size * 8)
    one = mx.array(1.0, dtype)
    assert (one + mx.array(info.eps, dtype)).item() > 1.0
    assert (one + mx.array(info.eps / 2, dtype)).item() == 1.0
    assert info.smallest_normal > 0


def test_other_numbers_leave_as_themselves() -> None:
    assert mx.array(True).item() is True
    assert mx.array([1 + 2j]).item() == 1 + 2j
    assert mx.array([[1, 2], [3, 4]]).T.tolist() == [[1, 3], [2, 4]]
    assert mx.zeros((2, 0, 3)).tolist() == [[], []]
    assert mx.array(2).tolist() == 2


@pytest.mark.parametrize("convert", [lambda a: a.item(), int, float, complex, bool])
def test_only_one_element_makes_a_number(convert: Any) -> None:
    for a in (mx.zeros((2,)), mx.zeros((0,))):
        with pytest.raises(ValueError, match="length-1"):
            convert(a)
    assert convert(mx.ones((1, 1, 1))) == 1


def test_python_converts_arrays() -> None:
    assert int(mx.array(2.7)) == 2
    assert float(mx.array(2)) == 2.0
    assert complex(mx.array(2.5)) == 2.5 + 0j
    assert bool(mx.array(math.nan)) is True
    assert bool(mx.array(0j)) is False
    assert math.sqrt(mx.array(4.0)) == 2.0
    assert list(range(mx.array(3))) == [0, 1, 2]
    for convert in (int, float):
        with pytest.raises(TypeError):
            convert(mx.array(1j))
    with pytest.raises(OverflowError):
        int(mx.array(math.inf))
    for a in (mx.array(1.0), mx.array(True), mx.array([1])):
        with pytest.raises(TypeError, match="index"):
            a.__index__()


def test_formats_apply_to_arrays_without_axes() -> None:
    assert f"{mx.array(3.14159):.2f}" == "3.14"
    assert f"{mx.array(3):5d}" == "    3"
    assert f"{mx.array([1, 2])}" == "array([1, 2], dtype=int32)"
    with pytest.raises(TypeError):
        format(mx.array([1.5]), ".2f")


def test_lengths_and_hashes() -> None:
    a = mx.zeros((3, 2))
    assert len(a) == 3
    with pytest.raises(TypeError, match="0-dimensional"):
        len(mx.array(1))
    assert hash(a) == hash(a)
    assert a in {a}
    assert len({a, a + 0}) == 2


def test_attributes_tell_the_shape_and_cannot_be_set() -> None:
    a: Any = mx.zeros((2, 3), mx.int16)
    assert (a.shape, a.ndim, a.size) == ((2, 3), 2, 6)
    assert (a.itemsize, a.nbytes, a.dtype) == (2, 12, mx.int16)
    with pytest.raises(AttributeError):
        a.shape = (6,)
    with pytest.raises(AttributeError):
        a.name = "a"


def test_methods_take_what_the_functions_take() -> None:
    a = mx.arange(12, dtype=mx.float32).reshape(3, 4)
    x = np.asarray(a)
    for shape in ((4, 3), ((4, 3),), ([4, 3],), (-1,), (2, -1, 2)):
        assert a.reshape(*shape).tolist() == x.reshape(*shape).tolist()
    for axes in ((), (1, 0), ((1, 0),), ([-1, 0],)):
        assert a.transpose(*axes).tolist() == x.transpose(*axes).tolist()
    assert a.flatten().shape == (12,)
    assert a[None].flatten(1, 2).shape == (1, 12)
    assert a[None, :, None].squeeze().shape == (3, 4)
    assert a[None, :, None].squeeze((0, 2)).shape == (3, 4)
    assert a.swapaxes(0, 1).shape == a.moveaxis(0, -1).shape == (4, 3)
    assert [part.shape for part in a.split(2, axis=1)] == [(3, 2), (3, 2)]
    assert [part.shape for part in a.split([1])] == [(1, 4), (2, 4)]
    assert a.diagonal(1).tolist() == x.diagonal(1).tolist()
    assert a[0].diag(1).tolist() == np.diag(x[0], 1).tolist()
    assert a.var(0, ddof=1).tolist() == pytest.approx(x.var(0, ddof=1).tolist())
    assert a.var(0, correction=1).tolist() == a.var(0, ddof=1).tolist()
    assert a.std((0, 1), keepdims=True).tolist() == [[pytest.approx(float(x.std()))]]
    assert (a.argmax().item(), a.argmin(axis=1).tolist()) == (11, [0, 0, 0])
    assert a.argmax(1, keepdims=True).shape == (3, 1)
    assert mx.array([1.26, 2.5]).round(1).tolist() == pytest.approx([1.3, 2.5])
    assert a.view(mx.int32).dtype == mx.int32
    assert a.view(mx.int16).shape == (3, 8)
    assert a.astype(mx.int8).dtype == mx.int8
    with pytest.raises(TypeError):
        a.reshape()
    with pytest.raises(ValueError):
        a.reshape(5)
    for call in (lambda: a.squeeze(7), lambda: a.swapaxes(0, 5), lambda: a.moveaxis(0, 5)):
        with pytest.raises(IndexError):
            call()


def test_printing_follows_the_values() -> None:
    assert repr(mx.array([[1, 20], [3, 4]])) == "array([[1, 20],\n       [3, 4]], dtype=int32)"
    assert str(mx.array(2.5)) == "array(2.5, dtype=float32)"
    assert repr(mx.array([True])) == "array([True], dtype=bool)"


def test_print_options_hold_for_a_while() -> None:
    a = mx.array([1.123456789])
    usual = repr(a)
    assert usual == "array([1.12346], dtype=float32)"
    with mx.printoptions(precision=3):
        assert repr(a) == "array([1.123], dtype=float32)"
        assert mx.get_printoptions().precision == 3
        with mx.printoptions(1):
            assert repr(a) == "array([1.1], dtype=float32)"
    assert repr(a) == usual
    try:
        mx.set_printoptions(precision=2)
        assert repr(a) == "array([1.12], dtype=float32)"
    finally:
        mx.set_printoptions(-1)
    assert repr(a) == usual
    options = mx.PrintOptions(4)
    options.precision = 7
    assert options.precision == 7
    assert mx.PrintOptions().precision == mx.get_printoptions().precision == -1


def test_dtypes_are_values() -> None:
    assert mx.float32 == mx.float32
    assert mx.float32 != mx.int32
    assert mx.float32 != "float32"
    assert len({mx.float32, mx.float32, mx.int8}) == 2
    assert pickle.loads(pickle.dumps([mx.float32, mx.bool_])) == [mx.float32, mx.bool_]
    make: Any = mx.Dtype
    with pytest.raises(TypeError):
        make("float32")


def test_categories_form_a_tree() -> None:
    assert isinstance(mx.generic, mx.DtypeCategory)
    assert next(iter(mx.DtypeCategory)).name == "complexfloating"
    assert mx.DtypeCategory["floating"] is mx.floating
    assert pickle.loads(pickle.dumps(mx.inexact)) is mx.inexact
    assert mx.issubdtype(mx.bool_, mx.generic)
    assert not mx.issubdtype(mx.bool_, mx.number)
    assert mx.issubdtype(mx.floating, mx.inexact)
    assert not mx.issubdtype(mx.floating, mx.float32)
    for dtype in INTEGERS:
        assert mx.issubdtype(dtype, mx.integer)
        signed = str(dtype).split(".")[-1].startswith("int")
        assert mx.issubdtype(dtype, mx.signedinteger) == signed
        assert mx.issubdtype(dtype, mx.unsignedinteger) != signed
        assert mx.isdtype(dtype, "integral")
        assert mx.isdtype(dtype, ("bool", dtype))
    for wrong in ("a", 5, None):
        with pytest.raises(ValueError, match="issubdtype"):
            mx.issubdtype(wrong, mx.generic)
    for kind in ("x", 5, ["bool"], (5,)):
        with pytest.raises(ValueError, match="isdtype"):
            mx.isdtype(mx.int8, kind)


def test_promotion_is_told() -> None:
    assert mx.result_type(mx.uint8, mx.int8) == mx.int16
    assert mx.result_type(mx.array(1), mx.float16) == mx.float16
    assert mx.can_cast(mx.array([1], mx.int8), mx.int32)
    assert not mx.can_cast(mx.float64, mx.float32)
    for call in (lambda: mx.result_type(), lambda: mx.result_type(1, mx.int8)):
        with pytest.raises(ValueError, match="result_type"):
            call()
    with pytest.raises(ValueError, match="can_cast"):
        mx.can_cast(1, mx.int8)


def test_ranges_are_those_of_the_dtype() -> None:
    assert repr(mx.finfo(mx.float32)) == "finfo(min=-3.40282e+38, max=3.40282e+38, dtype=float32)"
    assert repr(mx.iinfo(mx.int8)) == "iinfo(min=-128, max=127, dtype=int8)"
    assert mx.finfo(mx.complex64).dtype == mx.float32
    for wrong in (mx.int8, mx.bool_):
        with pytest.raises(ValueError, match="finfo"):
            mx.finfo(wrong)
    for wrong in (mx.float32, mx.bool_):
        with pytest.raises(ValueError, match="iinfo"):
            mx.iinfo(wrong)


def test_constants_are_numbers() -> None:
    assert (mx.pi, mx.e, mx.inf, mx.newaxis) == (math.pi, math.e, math.inf, None)
    assert math.isnan(mx.nan)
    assert mx.euler_gamma == pytest.approx(0.5772156649015329)


def test_the_namespace_describes_itself() -> None:
    space = mx.array(1).__array_namespace__()
    assert space.asarray([1]).tolist() == [1]
    info = space.__array_namespace_info__()
    assert info.capabilities()["max dimensions"] == 10
    assert len(info.devices()) == 1
    assert info.default_dtypes()["integral"] == mx.int32
    assert set(info.dtypes(kind="complex floating")) == {"complex64"}
    assert set(info.dtypes(kind=("bool", "real floating"))) == {"bool", "float32", "float64"}
    assert len(info.dtypes()) == 12
    with pytest.raises(ValueError):
        info.dtypes(kind="x")
    with pytest.raises(TypeError):
        info.dtypes(device="cpu")
    with pytest.raises(ValueError):
        mx.array(1).__array_namespace__("2022")
