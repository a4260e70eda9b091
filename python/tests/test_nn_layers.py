"""Linear, convolution, pooling, normalization, dropout and position layers against NumPy."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import olivine.core as mx
import pytest
from nn_testing import Numbers, array, assert_close, numbers, numpy
from olivine import nn


def test_linear_multiplies_and_adds() -> None:
    layer, bare = nn.Linear(4, 3), nn.Linear(4, 3, bias=False)
    for shape in ((4,), (2, 4), (2, 5, 4)):
        x = numbers(*shape)
        assert_close(layer(array(x)), x @ numpy(layer.weight).T + numpy(layer.bias))
        assert_close(bare(array(x)), x @ numpy(bare.weight).T)
    assert "bias" not in bare


def test_linear_starts_uniform_within_the_root_of_its_inputs() -> None:
    weight = numpy(nn.Linear(100, 50).weight)
    assert np.abs(weight).max() <= 0.1 < np.abs(weight).max() + 0.001
    assert abs(weight.std() - 0.1 / math.sqrt(3)) < 0.002


def test_the_same_seed_starts_the_same_layer() -> None:
    layers = []
    for _ in range(2):
        mx.random.seed(3)
        layers.append(nn.Linear(4, 3))
    first, second = layers
    assert mx.array_equal(first.weight, second.weight).item()
    assert mx.array_equal(first.bias, second.bias).item()


def test_bilinear_is_a_form_for_each_output() -> None:
    x, y = numbers(2, 5, 3), numbers(2, 5, 4)
    for bias in (True, False):
        layer = nn.Bilinear(3, 4, 6, bias=bias)
        want = np.einsum("abi,oji,abj->abo", x, numpy(layer.weight), y)
        assert_close(layer(array(x), array(y)), want + (numpy(layer.bias) if bias else 0))


def test_identity_ignores_how_it_was_made() -> None:
    x = mx.ones(3)
    assert nn.Identity(4, other=5)(x) is x


def test_embedding_looks_up_and_scores() -> None:
    layer = nn.Embedding(6, 4)
    table = numpy(layer.weight)
    assert_close(layer(mx.array([[0, 5], [2, 2]])), table[[[0, 5], [2, 2]]])
    x = numbers(3, 4)
    assert_close(layer.as_linear(array(x)), x @ table.T)


def convolution(
    x: Numbers, w: Numbers, stride: Any, padding: Any, dilation: Any, groups: int = 1
) -> Numbers:
    """A convolution written as a sum over the places of the kernel, channels last."""
    axes = x.ndim - 2
    stride, padding, dilation = (
        (v,) * axes if isinstance(v, int) else v for v in (stride, padding, dilation)
    )
    x = np.pad(x, [(0, 0), *((p, p) for p in padding), (0, 0)])
    kernel = w.shape[1:-1]
    sizes = [
        (x.shape[1 + i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1 for i in range(axes)
    ]
    y = np.zeros((x.shape[0], *sizes, w.shape[0]))
    inputs, outputs = x.shape[-1] // groups, w.shape[0] // groups
    for place in itertools.product(*map(range, kernel)):
        window = tuple(
            slice(o * d, o * d + (n - 1) * s + 1, s)
            for o, d, n, s in zip(place, dilation, sizes, stride, strict=True)
        )
        for g in range(groups):
            rows = slice(g * outputs, (g + 1) * outputs)
            part = x[(slice(None), *window, slice(g * inputs, (g + 1) * inputs))]
            y[..., rows] += part @ w[(rows, *place)].T
    return y


SETTINGS: list[dict[str, Any]] = [
    {"kernel_size": 3},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": 2, "dilation": 2, "bias": False},
    {"kernel_size": 2, "groups": 2},
]


@pytest.mark.parametrize(
    ("axes", "settings"),
    [(n, s) for n in (1, 2, 3) for s in SETTINGS if n < 3 or "groups" not in s],
)
def test_convolution_slides_a_kernel(axes: int, settings: dict[str, Any]) -> None:
    layer = getattr(nn, f"Conv{axes}d")(4, 6, **settings)
    layer.apply(lambda p: p + 0.1)
    x = numbers(2, *(7, 6, 5)[:axes], 4)
    want = convolution(
        x,
        numpy(layer.weight),
        settings.get("stride", 1),
        settings.get("padding", 0),
        settings.get("dilation", 1),
        settings.get("groups", 1),
    )
    assert_close(layer(array(x)), want + (0.1 if settings.get("bias", True) else 0))


def test_convolution_takes_a_size_for_each_axis() -> None:
    layer = nn.Conv2d(4, 6, (3, 2), stride=(1, 2), padding=(1, 0), dilation=(1, 2))
    x = numbers(2, 7, 8, 4)
    want = convolution(x, numpy(layer.weight), (1, 2), (1, 0), (1, 2))
    assert_close(layer(array(x)), want)
    assert repr(layer) == (
        "Conv2d(4, 6, kernel_size=(3, 2), stride=(1, 2), padding=(1, 0), dilation=(1, 2), "
        "groups=1, bias=True)"
    )


@pytest.mark.parametrize("settings", SETTINGS[:3])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_transposed_convolution_is_the_gradient_of_convolution(
    axes: int, settings: dict[str, Any]
) -> None:
    layer = getattr(nn, f"ConvTranspose{axes}d")(4, 6, **settings)
    x = numbers(2, *(4, 3, 2)[:axes], 4)
    y = layer(array(x))
    # <T x, z> = <x, C z> for the convolution C with inputs and outputs of the kernel exchanged.
    z = numbers(*y.shape, seed=1)
    back = convolution(
        z,
        np.swapaxes(numpy(layer.weight), 0, -1),
        settings.get("stride", 1),
        settings.get("padding", 0),
        settings.get("dilation", 1),
    )
    assert back.shape == x.shape
    np.testing.assert_allclose((numpy(y) * z).sum(), (x * back).sum(), rtol=1e-4, atol=1e-4)


def test_output_padding_makes_the_outputs_longer() -> None:
    layer = nn.ConvTranspose2d(4, 3, 3, stride=2, output_padding=(1, 0))
    assert layer(mx.ones((1, 5, 5, 4))).shape == (1, 12, 11, 3)


def test_channels_must_split_into_groups() -> None:
    for layer in (nn.Conv1d, nn.Conv2d):
        with pytest.raises(ValueError, match="groups"):
            layer(3, 4, 2, groups=2)


POOLS: list[dict[str, Any]] = [
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 2},
    {"kernel_size": 3, "stride": 1, "padding": 1},
]


@pytest.mark.parametrize("settings", POOLS)
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("kind", ["Max", "Avg"])
def test_pooling_reduces_windows(kind: str, axes: int, settings: dict[str, Any]) -> None:
    layer = getattr(nn, f"{kind}Pool{axes}d")(**settings)
    x = numbers(2, *(6, 8, 4)[:axes], 3)
    k, p = settings["kernel_size"], settings.get("padding", 0)
    s = settings.get("stride", k)
    fill = -np.inf if kind == "Max" else 0
    padded = np.pad(x, [(0, 0), *[(p, p)] * axes, (0, 0)], constant_values=fill)
    spatial = tuple(range(1, axes + 1))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (k,) * axes, axis=spatial)
    windows = windows[(slice(None), *[slice(None, None, s)] * axes)]
    reduce = np.max if kind == "Max" else np.mean
    want = reduce(windows, axis=tuple(range(-axes, 0)))
    assert_close(layer(array(x)), want)
    if p == 0:
        # What goes into a window comes out of it, so gradients only move.
        weights = numbers(*want.shape)
        gradient = mx.grad(lambda x: (layer(x) * array(weights)).sum())(array(x))
        assert abs(numpy(gradient).sum() - weights.sum()) < 1e-3


def test_pooling_of_each_axis_by_its_own_size() -> None:
    x = numbers(1, 4, 6, 2)
    want = x.reshape(1, 2, 2, 2, 3, 2).max(axis=(2, 4))
    assert_close(nn.MaxPool2d((2, 3))(array(x)), want)
    assert repr(nn.AvgPool2d((2, 3), padding=1)) == (
        "AvgPool2d(kernel_size=(2, 3), stride=(2, 3), padding=(1, 1))"
    )


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"kernel_size": (2, 2, 2)}, "kernel_size"),
        ({"kernel_size": "2"}, "kernel_size"),
        ({"kernel_size": 0}, "positive"),
        ({"kernel_size": 2, "stride": -1}, "positive"),
        ({"kernel_size": 2, "stride": (1,)}, "stride"),
        ({"kernel_size": 2, "padding": -1}, "negative"),
    ],
)
def test_pooling_refuses_sizes_that_make_no_sense(arguments: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        nn.MaxPool2d(**arguments)


def test_pooling_refuses_inputs_of_another_rank() -> None:
    with pytest.raises(ValueError, match="axes"):
        nn.MaxPool2d(2)(mx.ones((1, 4, 3)))


def normalize(x: Numbers, axis: Any, eps: float = 1e-5) -> Numbers:
    return (x - x.mean(axis, keepdims=True)) / np.sqrt(x.var(axis, keepdims=True) + eps)


def shifted(layer: Any) -> Any:
    """Give a layer a weight and a bias that show in the outputs."""
    for name in ("weight", "bias"):
        if name in layer:
            layer[name] = array(1 + numbers(*layer[name].shape, seed=len(name)))
    return layer


def affine(layer: Any, x: Numbers) -> Numbers:
    weight = numpy(layer.weight) if "weight" in layer else 1
    return x * weight + (numpy(layer.bias) if "bias" in layer else 0)


def test_layer_norm_goes_over_the_last_axis() -> None:
    x = 2 + 3 * numbers(2, 4, 6)
    for options in ({}, {"bias": False}, {"affine": False}):
        layer = shifted(nn.LayerNorm(6, **options))
        assert_close(layer(array(x)), affine(layer, normalize(x, -1)))
    assert nn.LayerNorm(6, affine=False).parameters() == {}


def test_rms_norm_keeps_the_mean() -> None:
    x = 2 + numbers(2, 4, 6)
    layer = shifted(nn.RMSNorm(6, eps=0.1))
    want = x / np.sqrt((x**2).mean(-1, keepdims=True) + 0.1)
    assert_close(layer(array(x)), affine(layer, want))


def test_instance_norm_goes_over_space() -> None:
    for shape in ((2, 5, 6), (2, 3, 4, 6), (2, 2, 3, 4, 6)):
        x = 2 + 3 * numbers(*shape)
        for with_weights in (True, False):
            layer = shifted(nn.InstanceNorm(6, affine=with_weights))
            want = normalize(x, tuple(range(1, len(shape) - 1)))
            assert_close(layer(array(x)), affine(layer, want))
    with pytest.raises(ValueError, match="axes"):
        nn.InstanceNorm(6)(mx.ones((2, 6)))


def test_group_norm_groups_neighbours_or_strides() -> None:
    x = 2 + 3 * numbers(2, 3, 4, 6)
    neighbours = shifted(nn.GroupNorm(2, 6, pytorch_compatible=True))
    want = normalize(x.reshape(2, 12, 2, 3), (1, 3)).reshape(x.shape)
    assert_close(neighbours(array(x)), affine(neighbours, want))
    strided = shifted(nn.GroupNorm(2, 6))
    want = normalize(x.reshape(2, 12, 3, 2), (1, 2)).reshape(x.shape)
    assert_close(strided(array(x)), affine(strided, want))
    for groups, dims in ((0, 6), (4, 6), (2, 0)):
        with pytest.raises(ValueError, match="groups"):
            nn.GroupNorm(groups, dims)


@pytest.mark.parametrize("shape", [(8, 6), (3, 5, 6), (2, 3, 4, 6)])
def test_batch_norm_trains_on_batches_and_evaluates_by_running_statistics(shape: Any) -> None:
    x = 2 + 3 * numbers(*shape)
    axes = tuple(range(len(shape) - 1))
    layer = shifted(nn.BatchNorm(6, momentum=0.25))
    assert_close(layer(array(x)), affine(layer, normalize(x, axes)))
    mean = 0.25 * x.mean(axes)
    variance = 0.75 + 0.25 * x.var(axes, ddof=1)
    assert_close(layer.running_mean, mean)
    assert_close(layer.running_var, variance)
    layer.eval()
    assert_close(layer(array(x)), affine(layer, (x - mean) / np.sqrt(variance + 1e-5)))
    assert_close(layer.running_mean, mean)


def test_batch_norm_without_running_statistics_always_uses_the_batch() -> None:
    x = 2 + 3 * numbers(8, 6)
    layer = nn.BatchNorm(6, affine=False, track_running_stats=False)
    assert layer.parameters() == {}
    assert_close(layer(array(x)), normalize(x, 0))
    assert_close(layer.eval()(array(x)), normalize(x, 0))


def test_running_statistics_are_frozen_and_stay_so() -> None:
    layer = nn.BatchNorm(4)
    assert sorted(layer.trainable_parameters()) == ["bias", "weight"]
    assert sorted(layer.unfreeze().trainable_parameters()) == ["bias", "weight"]
    assert layer.freeze().trainable_parameters() == {}


def test_batch_norm_refuses_odd_ranks_and_single_values() -> None:
    layer = nn.BatchNorm(4)
    for shape in ((4,), (1, 1, 1, 1, 4)):
        with pytest.raises(ValueError, match="axes"):
            layer(mx.ones(shape))
    with pytest.raises(ValueError, match="one value"):
        layer(mx.ones((1, 4)))
    assert layer.eval()(mx.ones((1, 4))).shape == (1, 4)


@pytest.mark.parametrize("layer", ["LayerNorm", "RMSNorm", "InstanceNorm", "BatchNorm"])
def test_norms_need_a_positive_eps(layer: str) -> None:
    for eps in (0, -1e-5):
        with pytest.raises(ValueError, match="must be positive"):
            getattr(nn, layer)(4, eps=eps)
    with pytest.raises(ValueError, match="must be positive"):
        nn.GroupNorm(2, 4, eps=0)


@pytest.mark.parametrize(
    ("layer", "shape", "shared"),
    [
        (nn.Dropout, (40, 50), ()),
        (nn.Dropout2d, (5, 6, 2000), (0, 1)),
        (nn.Dropout2d, (2, 5, 6, 1000), (1, 2)),
        (nn.Dropout3d, (3, 4, 5, 2000), (0, 1, 2)),
        (nn.Dropout3d, (2, 3, 4, 5, 1000), (1, 2, 3)),
    ],
)
def test_dropout_zeroes_whole_parts_and_keeps_the_mean(layer: Any, shape: Any, shared: Any) -> None:
    mx.random.seed(0)
    y = numpy(layer(0.25)(mx.ones(shape)))
    assert set(np.unique(y).round(5)) == {0, round(4 / 3, 5)}
    assert abs(y.mean() - 1) < 0.06
    assert np.array_equal(y.min(axis=shared, keepdims=True) + 0 * y, y)
    x = mx.ones(shape)
    assert layer(0.25).eval()(x) is x and layer(0)(x) is x


def test_dropout_refuses_odd_probabilities_and_ranks() -> None:
    for layer in (nn.Dropout, nn.Dropout2d, nn.Dropout3d):
        for p in (-0.1, 1, 1.5):
            with pytest.raises(ValueError, match=r"\[0, 1\)"):
                layer(p)
        assert repr(layer(0.5)) == f"{layer.__name__}(p=0.5)"
    for rank, kind in ((2, nn.Dropout2d), (5, nn.Dropout2d), (3, nn.Dropout3d)):
        with pytest.raises(ValueError, match="axes"):
            kind(0.5)(mx.ones((2,) * rank))


def rotated(x: Numbers, dims: int, traditional: bool, base: float, offset: int) -> Numbers:
    """Complex multiplication by ``exp(i * position * frequency)`` on pairs of features."""
    half = dims // 2
    angles = (np.arange(x.shape[-2]) + offset)[:, None] * base ** (-np.arange(half) / half)
    first = slice(0, dims, 2) if traditional else slice(0, half)
    second = slice(1, dims, 2) if traditional else slice(half, dims)
    turned = (x[..., first] + 1j * x[..., second]) * np.exp(1j * angles)
    y = x.copy()
    y[..., first], y[..., second] = turned.real, turned.imag
    return y


@pytest.mark.parametrize("traditional", [True, False])
def test_rope_rotates_pairs_by_their_position(traditional: bool) -> None:
    x = numbers(2, 3, 5, 8)
    layer = nn.RoPE(6, traditional=traditional, base=100)
    assert_close(layer(array(x)), rotated(x, 6, traditional, 100, 0))
    assert_close(layer(array(x), offset=4), rotated(x, 6, traditional, 100, 4))


def test_sinusoids_go_from_the_highest_frequency_to_the_lowest() -> None:
    x = np.arange(5.0)
    angles = x[:, None] * np.geomspace(1, 1e-4, 4)
    sines, cosines = np.sin(angles), np.cos(angles)
    want = np.concatenate([sines, cosines], axis=-1)
    assert_close(nn.SinusoidalPositionalEncoding(8)(array(x)), want * math.sqrt(2 / 8))
    swapped = nn.SinusoidalPositionalEncoding(8, scale=1, cos_first=True)
    assert_close(swapped(array(x)), np.concatenate([cosines, sines], axis=-1))
    turns = nn.SinusoidalPositionalEncoding(2, max_freq=0.25, full_turns=True, scale=1)
    assert_close(turns(array([1.0])), [[1, 0]], 1e-6)
    assert nn.SinusoidalPositionalEncoding(8).parameters() == {}
    for dims in (0, 3, -2):
        with pytest.raises(ValueError, match="even"):
            nn.SinusoidalPositionalEncoding(dims)


def test_alibi_slopes_are_those_of_the_paper() -> None:
    eight = [2.0**-i for i in range(1, 9)]
    assert nn.ALiBi.create_alibi_slope(8).flatten().tolist() == eight
    twelve = numpy(nn.ALiBi.create_alibi_slope(12)).ravel()
    np.testing.assert_allclose(twelve, eight + [2 ** -(i + 0.5) for i in range(4)], rtol=1e-6)


def test_alibi_takes_distances_from_scores() -> None:
    scores = numbers(2, 4, 3, 7)
    slopes = np.array([2.0 ** (-2 * (i + 1)) for i in range(4)])[:, None, None]
    distance = np.abs(np.arange(4, 7)[:, None] - np.arange(7))
    assert_close(nn.ALiBi()(array(scores), offset=4), scores - slopes * distance)
    mask = np.where(np.arange(7) < 6, 0, -100)
    y = nn.ALiBi()(array(scores), 4, array(mask))
    assert_close(y, scores - slopes * distance + mask)
    assert nn.ALiBi()(array(scores).astype(mx.float16)).dtype == mx.float16
