//! Owns the tests of modules and their derive macro.

use std::marker::PhantomData;

use olivine_core::{Array, Dtype, Error, Result};
use olivine_cpu as _;
use olivine_nn::{Dropout, Layer, LayerNorm, Linear, Module, Param, Parameters, value_and_grad};

/// A field that is no module and has nothing to visit.
#[derive(Clone, PartialEq, Debug)]
struct Settings {
    name: &'static str,
}

#[derive(Clone, Module)]
struct Attention {
    #[module(rename = "q_proj")]
    query: Linear,
    r#type: Param,
}

#[derive(Clone, Module)]
enum Norm {
    Layer(LayerNorm),
    Scale { scale: Param, offset: Option<Param> },
    Nothing,
}

#[derive(Clone, Module)]
struct Pair(Linear, Param);

#[derive(Clone, Module)]
struct Marker;

#[derive(Module)]
enum Never {}

#[derive(Clone, Module)]
struct Block<L, const N: usize>
where
    L: Clone,
{
    attention: Attention,
    layers: Vec<L>,
    fixed: [Param; N],
    maybe: Option<Linear>,
    never: Option<Linear>,
    boxed: Box<Pair>,
    norms: Vec<Norm>,
    dropout: Dropout,
    width: usize,
    label: String,
    phantom: PhantomData<fn(L)>,
    marker: Marker,
    #[module(skip)]
    settings: Settings,
    #[module(skip)]
    table: Array,
}

fn param(shape: &[usize]) -> Result<Param> {
    Ok(Array::ones(shape, Dtype::Float32)?.into())
}

fn block() -> Result<Block<Linear, 2>> {
    Ok(Block {
        attention: Attention {
            query: Linear::without_bias(2, 3)?,
            r#type: param(&[4])?,
        },
        layers: vec![Linear::without_bias(1, 1)?, Linear::new(2, 2)?],
        fixed: [param(&[1])?, param(&[2])?],
        maybe: Some(Linear::without_bias(3, 1)?),
        never: None,
        boxed: Box::new(Pair(Linear::without_bias(1, 2)?, param(&[])?)),
        norms: vec![
            Norm::Layer(LayerNorm::new(3, 1e-5)?),
            Norm::Scale {
                scale: param(&[5])?,
                offset: None,
            },
            Norm::Nothing,
        ],
        dropout: Dropout::new(0.5)?,
        width: 3,
        label: "block".to_owned(),
        phantom: PhantomData,
        marker: Marker,
        settings: Settings { name: "kept" },
        table: Array::ones([7], Dtype::Float32)?,
    })
}

const NAMES: [&str; 13] = [
    "attention.q_proj.weight",
    "attention.type",
    "boxed.0.weight",
    "boxed.1",
    "fixed.0",
    "fixed.1",
    "layers.0.weight",
    "layers.1.bias",
    "layers.1.weight",
    "maybe.weight",
    "norms.0.bias",
    "norms.0.weight",
    "norms.1.scale",
];

#[test]
fn names_follow_the_fields() -> Result<()> {
    let block = block()?;
    let names: Vec<String> = block.parameters().into_keys().collect();
    assert_eq!(names, NAMES);
    assert_eq!(
        block.num_parameters(),
        6 + 4 + 2 + 1 + 1 + 2 + 1 + 2 + 4 + 3 + 3 + 3 + 5
    );
    assert_eq!((block.width, block.label.as_str()), (3, "block"));
    assert_eq!((block.settings.name, block.table.size()), ("kept", 7));
    assert_eq!(Marker.parameters().len(), 0);
    Ok(())
}

#[test]
fn visits_are_in_the_order_of_declaration() -> Result<()> {
    let mut order = Vec::new();
    block()?.visit("model", &mut |name, _| order.push(name.to_owned()));
    assert_eq!(
        order[..3],
        [
            "model.attention.q_proj.weight",
            "model.attention.type",
            "model.layers.0.weight"
        ]
    );
    let mut mutable = Vec::new();
    block()?.visit_mut("model", &mut |name, _| mutable.push(name.to_owned()));
    assert_eq!(order, mutable);
    Ok(())
}

#[test]
fn an_enum_without_variants_can_be_derived() {
    fn is_module<M: Module>() {}
    is_module::<Never>();
    is_module::<Box<dyn Layer>>();
}

#[test]
fn update_replaces_only_what_is_named() -> Result<()> {
    let mut block = block()?;
    let before = block.parameters();
    let new = Array::full([2], 9.0f32)?;
    block.update(&Parameters::from([("fixed.1".to_owned(), new)]))?;
    assert_eq!(block.fixed[1].to_vec::<f32>()?, [9.0, 9.0]);
    for (name, value) in block.parameters() {
        if name != "fixed.1" {
            assert_eq!(
                value.to_vec::<f32>()?,
                before[&name].to_vec::<f32>()?,
                "{name}"
            );
        }
    }
    Ok(())
}

