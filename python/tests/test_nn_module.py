"""Module: attributes, trees, updates, freezing, files, copies."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import olivine.core as mx
import pytest
from olivine import nn
from olivine.utils import tree_flatten


class Holder(nn.Module):
    """Arrays and modules in every place that a module may have them."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = mx.ones((2, 3))
        self.pair = [mx.zeros(2), mx.ones(2)]
        self.table = {"a": mx.zeros(1), "deep": [{"b": mx.ones(1)}]}
        self.stack: list[Any] = [nn.Linear(2, 2), "text", nn.ReLU(), {"inner": nn.RMSNorm(2)}]
        self.named = {"one": nn.Linear(2, 2, bias=False)}
        self.tied = (mx.ones(3),)
        self._cache = mx.ones(5)
        self.number: Any = 3


def names(tree: Any) -> list[str]:
    return list(tree_flatten(tree, destination={}))


PARAMETERS = [
    "weight",
    "pair.0",
    "pair.1",
    "table.a",
    "table.deep.0.b",
    "stack.0.weight",
    "stack.0.bias",
    "stack.3.inner.weight",
    "named.one.weight",
]


def test_parameters_are_found_in_lists_and_dictionaries_but_not_tuples_or_private_keys() -> None:
    assert names(Holder().parameters()) == PARAMETERS


def test_positions_of_a_list_stay_where_an_element_holds_no_parameters() -> None:
    assert Holder().parameters()["stack"][1:3] == [{}, {}]


def test_items_and_attributes_are_kept_apart() -> None:
    model = Holder()
    assert "weight" in model and "tied" in model and "_cache" in model
    assert "number" not in model and model.number == 3
    model.number = mx.array(1.0)
    assert "number" in model and "number" not in model.__dict__
    model.number = None
    assert "number" not in model and model.number is None
    model.number = [1]
    assert model["number"] == [1]


def test_reading_an_absent_attribute_raises_and_names_it() -> None:
    with pytest.raises(AttributeError, match="'Holder' object has no attribute 'absent'"):
        _ = Holder().absent
    assert getattr(Holder(), "absent", 7) == 7


def test_an_item_that_is_none_counts_as_absent() -> None:
    model = Holder()
    model["weight"] = None
    assert not hasattr(model, "weight")


def test_deleting_removes_items_and_attributes() -> None:
    model = Holder()
    del model.weight
    del model.number
    assert not hasattr(model, "weight") and not hasattr(model, "number")
    with pytest.raises(AttributeError):
        del model.weight


def test_an_array_does_not_silently_hide_behind_a_class_attribute() -> None:
    class Clash(nn.Module):
        scale: Any = None

    with pytest.raises(AttributeError):
        Clash().scale = mx.ones(1)


def test_state_is_the_module_itself() -> None:
    model = Holder()
    model.state["weight"] = mx.zeros(1)
    assert model.weight.tolist() == [0]


def test_children_are_direct_and_leaves_have_no_children() -> None:
    model = nn.Sequential(nn.Sequential(nn.ReLU(), nn.Tanh()), nn.GELU())
    outer = tree_flatten(model.children(), is_leaf=nn.Module.is_module)
    inner = tree_flatten(model.leaf_modules(), is_leaf=nn.Module.is_module)
    assert [name for name, _ in outer] == ["layers.0", "layers.1"]
    assert [name for name, _ in inner] == ["layers.0.layers.0", "layers.0.layers.1", "layers.1"]
    assert inner[2][1] is model.layers[1]


def test_modules_are_visited_parent_first_and_last_sibling_first() -> None:
    model = nn.Sequential(nn.Sequential(nn.ReLU(), nn.Tanh()), nn.GELU())
    seen = [name for name, _ in model.named_modules()]
    assert seen == ["", "layers.1", "layers.0", "layers.0.layers.1", "layers.0.layers.0"]
    assert model.modules() == [module for _, module in model.named_modules()]


def test_a_visit_goes_into_what_it_just_put_there() -> None:
    model = nn.Sequential(nn.ReLU())

    def grow(name: str, module: nn.Module) -> None:
        if isinstance(module, nn.ReLU):
            module.extra = nn.Tanh()

    model.apply_to_modules(grow)
    assert [name for name, _ in model.named_modules()] == ["", "layers.0", "layers.0.extra"]


def test_a_module_in_two_places_is_listed_twice() -> None:
    shared = nn.Linear(2, 2)
    model = nn.Sequential(shared, shared)
    assert len(names(model.parameters())) == 4
    shared.weight = mx.zeros((2, 2))
    assert model.layers[1].weight is model.layers[0].weight


def test_deep_trees_do_not_exhaust_the_stack() -> None:
    model: nn.Module = nn.Linear(1, 1)
    for _ in range(100):
        model = nn.Sequential(model)
    assert len(model.modules()) == 101
    ((name, _), _) = tree_flatten(model.parameters())
    assert name == ".".join(["layers.0"] * 100 + ["weight"])


