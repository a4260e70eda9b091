"""Tests transforms: derivatives, batches, compiled, checkpointed, custom and stored functions."""

import gc
import io
import traceback
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import olivine.core as mx
import pytest


class Pair(NamedTuple):
    first: mx.array
    second: mx.array


def values(array: mx.array) -> Any:
    return array.tolist()


def test_gradients_have_the_trees_of_their_arguments() -> None:
    params = {"w": [mx.array([1.0, 2.0]), mx.array(3.0)], "p": Pair(mx.array(4.0), mx.array(5.0))}

    def loss(p: Any, x: mx.array) -> mx.array:
        return (p["w"][0] * x).sum() * p["w"][1] + p["p"].first * p["p"].second

    gradients = mx.grad(loss)(params, mx.array([10.0, 100.0]))
    assert values(gradients["w"][0]) == [30.0, 300.0]
    assert gradients["w"][1].item() == 210.0
    assert isinstance(gradients["p"], Pair)
    assert (gradients["p"].first.item(), gradients["p"].second.item()) == (5.0, 4.0)


@pytest.mark.parametrize(
    ("argnums", "argnames", "expected"),
    [
        (None, (), 2.0),
        ([0], (), 2.0),
        ((1, 0), (), (3.0, 2.0)),
        (None, "y", (None, {"y": 3.0})),
        (0, ["y"], (2.0, {"y": 3.0})),
    ],
)
def test_arguments_to_differentiate_by_are_chosen(
    argnums: Any, argnames: Any, expected: Any
) -> None:
    gradient = mx.grad(lambda x, y: x * y, argnums, argnames)
    x, y = mx.array(3.0), mx.array(2.0)
    got = gradient(x, y=y) if argnames else gradient(x, y)

    def plain(tree: Any) -> Any:
        if isinstance(tree, mx.array):
            return tree.item()
        if isinstance(tree, dict):
            return {key: plain(item) for key, item in tree.items()}
        if isinstance(tree, tuple):
            return tuple(plain(item) for item in tree)
        return tree

    assert plain(got) == expected


def test_what_else_a_function_returns_is_passed_on() -> None:
    note = object()
    (loss, twice, kept), gradient = mx.value_and_grad(lambda x: (x.sum(), x * 2, note))(
        mx.array([1.0, 2.0])
    )
    assert loss.item() == 3.0
    assert values(twice) == [2.0, 4.0]
    assert kept is note
    assert values(gradient) == [1.0, 1.0]


@pytest.mark.parametrize(
    "call",
    [
        lambda x: mx.grad(lambda a: a)(x),
        lambda x: mx.grad(lambda a: "loss")(x),
        lambda x: mx.value_and_grad(lambda a: ())(x),
        lambda x: mx.value_and_grad(lambda a: ("loss", a))(x),
        lambda x: mx.grad(lambda a: a.sum())(1.0),
        lambda x: mx.grad(lambda a: a.sum(), argnums=1)(x),
        lambda x: mx.grad(lambda a: a.sum(), argnums=-1)(x),
        lambda x: mx.grad(lambda a: a.sum(), argnums=()),
        lambda x: mx.grad(lambda a: a.sum(), argnums=(0, 0)),
        lambda x: mx.grad(lambda a: a.sum(), argnames="b")(x),
        lambda x: mx.vjp(lambda a: a, [x], [mx.array(1.0)]),
        lambda x: mx.jvp(lambda a: a, [x], [x, x]),
        lambda x: mx.vmap(lambda a: a)(mx.array(1.0)),
        lambda x: mx.vmap(lambda a, b: a + b)(x, mx.zeros((3,))),
        lambda x: mx.vmap(lambda a: a, in_axes="first")(x),
        lambda x: mx.vmap(lambda a: a, in_axes=(None,))(x),
        lambda x: mx.compile(lambda a, b: a)(x, object()),
        lambda x: mx.compile(lambda a: mx.array(a.sum().item()))(x),
        lambda x: mx.compile(lambda a: a + x)(x),
    ],
)
def test_misuse_is_a_value_error(call: Callable[[mx.array], Any]) -> None:
    with pytest.raises(ValueError):
        call(mx.array([1.0, 2.0]))


@pytest.mark.parametrize(
    "transform", [mx.grad, mx.value_and_grad, mx.vmap, mx.compile, mx.checkpoint]
)
def test_what_is_no_function_cannot_be_transformed(transform: Any) -> None:
    with pytest.raises(TypeError):
        transform(3)


class Unwanted(Exception):
    pass