#[test]
fn wrong_updates_name_the_parameter_and_change_nothing() -> Result<()> {
    let mut block = block()?;
    let good = (
        "attention.type".to_owned(),
        Array::zeros([4], Dtype::Float32)?,
    );
    let mut check = |bad: &str, shape: &[usize], expected: &str| -> Result<()> {
        let bad = (bad.to_owned(), Array::zeros(shape, Dtype::Float32)?);
        let error = block
            .update(&Parameters::from([good.clone(), bad.clone()]))
            .unwrap_err();
        assert!(
            matches!(&error, Error::Parameter { name, .. } if *name == bad.0),
            "{error}"
        );
        assert_eq!(error.to_string(), expected);
        assert_eq!(block.attention.r#type.to_vec::<f32>()?, [1.0; 4]);
        Ok(())
    };
    check(
        "layers.7.weight",
        &[1],
        "[update] parameter `layers.7.weight` is not one of the module's",
    )?;
    check(
        "fixed.1",
        &[3],
        "[update] parameter `fixed.1` has shape (2,), not (3,)",
    )?;
    Ok(())
}

#[test]
fn load_wants_every_parameter() -> Result<()> {
    let source = block()?;
    let mut target = block()?;
    let mut values = source.parameters();
    target.load(&values)?;
    for (name, value) in target.parameters() {
        assert_eq!(
            value.to_vec::<f32>()?,
            values[&name].to_vec::<f32>()?,
            "{name}"
        );
    }
    values.remove("maybe.weight");
    let error = target.load(&values).unwrap_err();
    assert_eq!(
        error.to_string(),
        "[load] parameter `maybe.weight` is missing from the values"
    );
    Ok(())
}

#[test]
fn freezing_goes_by_whole_names() -> Result<()> {
    let mut block = block()?;
    block.freeze("layers.1")?;
    block.freeze("boxed.1")?;
    let trainable = block.trainable_parameters();
    assert_eq!(trainable.len(), NAMES.len() - 3);
    assert!(trainable.contains_key("layers.0.weight") && trainable.contains_key("boxed.0.weight"));
    block.unfreeze("layers.1.bias")?;
    assert!(block.trainable_parameters().contains_key("layers.1.bias"));
    block.freeze_all();
    assert!(block.trainable_parameters().is_empty());
    assert_eq!(block.parameters().len(), NAMES.len());
    block.unfreeze_all();
    assert_eq!(block.trainable_parameters().len(), NAMES.len());
    // "layer" starts "layers" but is no name.
    let error = block.freeze("layer").unwrap_err();
    assert_eq!(
        error.to_string(),
        "[freeze] parameter `layer` names no parameter or module"
    );
    Ok(())
}

#[test]
fn frozen_parameters_stay_frozen_when_replaced_and_get_no_gradient() -> Result<()> {
    let mut layer = Linear::new(2, 1)?;
    layer.freeze("weight")?;
    layer.update(&Parameters::from([(
        "weight".to_owned(),
        Array::ones([1, 2], Dtype::Float32)?,
    )]))?;
    let x = Array::from_slice(&[1.0f32, 2.0], [1, 2])?;
    let (loss, gradients) = value_and_grad(&layer, |layer| layer.forward(&x)?.sum(..))?;
    assert_eq!(gradients.keys().collect::<Vec<_>>(), ["bias"]);
    assert_eq!(gradients["bias"].to_vec::<f32>()?, [1.0]);
    assert_eq!(
        loss.item::<f32>()?,
        3.0 + layer.bias.unwrap().item::<f32>()?
    );
    Ok(())
}

#[test]
fn integers_are_parameters_but_not_trained() -> Result<()> {
    #[derive(Clone, Module)]
    struct Quantized {
        packed: Param,
        scale: Param,
    }
    let model = Quantized {
        packed: Array::ones([2], Dtype::Uint32)?.into(),
        scale: param(&[2])?,
    };
    assert_eq!(model.parameters().len(), 2);
    assert_eq!(model.trainable_parameters().len(), 1);
    let loss = |model: &Quantized| model.packed.multiply(&model.scale)?.sum(..);
    assert_eq!(
        value_and_grad(&model, loss)?.1["scale"].to_vec::<f32>()?,
        [1.0, 1.0]
    );
    Ok(())
}

#[test]
fn a_loss_may_carry_something_along() -> Result<()> {
    let layer = Linear::without_bias(1, 1)?;
    let x = Array::full([1, 1], 4.0f32)?;
    let ((loss, prediction), gradients) = value_and_grad(&layer, |layer| {
        let prediction = layer.forward(&x)?;
        Ok((prediction.square()?.sum(..)?, prediction))
    })?;
    let y = prediction.item::<f32>()?;
    assert_eq!(loss.item::<f32>()?, y * y);
    assert_eq!(gradients["weight"].item::<f32>()?, 2.0 * y * 4.0);
    Ok(())
}

#[test]
fn training_mode_reaches_every_dropout() -> Result<()> {
    let mut block = block()?;
    let x = Array::ones([1000], Dtype::Float32)?;
    assert!(block.dropout.forward(&x)?.to_vec::<f32>()?.contains(&0.0));
    block.set_training(false);
    assert!(!block.dropout.forward(&x)?.to_vec::<f32>()?.contains(&0.0));
    block.set_training(true);
    assert!(block.dropout.forward(&x)?.to_vec::<f32>()?.contains(&0.0));
    Ok(())
}

#[test]
fn set_dtype_converts_floating_point_parameters() -> Result<()> {
    let mut layer = Linear::new(2, 2)?;
    layer.set_dtype(Dtype::BFloat16)?;
    assert!(
        layer
            .parameters()
            .values()
            .all(|p| p.dtype() == Dtype::BFloat16)
    );
    assert!(layer.set_dtype(Dtype::Int32).is_err());
    Ok(())
}