def test_representation_shows_the_tree() -> None:
    model = nn.Sequential(nn.Sequential(nn.ReLU()), nn.Linear(2, 3))
    assert repr(model).splitlines() == [
        "Sequential(",
        "  (layers.0): Sequential(",
        "    (layers.0): ReLU()",
        "  )",
        "  (layers.1): Linear(input_dims=2, output_dims=3, bias=True)",
        ")",
    ]


def test_filter_and_map_gives_the_module_key_and_value() -> None:
    model = Holder()
    seen = []

    def keep(module: nn.Module, key: str, value: Any) -> bool:
        seen.append((module, key))
        return nn.Module.valid_parameter_filter(module, key, value)

    shapes = model.filter_and_map(keep, lambda x: x.shape)
    assert shapes["table"] == {"a": (1,), "deep": [{"b": (1,)}]}
    assert (model, "table.deep.0.b") in seen
    assert any(module is model.stack[0] and key == "weight" for module, key in seen)


def test_filter_and_map_refuses_to_look_into_what_is_no_container() -> None:
    with pytest.raises(RuntimeError, match="tied"):
        Holder().filter_and_map(lambda m, k, v: k == "tied", is_leaf_fn=lambda m, k, v: False)


def test_update_changes_only_what_it_names() -> None:
    model = Holder()
    kept = model.pair[0]
    new = {"pair": [{}, mx.zeros(2)], "named": {"one": {"weight": mx.zeros((2, 2))}}}
    with pytest.raises(ValueError, match="'|array"):
        model.update(new)
    assert model.update({"named": new["named"]}) is model
    assert model.pair[0] is kept
    assert model.named["one"].weight.sum().item() == 0


@pytest.mark.parametrize(
    "tree",
    [
        {"absent": mx.ones(1)},
        {"weight": "text"},
        {"weight": {"a": mx.ones(1)}},
        {"pair": [mx.ones(2)] * 3},
        {"pair": "text"},
        {"pair": {"0": mx.ones(2)}},
        {"table": [mx.ones(1)]},
        {"stack": [{"weight": 1}]},
        {"stack": [{}, {"text": mx.ones(1)}]},
        [],
        None,
    ],
)
def test_strict_update_refuses_trees_that_do_not_fit(tree: Any) -> None:
    if tree == []:
        tree = [mx.ones(1)]
    with pytest.raises(ValueError):
        Holder().update(tree)


def test_loose_update_passes_over_what_does_not_fit() -> None:
    model = Holder()
    tree = {"absent": mx.ones(1), "pair": [mx.ones(2), mx.ones(2), mx.ones(2)], "table": 4}
    model.update(tree, strict=False)
    assert len(model.pair) == 2 and model.pair[0].tolist() == [1, 1]
    assert "absent" not in model and names(model.table) == ["a", "deep.0.b"]


def test_apply_maps_parameters_and_set_dtype_casts_floats_only() -> None:
    model = Holder()
    model.ids = mx.array([1, 2])
    assert model.apply(lambda x: x + 1) is model
    assert model.pair[0].tolist() == [1, 1] and model._cache.tolist() == [1] * 5
    model.set_dtype(mx.float16)
    assert model.weight.dtype == mx.float16 and model.ids.dtype == mx.int32
    model.set_dtype(mx.float32, predicate=None)
    assert model.ids.dtype == mx.float32
    model.set_dtype(mx.int32, lambda dtype: False)
    assert model.weight.dtype == mx.float32


def test_update_modules_swaps_layers_and_checks_the_tree() -> None:
    model = Holder()
    tanh = nn.Tanh()
    assert model.update_modules({"stack": [{}, {}, tanh]}) is model
    assert model.stack[2] is tanh and isinstance(model.stack[0], nn.Linear)
    model.update_modules({"named": {"one": tanh}})
    assert model.named["one"] is tanh
    model.update_modules(model.leaf_modules())
    norm = nn.RMSNorm(2)
    trees: list[dict[str, Any]] = [
        {"absent": norm},
        {"weight": norm},
        {"stack": [0]},
        {"stack": [{}] * 9},
    ]
    for tree in trees:
        with pytest.raises(ValueError):
            model.update_modules(tree)
    model.update_modules({"absent": tanh, "stack": [nn.GELU(), {}, {}, {}, tanh]}, strict=False)
    assert len(model.stack) == 4 and isinstance(model.stack[0], nn.GELU)


def test_freezing_and_unfreezing_everything() -> None:
    model = Holder()
    assert names(model.trainable_parameters()) == PARAMETERS
    assert names(model.freeze().trainable_parameters()) == []
    assert names(model.freeze().parameters()) == PARAMETERS
    assert names(model.unfreeze().trainable_parameters()) == PARAMETERS


def test_freezing_keys_here_or_everywhere() -> None:
    model = Holder()
    model.freeze(keys="weight", recurse=False)
    assert set(PARAMETERS) - set(names(model.trainable_parameters())) == {"weight"}
    model.freeze(keys=["weight", "bias"])
    assert names(model.trainable_parameters()) == ["pair.0", "pair.1", "table.a", "table.deep.0.b"]
    model.unfreeze(keys="bias")
    assert "stack.0.bias" in names(model.trainable_parameters())
    model.unfreeze(recurse=False)
    assert "weight" in names(model.trainable_parameters())
    assert "stack.0.weight" not in names(model.trainable_parameters())