@pytest.mark.parametrize(
    "transform",
    [
        mx.grad,
        mx.value_and_grad,
        mx.vmap,
        mx.compile,
        mx.checkpoint,
        lambda f: mx.compile(mx.grad(mx.checkpoint(f))),
        lambda f: lambda x: mx.vjp(f, [x], [x]),
        lambda f: lambda x: mx.jvp(f, [x], [x]),
    ],
)
def test_an_exception_comes_out_as_itself_and_where_it_was_raised(transform: Any) -> None:
    def fails(x: mx.array) -> mx.array:
        raise Unwanted("no")

    with pytest.raises(Unwanted, match="no") as caught:
        transform(fails)(mx.array([1.0, 2.0]))
    assert any(frame.name == "fails" for frame in traceback.extract_tb(caught.value.__traceback__))


def test_containers_get_their_arrays_back_and_keep_what_was_put_into_them() -> None:
    weight, state = mx.array(2.0), mx.array(0.0)
    model = {"weight": weight, "state": state, "parts": [weight]}

    def loss(m: Any) -> mx.array:
        m["state"] = m["state"] + 1
        return m["weight"] * m["parts"][0]

    gradients = mx.grad(loss)(model)
    assert model["weight"] is weight and model["parts"][0] is weight
    assert model["state"].item() == 1.0
    assert gradients["weight"].item() == 2.0

    with pytest.raises(ZeroDivisionError):
        mx.grad(lambda m: 1 / 0)(model)
    assert model["weight"] is weight


def test_derivatives_nest_in_any_order() -> None:
    x = mx.array([0.5, 1.0])
    second = mx.grad(lambda a: mx.grad(lambda b: (b**3).sum())(a).sum())(x)
    assert values(second) == [3.0, 6.0]
    _, (tangent,) = mx.jvp(mx.grad(lambda a: (a**3).sum()), [x], [mx.ones((2,))])
    assert values(tangent) == [3.0, 6.0]
    each = mx.vmap(mx.grad(lambda a: a**3))(x)
    assert values(each) == [0.75, 3.0]


def test_axes_of_batches_are_trees() -> None:
    a = mx.arange(6).reshape(2, 3)
    tree = {"x": a, "rest": (a.T, mx.array(10))}
    axes = ({"x": 0, "rest": (1, None)},)
    got = mx.vmap(lambda t: t["x"] + t["rest"][0] * t["rest"][1], in_axes=axes, out_axes=1)(tree)
    assert got.shape == (3, 2)
    assert values(got.T) == values(a * 11)
    shared = mx.vmap(lambda x, y: (x, y), in_axes=(0, None), out_axes=(0, None))(a, a)
    assert shared[1].shape == (2, 3)


def test_a_compiled_function_is_traced_once_for_each_kind_of_call() -> None:
    traces = []

    @mx.compile
    def f(x: mx.array, power: float = 1, *, options: Any = None) -> Any:
        traces.append(x.shape)
        return {"y": x * power, "options": options}

    for _ in range(3):
        assert f(mx.array([1.0, 2.0]))["y"].tolist() == [1.0, 2.0]
    assert len(traces) == 1
    f(mx.array([1.0, 2.0]), 2.0)
    f(mx.array([1.0, 2.0]), True)
    f(mx.array([1.0, 2.0]), options=["a", None])
    f(mx.array([1.0, 2.0]), options=["a", None])
    assert len(traces) == 4
    f(mx.array([1, 2]))
    f(mx.array([[1.0]]))
    assert len(traces) == 6
    assert f(mx.array([1.0]), options=["b"])["options"] == ["b"]


def test_a_shapeless_function_is_traced_once_for_each_rank() -> None:
    traces = []

    def f(x: mx.array) -> mx.array:
        traces.append(x.shape)
        return mx.exp(x).sum(axis=-1)

    compiled = mx.compile(f, shapeless=True)
    for size in (2, 3, 7):
        assert compiled(mx.zeros((size, size))).tolist() == [float(size)] * size
    assert traces == [(2, 2)]


def test_a_captured_state_is_read_and_changed_in_place() -> None:
    inner = {"count": mx.array(0)}
    state = [inner, (mx.array(1.0),)]

    @lambda f: mx.compile(f, inputs=state, outputs=state)
    def step(x: mx.array) -> mx.array:
        inner["count"] = inner["count"] + 1
        inner["last"] = x
        return x * state[1][0]

    for i in range(4):
        assert step(mx.array(float(i))).item() == i
    assert state[0] is inner
    assert inner["count"].item() == 4
    assert inner["last"].item() == 3.0
    state[1] = (mx.array(5.0),)
    assert step(mx.array(2.0)).item() == 10.0


def test_a_failed_trace_leaves_the_state_as_it_was() -> None:
    state = {"x": mx.array(1.0)}

    def step(y: mx.array) -> mx.array:
        state["x"] = state["x"] + y
        raise Unwanted

    with pytest.raises(Unwanted):
        mx.compile(step, inputs=state, outputs=state)(mx.array(1.0))
    assert state["x"].item() == 1.0


