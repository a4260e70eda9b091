"""Recurrent layers and transformers against NumPy."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import olivine.core as mx
import pytest
from nn_testing import Numbers, array, assert_close, numbers, numpy, sigmoid, softmax
from olivine import nn


def parameter(layer: Any, name: str) -> Any:
    """A parameter as numbers, or zero where the layer has none."""
    value = getattr(layer, name)
    return 0 if value is None else numpy(value)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("start", [True, False])
def test_rnn_applies_its_function_at_each_step(bias: bool, start: bool) -> None:
    layer = nn.RNN(3, 4, bias=bias)
    x, h = numbers(2, 5, 3), numbers(2, 4) if start else np.zeros((2, 4))
    y = layer(array(x), array(h)) if start else layer(array(x))
    states = []
    for step in range(5):
        h = np.tanh(
            x[:, step] @ numpy(layer.Wxh).T + h @ numpy(layer.Whh).T + parameter(layer, "bias")
        )
        states.append(h)
    assert_close(y, np.stack(states, axis=1))
    assert sorted(layer.parameters()) == (["Whh", "Wxh", "bias"] if bias else ["Whh", "Wxh"])


def test_rnn_takes_another_function_but_not_a_number() -> None:
    layer = nn.RNN(3, 4, nonlinearity=nn.relu)
    assert numpy(layer(array(numbers(2, 5, 3)))).min() >= 0
    with pytest.raises(ValueError, match="cannot be called"):
        nn.RNN(3, 4, nonlinearity=3)  # type: ignore[arg-type]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("start", [True, False])
def test_gru_gates_what_it_keeps(bias: bool, start: bool) -> None:
    layer = nn.GRU(3, 4, bias=bias)
    x, h = numbers(2, 5, 3), numbers(2, 4) if start else np.zeros((2, 4))
    y = layer(array(x), array(h)) if start else layer(array(x))
    states = []
    for step in range(5):
        r, z, n = np.split(x[:, step] @ numpy(layer.Wx).T + parameter(layer, "b"), 3, axis=-1)
        hr, hz, hn = np.split(h @ numpy(layer.Wh).T, 3, axis=-1)
        keep = sigmoid(z + hz)
        n = np.tanh(n + sigmoid(r + hr) * (hn + parameter(layer, "bhn")))
        h = (1 - keep) * n + keep * h
        states.append(h)
    assert_close(y, np.stack(states, axis=1))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("start", [True, False])
def test_lstm_keeps_a_cell(bias: bool, start: bool) -> None:
    layer = nn.LSTM(3, 4, bias=bias)
    x = numbers(2, 5, 3)
    h = numbers(2, 4) if start else np.zeros((2, 4))
    c = numbers(2, 4, seed=1) if start else np.zeros((2, 4))
    hidden, cell = layer(array(x), array(h), array(c)) if start else layer(array(x))
    states, cells = [], []
    for step in range(5):
        total = x[:, step] @ numpy(layer.Wx).T + h @ numpy(layer.Wh).T + parameter(layer, "bias")
        i, f, g, o = np.split(total, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        states.append(h)
        cells.append(c)
    assert_close(hidden, np.stack(states, axis=1))
    assert_close(cell, np.stack(cells, axis=1))


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_recurrent_layers_take_sequences_without_a_batch(kind: Any) -> None:
    layer = kind(3, 4)
    x = array(numbers(2, 5, 3))
    one, all_ = layer(x[1]), layer(x)
    if kind is nn.LSTM:
        one, all_ = one[0], all_[0]
    assert_close(one, numpy(all_[1]))


def linear(layer: Any, x: Numbers) -> Numbers:
    y: Numbers = x @ numpy(layer.weight).T
    return y + numpy(layer.bias) if "bias" in layer else y


def attention(layer: Any, q: Numbers, k: Numbers, v: Numbers, mask: Any = 0) -> Numbers:
    """Attention, one head after another."""
    q, k, v = linear(layer.query_proj, q), linear(layer.key_proj, k), linear(layer.value_proj, v)
    heads = []
    for part in zip(*(np.split(x, layer.num_heads, axis=-1) for x in (q, k, v)), strict=True):
        scores = part[0] @ part[1].swapaxes(1, 2) / math.sqrt(part[0].shape[-1])
        heads.append(softmax(scores + mask) @ part[2])
    return linear(layer.out_proj, np.concatenate(heads, axis=-1))


def norm(layer: Any, x: Numbers) -> Numbers:
    x = x - x.mean(-1, keepdims=True)
    x = x / np.sqrt((x**2).mean(-1, keepdims=True) + layer.eps)
    return x * numpy(layer.weight) + numpy(layer.bias)


def mlp(layer: Any, x: Numbers) -> Numbers:
    return linear(layer.linear2, np.maximum(linear(layer.linear1, x), 0))


def encoder_layer(layer: Any, x: Numbers, mask: Any) -> Numbers:
    def attend(y: Numbers) -> Numbers:
        return attention(layer.attention, y, y, y, mask)

    if layer.norm_first:
        x = x + attend(norm(layer.ln1, x))
        return x + mlp(layer, norm(layer.ln2, x))
    x = norm(layer.ln1, x + attend(x))
    return norm(layer.ln2, x + mlp(layer, x))


def decoder_layer(layer: Any, x: Numbers, memory: Numbers, mask: Any) -> Numbers:
    def attend(y: Numbers) -> Numbers:
        return attention(layer.self_attention, y, y, y, mask)

    def recall(y: Numbers) -> Numbers:
        return attention(layer.cross_attention, y, memory, memory)

    if layer.norm_first:
        x = x + attend(norm(layer.ln1, x))
        x = x + recall(norm(layer.ln2, x))
        return x + mlp(layer, norm(layer.ln3, x))
    x = norm(layer.ln1, x + attend(x))
    x = norm(layer.ln2, x + recall(x))
    return norm(layer.ln3, x + mlp(layer, x))


CAUSAL = np.where(np.tri(5) > 0, 0, -1e9)


def test_attention_mixes_values_by_the_likeness_of_keys() -> None:
    layer = nn.MultiHeadAttention(8, 2, 3, 4, 5, 12, 6, bias=True)
    q, k, v = numbers(2, 5, 3), numbers(2, 7, 4), numbers(2, 7, 5)
    assert_close(layer(array(q), array(k), array(v)), attention(layer, q, k, v))
    plain = nn.MultiHeadAttention(8, 4)
    x = numbers(2, 5, 8)
    mask = plain.create_additive_causal_mask(5)
    assert_close(plain(array(x), array(x), array(x), mask), attention(plain, x, x, x, CAUSAL))
    boolean = mx.array(CAUSAL == 0)
    assert_close(plain(array(x), array(x), array(x), boolean), attention(plain, x, x, x, CAUSAL))


def test_values_have_the_features_of_keys_unless_told_otherwise() -> None:
    layer = nn.MultiHeadAttention(8, 2, key_input_dims=5)
    assert layer.value_proj.weight.shape == (8, 5)
    assert "bias" not in layer.query_proj


def test_heads_must_divide_the_features() -> None:
    with pytest.raises(ValueError, match="heads"):
        nn.MultiHeadAttention(8, 3)


def test_the_causal_mask_has_finite_numbers_of_its_dtype() -> None:
    for dtype in (mx.float32, mx.float16, mx.bfloat16):
        mask = nn.MultiHeadAttention.create_additive_causal_mask(4, dtype)
        assert mask.dtype == dtype
        lower = numpy(mask.astype(mx.float32))
        assert np.isfinite(lower).all() and (np.tril(lower) == 0).all()
        assert (lower[np.triu_indices(4, 1)] < -6e4).all()


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("checkpoint", [True, False])
def test_transformers_are_residual_blocks(norm_first: bool, checkpoint: bool) -> None:
    model = nn.Transformer(8, 2, 2, 2, 12, norm_first=norm_first, checkpoint=checkpoint)
    src, tgt = numbers(2, 4, 8), numbers(2, 5, 8)
    memory = src
    for layer in model.encoder.layers:
        memory = encoder_layer(layer, memory, 0)
    memory = norm(model.encoder.ln, memory)
    want = tgt
    for layer in model.decoder.layers:
        want = decoder_layer(layer, want, memory, CAUSAL)
    want = norm(model.decoder.ln, want)
    assert_close(model(array(src), array(tgt), None, array(CAUSAL), None), want, 1e-4)


def test_recomputed_gradients_are_the_same() -> None:
    x = array(numbers(2, 5, 8))
    gradients = []
    for checkpoint in (True, False):
        mx.random.seed(0)
        model = nn.TransformerEncoder(2, 8, 2, checkpoint=checkpoint)
        _, gradient = nn.value_and_grad(model, lambda: model(x, None).square().sum())()  # noqa: B023
        gradients.append(gradient["layers"][0]["attention"]["query_proj"]["weight"])
    assert_close(gradients[0], numpy(gradients[1]), 1e-6)


def test_defaults_and_custom_parts_of_a_transformer() -> None:
    model = nn.Transformer(num_encoder_layers=1, num_decoder_layers=1)
    assert model.encoder.layers[0].linear1.weight.shape == (2048, 512)
    assert model.decoder.layers[0].self_attention.num_heads == 8

    class Part(nn.Module):
        def __call__(self, x: mx.array, *rest: Any) -> mx.array:
            return x + 1

    custom = nn.Transformer(custom_encoder=Part(), custom_decoder=Part())
    assert custom(mx.zeros(2), mx.zeros(2), None, None, None).tolist() == [1, 1]
    assert custom.parameters() == {"encoder": {}, "decoder": {}}


def test_models_that_hold_a_function_can_be_copied_and_pickled() -> None:
    model = nn.TransformerEncoderLayer(8, 2, activation=nn.gelu)
    x = array(numbers(2, 5, 8))
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert twin.activation is nn.gelu
        assert_close(twin(x, None), numpy(model(x, None)), 1e-6)