def test_freezing_without_recursion_leaves_modules_in_lists_trainable() -> None:
    model = Holder().freeze(recurse=False)
    assert names(model.trainable_parameters()) == [
        "stack.0.weight",
        "stack.0.bias",
        "stack.3.inner.weight",
        "named.one.weight",
    ]


def test_one_array_of_a_list_can_be_frozen() -> None:
    model = Holder().freeze(keys="pair.1", recurse=False)
    assert model.trainable_parameters()["pair"][1] == {}


def test_strict_freezing_needs_the_key_somewhere() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.RMSNorm(2))
    model.freeze(keys="bias", strict=True)
    model.unfreeze(keys=["bias", "weight"], strict=True)
    for change in (model.freeze, model.unfreeze):
        with pytest.raises(KeyError, match="absent"):
            change(keys=["bias", "absent"], strict=True)
        with pytest.raises(KeyError, match="bias"):
            change(keys="bias", strict=True, recurse=False)
    assert len(names(model.trainable_parameters())) == 3


def test_a_new_parameter_of_a_frozen_module_is_trainable() -> None:
    model = Holder().freeze()
    model.extra = mx.ones(1)
    assert names(model.trainable_parameters()) == ["extra"]


def test_training_mode_reaches_every_module() -> None:
    model = Holder()
    assert model.training and model.eval() is model
    assert not any(module.training for module in model.modules())
    assert all(module.training for module in model.train().modules())
    with pytest.raises(AttributeError):
        model.training = False  # type: ignore[misc]


@pytest.mark.parametrize("extension", ["npz", "safetensors"])
def test_weights_come_back_from_files(tmp_path: Path, extension: str) -> None:
    file = tmp_path / f"model.{extension}"
    model = Holder().apply(lambda x: mx.random.normal(x.shape))
    model.save_weights(str(file))
    loaded = Holder()
    assert loaded.load_weights(file) is loaded
    for (name, x), (_, y) in zip(
        tree_flatten(model.parameters()), tree_flatten(loaded.parameters()), strict=True
    ):
        assert mx.array_equal(x, y).item(), name


def test_other_extensions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\.npz"):
        Holder().save_weights(str(tmp_path / "model.bin"))


def test_strict_loading_tells_what_is_wrong() -> None:
    layer = nn.Linear(2, 3)
    weight, bias = mx.zeros((3, 2)), mx.zeros(3)
    with pytest.raises(ValueError, match="1 missing: bias"):
        layer.load_weights([("weight", weight)])
    with pytest.raises(ValueError, match="2 not in the model: more, other"):
        layer.load_weights([("weight", weight), ("bias", bias), ("other", bias), ("more", bias)])
    with pytest.raises(ValueError, match=r"weight has shape \(2, 3\), not \(3, 2\)"):
        layer.load_weights([("weight", weight.T), ("bias", bias)])
    with pytest.raises(ValueError, match="bias is a int"):
        layer.load_weights([("weight", weight), ("bias", 3)])  # type: ignore[list-item]
    assert layer.load_weights([("weight", weight), ("bias", bias)]).weight.sum().item() == 0


def test_loose_loading_takes_what_fits() -> None:
    model = nn.Sequential(nn.Linear(2, 3))
    model.load_weights([], strict=False)
    model.load_weights([("layers.0.bias", mx.ones(3)), ("layers.4.bias", mx.ones(3))], strict=False)
    assert model.layers[0].bias.tolist() == [1, 1, 1] and len(model.layers) == 1


def test_copies_are_independent() -> None:
    model = Holder().freeze(keys="weight")
    model.eval()
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(nn.Sequential(nn.Linear(2, 2))))):
        assert isinstance(twin, nn.Module)
    twin = copy.deepcopy(model)
    assert not twin.training and names(twin.parameters()) == PARAMETERS
    assert names(twin.trainable_parameters()) == names(model.trainable_parameters())
    twin.unfreeze()
    twin.pair[0] = mx.ones(9)
    assert "weight" not in names(model.trainable_parameters())
    assert model.pair[0].shape == (2,)


def test_pickles_keep_parameters_and_marks() -> None:
    model = nn.Sequential(nn.Linear(2, 3).freeze(), nn.BatchNorm(3)).eval()
    twin = pickle.loads(pickle.dumps(model))
    assert repr(twin) == repr(model) and not twin.layers[1].training
    assert mx.array_equal(twin.layers[0].weight, model.layers[0].weight).item()
    assert names(twin.trainable_parameters()) == ["layers.1.weight", "layers.1.bias"]


def test_a_discarded_module_frees_its_arrays_at_once() -> None:
    def use() -> None:
        model = nn.Linear(512, 512)
        mx.eval(model.parameters(), model.trainable_parameters())
        model.update_modules(model.leaf_modules())
        model.freeze().apply(lambda x: x + 1)

    mx.synchronize()
    before = mx.get_active_memory()
    use()
    mx.synchronize()
    assert mx.get_active_memory() == before
