"""Tests files of arrays: by path and by object, with metadata, and those that are not what they should be."""

import io
import pathlib
from typing import Any

import numpy as np
import olivine.core as mx
import pytest

DTYPES = [
    mx.bool_,
    mx.uint8,
    mx.int16,
    mx.uint32,
    mx.int64,
    mx.float16,
    mx.bfloat16,
    mx.float32,
    mx.complex64,
]


def same(a: mx.array, b: mx.array) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and bool(mx.array_equal(a, b).item())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["path", "str", "object"])
def test_safetensors_come_back_as_they_were(tmp_path: pathlib.Path, dtype: Any, kind: str) -> None:
    arrays = {"a": mx.arange(6).reshape(2, 3).astype(dtype), "empty": mx.zeros((0, 2), dtype=dtype)}
    path = tmp_path / "x.safetensors"
    file: Any = {"path": path, "str": str(path), "object": io.BytesIO()}[kind]
    mx.save_safetensors(file, arrays, {"by": "test"})
    if kind == "object":
        file.seek(0)
    loaded, metadata = mx.load(file, return_metadata=True, format="safetensors")
    assert metadata == {"by": "test"}
    assert all(same(loaded[name], arrays[name]) for name in arrays)


def test_numpy_reads_what_was_saved_and_the_other_way_round(tmp_path: pathlib.Path) -> None:
    x = mx.array([[1.5, 2.5]])
    mx.save(tmp_path / "x", x)
    assert np.array_equal(np.load(tmp_path / "x.npy"), [[1.5, 2.5]])
    np.save(tmp_path / "y.npy", np.asfortranarray(np.arange(6).reshape(2, 3)))
    assert mx.load(str(tmp_path / "y.npy")).tolist() == [[0, 1, 2], [3, 4, 5]]
    mx.savez(tmp_path / "z.npz", x, other=x * 2)
    with np.load(tmp_path / "z.npz") as archive:
        assert sorted(archive) == ["arr_0", "other"]
    mx.savez_compressed(str(tmp_path / "c"), zeros=mx.zeros((10_000,)))
    assert (tmp_path / "c.npz").stat().st_size < 1000
    assert mx.load(tmp_path / "c.npz")["zeros"].shape == (10_000,)


def test_the_first_bytes_tell_the_format_of_a_file_object() -> None:
    x = mx.array([1, 2, 3])
    for save in (
        lambda f: mx.save(f, x),
        lambda f: mx.savez(f, x=x),
        lambda f: mx.save_safetensors(f, {"x": x}),
        lambda f: mx.save_gguf(f, {"x": x}),
    ):
        file = io.BytesIO()
        save(file)
        file.seek(0)
        loaded = mx.load(file)
        assert same(loaded if isinstance(loaded, mx.array) else loaded["x"], x)


def test_gguf_keeps_metadata(tmp_path: pathlib.Path) -> None:
    metadata = {
        "name": "tiny",
        "words": ["a", "b"],
        "size": mx.array(3, mx.uint32),
        "v": mx.array([1.5, 2.5]),
    }
    mx.save_gguf(str(tmp_path / "x.gguf"), {"w": mx.ones((2, 2))}, metadata)
    arrays, loaded = mx.load(str(tmp_path / "x.gguf"), return_metadata=True)
    assert arrays["w"].shape == (2, 2)
    assert loaded["name"] == "tiny" and loaded["words"] == ["a", "b"]
    assert same(loaded["size"], metadata["size"]) and same(loaded["v"], metadata["v"])
    with pytest.raises(ValueError):
        mx.save_gguf(str(tmp_path / "y.gguf"), {}, {"half": mx.array(1.0, mx.float16)})


def test_errors_name_the_file(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.npy"):
        mx.load(tmp_path / "nothing.npy")
    for name in ("bad.npy", "bad.npz", "bad.safetensors", "bad.gguf"):
        (tmp_path / name).write_bytes(b"no arrays here, only words")
        with pytest.raises(RuntimeError, match=name) as caught:
            mx.load(tmp_path / name)
        assert isinstance(caught.value, ValueError)
    with pytest.raises(OSError, match="missing"):
        mx.save(tmp_path / "missing" / "x.npy", mx.array(1))


@pytest.mark.parametrize(
    "call",
    [
        lambda: mx.load(3),
        lambda: mx.load("x.npy", format="jpeg"),
        lambda: mx.load(io.StringIO("text")),
        lambda: mx.savez(io.BytesIO(), mx.array(1), arr_0=mx.array(2)),
        lambda: mx.save_safetensors(io.BytesIO(), {"x": mx.array(1)}, {"n": 1}),
    ],
)
def test_misuse_is_a_value_error(call: Any) -> None:
    with pytest.raises(ValueError):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: mx.save(io.BytesIO(), [1, 2]),
        lambda: mx.save_safetensors(io.BytesIO(), {"x": 1}),
        lambda: mx.save_safetensors(io.BytesIO(), {1: mx.array(1)}),
    ],
)
def test_what_is_no_array_is_not_saved(call: Any) -> None:
    with pytest.raises(TypeError):
        call()


def test_metadata_belongs_to_formats_that_have_it(tmp_path: pathlib.Path) -> None:
    mx.save(tmp_path / "x.npy", mx.array(1))
    with pytest.raises(ValueError, match="metadata"):
        mx.load(tmp_path / "x.npy", return_metadata=True)
