"""Quantized layers against the matrices they stand for."""

from __future__ import annotations

from typing import Any

import olivine.core as mx
import pytest
from nn_testing import array, assert_close, numbers, numpy
from olivine import nn
from olivine.utils import tree_flatten

MODES: list[dict[str, Any]] = [
    {},
    {"group_size": 32, "bits": 8},
    {"bits": 2},
    {"mode": "mxfp4"},
    {"mode": "nvfp4"},
    {"mode": "mxfp8"},
]
USUAL = {"affine": (64, 4), "mxfp4": (32, 4), "nvfp4": (16, 4), "mxfp8": (32, 8)}


def restored(layer: Any) -> Any:
    """The matrix that a layer holds."""
    return numpy(
        mx.dequantize(
            layer.weight,
            layer.scales,
            layer.get("biases"),
            group_size=layer.group_size,
            bits=layer.bits,
            mode=layer.mode,
        )
    )


@pytest.mark.parametrize("how", MODES)
def test_linear_layers_multiply_by_the_restored_matrix(how: dict[str, Any]) -> None:
    whole = nn.Linear(128, 64)
    layer = whole.to_quantized(**how)
    x = numbers(3, 128)
    assert_close(layer(array(x)), x @ restored(layer).T + numpy(whole.bias), 1e-4)
    assert abs(restored(layer) - numpy(whole.weight)).max() < 0.06
    mode = how.get("mode", "affine")
    size, bits = USUAL[mode]
    assert (layer.group_size, layer.bits) == (how.get("group_size", size), how.get("bits", bits))
    assert ("biases" in layer) == (mode == "affine")


@pytest.mark.parametrize("how", MODES)
def test_embeddings_look_up_rows_of_the_restored_matrix(how: dict[str, Any]) -> None:
    layer = nn.Embedding(10, 128).to_quantized(**how)
    ids = mx.array([[1, 9], [0, 1]])
    assert_close(layer(ids), restored(layer)[[[1, 9], [0, 1]]])
    x = numbers(3, 128)
    assert_close(layer.as_linear(array(x)), x @ restored(layer).T, 1e-4)


def test_layers_made_directly_are_frozen_and_show_their_settings() -> None:
    layer = nn.QuantizedLinear(128, 64, bits=8)
    assert layer.trainable_parameters() == {}
    assert layer.bias.tolist() == [0] * 64
    assert repr(layer) == (
        "QuantizedLinear(input_dims=128, output_dims=64, bias=True, group_size=64, bits=8, "
        "mode=affine)"
    )
    assert "bias" not in nn.QuantizedLinear(128, 64, bias=False)
    embedding = nn.QuantizedEmbedding(10, 64, mode="mxfp4")
    assert embedding.trainable_parameters() == {}
    assert repr(embedding) == "QuantizedEmbedding(10, 64, group_size=32, bits=4, mode=mxfp4)"


def test_the_bias_of_a_converted_layer_is_shared_and_trainable() -> None:
    whole = nn.Linear(64, 8)
    layer = whole.to_quantized()
    assert layer.bias is whole.bias
    assert list(layer.trainable_parameters()) == ["bias"]
    assert list(layer.unfreeze(keys="scales").trainable_parameters()) == ["scales", "bias"]


def test_unknown_modes_are_refused() -> None:
    for make in (nn.QuantizedLinear, nn.QuantizedEmbedding, nn.QQLinear):
        with pytest.raises(ValueError, match="mode"):
            make(64, 64, mode="int4")


def model() -> nn.Sequential:
    return nn.Sequential(nn.Embedding(5, 64), nn.ReLU(), nn.Sequential(nn.Linear(64, 64)))


def kinds(module: nn.Module) -> list[str]:
    leaves = tree_flatten(module.leaf_modules(), is_leaf=nn.Module.is_module)
    return [type(leaf).__name__ for _, leaf in leaves]


def test_quantize_replaces_every_layer_that_can_be() -> None:
    net = model()
    assert nn.quantize(net, bits=8) is None  # type: ignore[func-returns-value]
    assert kinds(net) == ["QuantizedEmbedding", "ReLU", "QuantizedLinear"]
    assert net.layers[2].layers[0].bits == 8
    assert_close(net(mx.array([1])), numpy(net(mx.array([1]))), 0)


def test_a_predicate_chooses_layers_by_name_or_kind_and_may_give_settings() -> None:
    net = model()
    seen = []

    def choose(name: str, layer: nn.Module) -> bool | dict[str, Any]:
        seen.append(name)
        if isinstance(layer, nn.Linear):
            return {"group_size": 32, "bits": 8, "quantize_input": False}
        return False

    nn.quantize(net, class_predicate=choose)
    assert seen == ["layers.0", "layers.1", "layers.2.layers.0"]
    assert kinds(net) == ["Embedding", "ReLU", "QuantizedLinear"]
    assert (net.layers[2].layers[0].group_size, net.layers[2].layers[0].bits) == (32, 8)


def test_the_settings_a_predicate_gives_are_not_changed() -> None:
    settings = {"bits": 8, "quantize_input": False}
    nn.quantize(model(), class_predicate=lambda n, m: settings if "layers.0" == n else False)
    assert settings == {"bits": 8, "quantize_input": False}


def test_predicates_that_choose_wrongly_are_told() -> None:
    with pytest.raises(ValueError, match="ReLU"):
        nn.quantize(model(), class_predicate=lambda n, m: True)
    with pytest.raises(ValueError, match="class_predicate"):
        nn.quantize(model(), class_predicate=lambda n, m: hasattr(m, "to_quantized") and 4)  # type: ignore[arg-type,return-value]


def test_inputs_are_quantized_only_where_a_layer_can() -> None:
    net = nn.Sequential(nn.Linear(64, 64, bias=False))
    nn.quantize(net, mode="mxfp8", quantize_input=True)
    assert kinds(net) == ["QQLinear"]
    with pytest.raises(ValueError, match="quantize_input"):
        nn.quantize(model(), mode="mxfp8", quantize_input=True)
    with pytest.raises(ValueError, match="affine"):
        nn.Linear(64, 64, bias=False).to_quantized(quantize_input=True)
    with pytest.raises(NotImplementedError):
        nn.Linear(64, 64).to_quantized(mode="nvfp4", quantize_input=True)


@pytest.mark.parametrize("mode", ["nvfp4", "mxfp8"])
def test_layers_with_quantized_inputs_are_whole_in_training_only(mode: str) -> None:
    whole = nn.Linear(64, 8, bias=False)
    layer = nn.QQLinear.from_linear(whole, mode=mode)
    assert mx.array_equal(layer.weight, whole.weight).item() and "scales" not in layer
    assert repr(layer).startswith("QQLinear(input_dims=64, output_dims=8, ")
    shown = repr(layer)
    layer.eval()
    assert layer.weight.dtype == mx.uint32 and "scales" in layer and repr(layer) == shown
    matrix = restored(layer)
    layer.train()
    assert "scales" not in layer
    assert_close(layer.weight, matrix)
    ready = nn.QQLinear.from_linear(nn.Linear(64, 8, bias=False).eval(), mode=mode)
    assert "scales" in ready