def test_compilation_can_be_disabled() -> None:
    calls = []
    f = mx.compile(lambda x: calls.append(x) or x)
    f(mx.array(1))
    mx.disable_compile()
    try:
        f(mx.array(1))
        f(mx.array(1))
    finally:
        mx.enable_compile()
    f(mx.array(1))
    assert len(calls) == 3


def test_a_transformed_function_looks_like_the_one_it_was_made_of() -> None:
    def gelu(x: mx.array, fast: bool = True) -> mx.array:
        """Smooth."""
        return x

    import inspect

    for made in (mx.compile(gelu), mx.grad(gelu), mx.vmap(gelu), mx.checkpoint(gelu)):
        assert (made.__name__, made.__doc__) == ("gelu", "Smooth.")
        assert inspect.signature(made) == inspect.signature(gelu)
        assert callable(made)


@pytest.mark.parametrize(
    "transform", [mx.compile, mx.grad, mx.vmap, mx.checkpoint, mx.custom_function]
)
def test_functions_in_a_cycle_are_freed(transform: Any) -> None:
    class Holder:
        pass

    def make() -> weakref.ref[Any]:
        holder: Any = Holder()
        holder.f = transform(lambda x: holder.x * x)
        holder.x = mx.array(2.0)
        if transform is mx.compile:
            holder.f(mx.array(1.0))
        return weakref.ref(holder)

    ref = make()
    gc.collect()
    assert ref() is None


def test_a_checkpoint_runs_again_for_gradients() -> None:
    f = mx.checkpoint(lambda p, scale: mx.sin(p["x"] * scale))
    gradient = mx.grad(lambda p: f(p, 3.0).sum())({"x": mx.array([0.0])})
    assert values(gradient["x"]) == [3.0]


def test_rules_of_custom_functions_take_the_place_of_their_own() -> None:
    @mx.custom_function
    def f(x: mx.array, y: mx.array) -> mx.array:
        return x * y

    one = mx.array(1.0)
    assert mx.grad(f)(one, mx.array(5.0)).item() == 5.0

    @f.vjp
    def f_vjp(primals: Any, cotangent: mx.array, output: mx.array) -> Any:
        _, y = primals
        return cotangent * 10 * y, cotangent * 100 + output

    dx, dy = mx.grad(f, argnums=(0, 1))(one, mx.array(5.0))
    assert (dx.item(), dy.item()) == (50.0, 105.0)

    @f.jvp
    def f_jvp(primals: Any, tangents: Any) -> mx.array:
        return tangents[0] * 7

    _, (tangent,) = mx.jvp(f, [one, one], [one, one])
    assert tangent.item() == 7.0

    @f.vmap
    def f_vmap(primals: Any, axes: Any) -> Any:
        assert axes == (0, None)
        return primals[0] + 1000, 0

    assert values(mx.vmap(f, in_axes=(0, None))(mx.array([1.0, 2.0]), one)) == [1001.0, 1002.0]


def test_the_error_of_a_custom_rule_comes_out() -> None:
    f = mx.custom_function(lambda x: x)

    @f.vjp
    def f_vjp(*_: Any) -> Any:
        raise Unwanted("rule")

    with pytest.raises(Unwanted, match="rule"):
        mx.grad(f)(mx.array(1.0))


def test_stored_functions_take_what_they_were_traced_for(tmp_path: Path) -> None:
    path = str(tmp_path / "f")
    weight = mx.array([1.0, 2.0])

    def f(x: mx.array, bias: mx.array | None = None) -> Any:
        return [x @ weight if bias is None else x @ weight + bias]

    with mx.exporter(path, f, metadata="made here") as exporter:
        exporter(mx.zeros((3, 2)))
        exporter(mx.zeros((3, 2)), bias=mx.array(0.0))
    with pytest.raises(RuntimeError):
        exporter(mx.zeros((3, 2)))
    stored, note = mx.import_function(path, return_metadata=True)
    assert note == "made here"
    x = mx.ones((3, 2))
    assert values(stored(x)[0]) == [3.0] * 3
    assert values(stored((x,), {"bias": mx.array(1.0)})[0]) == [4.0] * 3
    with pytest.raises(ValueError):
        stored(mx.ones((4, 2)))
    with pytest.raises(ValueError):
        stored(x, 1.0)
    with pytest.raises(ValueError):
        mx.export_function(path, lambda x: (x, 1), x)
    with pytest.raises(RuntimeError):
        mx.import_function(str(tmp_path / "missing"))


def test_graphs_are_drawn() -> None:
    file = io.StringIO()
    mx.export_to_dot(file, mx.array([1.0]).exp(), other=mx.array([2.0]).sin())
    assert "exp" in file.getvalue() and "sin" in file.getvalue()


def test_a_tree_that_holds_itself_is_an_error() -> None:
    tree: list[Any] = [mx.array(1.0)]
    tree.append(tree)
    for call in (mx.eval, mx.compile(lambda t: t), mx.grad(lambda t: t[0])):
        with pytest.raises(RecursionError):
            call(tree)
