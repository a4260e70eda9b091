"""Layers and gradients that are spread over processes, with a group of two that hold the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import olivine.core as mx
import pytest
from nn_testing import array, assert_close, numbers, numpy
from olivine import nn
from olivine.nn.layers.distributed import shard_inplace, shard_linear
from olivine.nn.utils import clip_grad_norm_sharded
from olivine.utils import tree_flatten, tree_map


class TwoProcesses:
    """A group of two processes that hold the same."""

    def __init__(self, rank: int = 0) -> None:
        self._rank = rank

    def size(self) -> int:
        return 2

    def rank(self) -> int:
        return self._rank


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> list[mx.array]:
    """What is summed over the processes, each of which sends the same."""
    sent: list[mx.array] = []

    def all_sum(x: mx.array, **_: Any) -> mx.array:
        sent.append(x)
        return 2 * x

    monkeypatch.setattr(mx.distributed, "all_sum", all_sum)
    return sent


@pytest.mark.parametrize(
    ("limit", "sizes"),
    [(32 * 1024**2, [17]), (20, [6, 10, 1]), (24, [6, 10, 1]), (28, [16, 1]), (0, [6, 10, 1])],
)
def test_averages_are_sent_in_messages_of_a_size(
    messages: list[mx.array], limit: int, sizes: list[int]
) -> None:
    tree = {"a": array(numbers(2, 3)), "b": [array(numbers(10)), {"c": array(numbers(1))}]}
    group: Any = TwoProcesses()
    averaged = nn.average_gradients(tree, group=group, all_reduce_size=limit)
    assert [x.size for x in messages] == sizes
    tree_map(lambda a, b: assert_close(a, numpy(b), 0), averaged, tree)


def test_gradients_of_several_dtypes_are_sent_one_by_one(messages: list[mx.array]) -> None:
    tree = {"a": mx.ones(3), "b": mx.ones(2, mx.float16)}
    group: Any = TwoProcesses()
    averaged = nn.average_gradients(tree, group=group)
    assert [x.size for x in messages] == [3, 2]
    assert averaged["b"].dtype == mx.float16


def test_clipping_uses_the_norm_of_all_processes(messages: list[mx.array]) -> None:
    group: Any = TwoProcesses()
    clipped, norm = clip_grad_norm_sharded({"a": mx.array([3.0, 4.0])}, 1.0, group)
    assert_close(norm, 5 * np.sqrt(2))
    assert_close(clipped["a"], np.array([3, 4]) / (5 * np.sqrt(2)))
    small, _ = clip_grad_norm_sharded({"a": mx.array([3.0, 4.0])}, 100.0, group)
    assert small["a"].tolist() == [3, 4]


@pytest.mark.parametrize("segments", [1, 2, [3], [0.5]])
@pytest.mark.parametrize("sharding", ["all-to-sharded", "sharded-to-all"])
def test_parts_of_all_processes_make_the_whole_layer(sharding: str, segments: Any) -> None:
    whole = nn.Linear(12, 12)
    cut = [3] if segments == [3] else [6] if segments != 1 else []
    if segments == [3]:
        whole, segments, cut = nn.Linear(8, 8), [4], [4]
    groups: list[Any] = [TwoProcesses(rank) for rank in range(2)]
    parts = [shard_linear(whole, sharding, segments=segments, group=g) for g in groups]
    axis = 0 if sharding == "all-to-sharded" else 1
    blocks = np.split(numpy(whole.weight), cut, axis=axis)
    for rank, part in enumerate(parts):
        want = np.concatenate([np.split(b, 2, axis=axis)[rank] for b in blocks], axis=axis)
        assert_close(part.weight, want, 0)
        assert repr(part).endswith(repr(whole)[len("Linear") :])


def test_averages_of_one_process_are_what_was_given() -> None:
    gradients = {"a": mx.ones(2)}
    assert nn.average_gradients(gradients) is gradients


def test_a_layer_is_spread_in_place_as_a_function_says() -> None:
    whole = nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 2, bias=False))
    first = numpy(whole.layers[0].weight)
    second = numpy(whole.layers[1].weight)
    group: Any = TwoProcesses(1)

    def cut(path: str, x: mx.array) -> Any:
        return {"layers.0.weight": 0, "layers.0.bias": None}.get(path, (-1, [2]))

    shard_inplace(whole, cut, group=group)
    assert_close(whole.layers[0].weight, first[3:], 0)
    assert whole.layers[0].bias.shape == (6,)
    assert_close(whole.layers[1].weight, second[:, [1, 4, 5]], 0)
    wrongs: list[Any] = ["all-to-all", lambda path, x: "rows"]
    for wrong in wrongs:
        with pytest.raises(ValueError, match="shard"):
            shard_inplace(nn.Linear(4, 4), wrong, group=group)


def test_quantized_layers_are_spread_by_rows_or_groups() -> None:
    whole = nn.Linear(128, 8).to_quantized()
    for rank in range(2):
        group: Any = TwoProcesses(rank)
        rows = shard_linear(whole, "all-to-sharded", group=group)
        assert mx.array_equal(rows.weight, whole.weight[4 * rank : 4 * rank + 4]).item()
        assert_close(rows.bias, numpy(whole.bias)[4 * rank : 4 * rank + 4], 0)
        groups = shard_linear(whole, "sharded-to-all", group=group)
        assert mx.array_equal(groups.scales, whole.scales[:, rank : rank + 1]).item()
        assert groups.bias.shape == (8,)
        for part in (rows, groups):
            assert repr(part).split("(")[1] == repr(whole).split("(")[1]
            assert part.unfreeze().trainable_parameters() == {}


def test_sums_go_over_all_processes(messages: list[mx.array]) -> None:
    group: Any = TwoProcesses()
    x = numbers(3, 4)
    layer = nn.ShardedToAllLinear(8, 5, group=group)
    assert_close(layer(array(x)), 2 * x @ numpy(layer.weight).T + numpy(layer.bias))
    rows = nn.AllToShardedLinear(4, 6, bias=False, group=group)
    assert rows.weight.shape == (3, 4)
    gradient = mx.grad(lambda x: rows(x).sum())(array(x))
    assert_close(gradient, 2 * np.ones((3, 3)) @ numpy(rows.weight))


def test_what_does_not_split_over_the_processes_is_refused() -> None:
    group: Any = TwoProcesses()
    for kind in (nn.AllToShardedLinear, nn.ShardedToAllLinear):
        with pytest.raises(ValueError, match="2 processes"):
            kind(3, 3, group=group)
    with pytest.raises(ValueError, match="weight"):
        nn.fully_shard(nn.Linear(4, 3), group=group)
    with pytest.raises(ValueError, match="sharding"):
        shard_linear(nn.Linear(4, 4), "rows", group=group)


@pytest.fixture
def gathering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exchange between two processes that hold the same."""

    def all_gather(x: mx.array, **_: Any) -> mx.array:
        return mx.concatenate([x, x])

    def sum_scatter(x: mx.array, **_: Any) -> mx.array:
        return 2 * x[: x.shape[0] // 2]

    monkeypatch.setattr(mx.distributed, "all_gather", all_gather)
    monkeypatch.setattr(mx.distributed, "sum_scatter", sum_scatter)


@pytest.mark.usefixtures("gathering")
def test_fully_sharded_modules_are_whole_only_while_they_are_called() -> None:
    half = numbers(3, 4)
    whole = nn.Linear(4, 6).update({"weight": array(np.tile(half, (2, 1))), "bias": mx.ones(6)})
    spread = nn.Linear(4, 6).update(whole.parameters())
    group: Any = TwoProcesses()
    module = nn.fully_shard(spread, group=group)
    assert repr(module).startswith("FullyShardedModule(num_sharded_params=2")
    assert nn.fully_shard(module, group=group) is module
    assert nn.fully_shard(nn.ReLU(), group=group).parameters() == {}
    x = array(numbers(5, 4))
    for _ in range(2):
        assert_close(module(x), numpy(whole(x)), 1e-6)
        assert spread.weight.shape == (3, 4)
    way = array(np.tile(numbers(5, 3), (1, 2)))
    _, want = nn.value_and_grad(whole, lambda: (whole(x) * way).sum())()
    _, got = nn.value_and_grad(module, lambda: (module(x) * way).sum())()
    flat = tree_flatten(got, destination={})
    assert sorted(flat) == ["module.bias", "module.weight"]
    assert_close(flat["module.weight"], numpy(want["weight"])[:3])
    assert_close(flat["module.bias"], numpy(want["bias"])[:3])


@pytest.mark.usefixtures("gathering")
def test_fully_sharded_modules_compute_in_another_dtype_and_survive_errors() -> None:
    group: Any = TwoProcesses()
    table = nn.Embedding(6, 4)
    module: Any = nn.FullyShardedModule(table, group=group, compute_dtype=mx.float16)
    assert module.as_linear(mx.ones((2, 4), mx.float16)).dtype == mx.float16
    assert table.weight.dtype == mx.float32 and table.weight.shape == (3, 4)
    with pytest.raises(ValueError):
        module.as_linear(mx.ones((2, 5)))
    assert table.weight.shape == (3, 4)
