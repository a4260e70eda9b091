//! Owns the tests of layers and activations.

use olivine_core::{Array, Dtype, Result, grad, random};
use olivine_cpu as _;
use olivine_nn::{
    Activation, Dropout, Embedding, Layer, LayerNorm, Linear, Module, RMSNorm, Sequential,
    log_softmax, value_and_grad,
};

fn close(x: &Array, expected: &[f32], tolerance: f32) -> Result<()> {
    let values = x.to_vec::<f32>()?;
    assert_eq!(values.len(), expected.len());
    for (i, (a, b)) in values.iter().zip(expected).enumerate() {
        assert!(
            (a - b).abs() <= tolerance * (1.0 + b.abs()),
            "element {i}: {a} instead of {b}"
        );
    }
    Ok(())
}

#[test]
fn linear_layers_multiply_and_add_over_any_leading_axes() -> Result<()> {
    let layer = Linear {
        weight: Array::from_slice(&[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0], [2, 3])?.into(),
        bias: Some(Array::from_slice(&[0.5f32, -0.5], [2])?.into()),
    };
    let x = Array::from_slice(&[1.0f32, 0.0, 0.0, 1.0, 1.0, 1.0], [2, 1, 3])?;
    let y = layer.forward(&x)?;
    assert_eq!(y.shape()[..], [2, 1, 2]);
    close(&y, &[1.5, 3.5, 6.5, 14.5], 0.0)
}

#[test]
fn an_empty_batch_passes_through_and_has_zero_gradients() -> Result<()> {
    let model = Sequential::new()
        .then(Linear::new(3, 4)?)
        .then(LayerNorm::new(4, 1e-5)?)
        .then(Activation::Gelu)
        .then(Dropout::new(0.1)?)
        .then(Linear::new(4, 2)?);
    let x = Array::zeros([0, 3], Dtype::Float32)?;
    assert_eq!(model.forward(&x)?.shape()[..], [0, 2]);
    let (loss, gradients) = value_and_grad(&model, |model| model.forward(&x)?.sum(..))?;
    assert_eq!(loss.item::<f32>()?, 0.0);
    assert_eq!(gradients.len(), 6);
    for (name, gradient) in &gradients {
        assert!(
            gradient.to_vec::<f32>()?.iter().all(|&g| g == 0.0),
            "{name}"
        );
    }
    Ok(())
}

#[test]
fn an_embedding_adds_up_the_gradients_of_repeated_ids() -> Result<()> {
    let embedding = Embedding::new(4, 2)?;
    let ids = Array::from_slice(&[1i32, 3, 1], [3])?;
    let (_, gradients) = value_and_grad(&embedding, |e| e.forward(&ids)?.sum(..))?;
    close(
        &gradients["weight"],
        &[0.0, 0.0, 2.0, 2.0, 0.0, 0.0, 1.0, 1.0],
        0.0,
    )?;
    let x = Array::from_slice(&[1.0f32, 1.0], [1, 2])?;
    close(
        &embedding.as_linear(&x)?,
        &embedding.weight.sum(-1)?.to_vec::<f32>()?,
        1e-6,
    )
}

#[test]
fn norms_have_their_published_formulas() -> Result<()> {
    let x = Array::from_slice(&[1.0f32, -2.0, 3.0, 4.0], [1, 4])?;
    let mean_square = (1.0f32 + 4.0 + 9.0 + 16.0) / 4.0;
    let expected: Vec<f32> = [1.0f32, -2.0, 3.0, 4.0]
        .iter()
        .map(|v| v / (mean_square + 1e-5).sqrt())
        .collect();
    close(&RMSNorm::new(4, 1e-5)?.forward(&x)?, &expected, 1e-6)?;
    let variance = (0.5f32 * 0.5 + 3.5 * 3.5 + 1.5 * 1.5 + 2.5 * 2.5) / 4.0;
    let expected: Vec<f32> = [-0.5f32, -3.5, 1.5, 2.5]
        .iter()
        .map(|v| v / (variance + 1e-5).sqrt())
        .collect();
    close(&LayerNorm::new(4, 1e-5)?.forward(&x)?, &expected, 1e-5)
}

#[test]
fn dropout_keeps_the_mean_and_drops_its_part() -> Result<()> {
    random::seed(5);
    let dropout = Dropout::new(0.3)?;
    let x = Array::ones([100_000], Dtype::Float32)?;
    let y = dropout.forward(&x)?.to_vec::<f32>()?;
    let dropped = y.iter().filter(|&&v| v == 0.0).count() as f32 / 1e5;
    assert!((dropped - 0.3).abs() < 0.01, "{dropped}");
    assert!((y.iter().sum::<f32>() / 1e5 - 1.0).abs() < 0.02);
    assert_ne!(
        y,
        dropout.forward(&x)?.to_vec::<f32>()?,
        "each call draws anew"
    );
    Ok(())
}

#[test]
fn dropout_passes_gradients_only_where_it_kept() -> Result<()> {
    let dropout = Dropout::new(0.5)?;
    let x = Array::full([64], 3.0f32)?;
    random::seed(1);
    let y = dropout.forward(&x)?.to_vec::<f32>()?;
    random::seed(1);
    let g = grad(|x: &Array| dropout.forward(x)?.sum(..))(&x)?.to_vec::<f32>()?;
    for (y, g) in y.iter().zip(&g) {
        assert_eq!(*g, if *y == 0.0 { 0.0 } else { 2.0 });
    }
    Ok(())
}

#[test]
fn dropout_wants_a_probability_below_one() {
    for p in [-0.1, 1.0, f64::NAN] {
        assert!(Dropout::new(p).is_err(), "{p}");
    }
    assert!(Dropout::new(0.0).is_ok());
}

#[test]
fn activations_have_their_published_values() -> Result<()> {
    use Activation as A;
    let x = Array::from_slice(&[-2.0f32, -0.5, 0.0, 1.0, 3.0], [5])?;
    let sigmoid = |x: f32| 1.0 / (1.0 + (-x).exp());
    let check = |activation: A, f: &dyn Fn(f32) -> f32| -> Result<()> {
        let expected: Vec<f32> = x.to_vec::<f32>()?.into_iter().map(f).collect();
        close(&activation.forward(&x)?, &expected, 2e-6)
    };
    check(A::Relu, &|x| x.max(0.0))?;
    check(A::LeakyRelu(0.1), &|x| if x > 0.0 { x } else { 0.1 * x })?;
    check(A::Elu(1.5), &|x| if x > 0.0 { x } else { 1.5 * x.exp_m1() })?;
    check(A::Silu, &|x| x * sigmoid(x))?;
    check(A::Sigmoid, &sigmoid)?;
    check(A::Tanh, &f32::tanh)?;
    check(A::Softplus, &|x| x.exp().ln_1p())?;
    check(A::GeluTanh, &|x| {
        0.5 * x * (1.0 + (0.797_884_6 * (x + 0.044_715 * x * x * x)).tanh())
    })?;
    // Φ(x) from tables.
    close(
        &A::Gelu.forward(&x)?,
        &[
            -2.0 * 0.022_750_13,
            -0.5 * 0.308_537_54,
            0.0,
            0.841_344_8,
            3.0 * 0.998_650_1,
        ],
        2e-6,
    )
}

#[test]
fn activations_have_finite_gradients_far_out() -> Result<()> {
    use Activation as A;
    let x = Array::from_slice(&[-300.0f32, 300.0], [2])?;
    let all = [
        A::Relu,
        A::LeakyRelu(0.1),
        A::Elu(1.0),
        A::Gelu,
        A::GeluTanh,
        A::Silu,
        A::Softplus,
    ];
    for activation in all {
        let g = grad(|x: &Array| activation.forward(x)?.sum(..))(&x)?.to_vec::<f32>()?;
        let low = if activation == A::LeakyRelu(0.1) {
            0.1
        } else {
            0.0
        };
        assert!(
            (g[0] - low).abs() < 1e-6 && (g[1] - 1.0).abs() < 1e-6,
            "{activation:?}: {g:?}"
        );
    }
    Ok(())
}

#[test]
fn log_softmax_stays_finite_for_large_logits() -> Result<()> {
    let x = Array::from_slice(&[1000.0f32, 0.0], [2])?;
    close(&log_softmax(&x, -1)?, &[0.0, -1000.0], 1e-6)
}

#[test]
fn a_copied_chain_does_not_share_its_parameters() -> Result<()> {
    let model = Sequential::new().then(Linear::without_bias(1, 1)?);
    let mut copy = model.clone();
    let before = model.parameters()["layers.0.weight"].item::<f32>()?;
    let mut values = copy.parameters();
    values.insert("layers.0.weight".to_owned(), Array::full([1, 1], 7.0f32)?);
    copy.update(&values)?;
    assert_eq!(model.parameters()["layers.0.weight"].item::<f32>()?, before);
    assert_eq!(copy.parameters()["layers.0.weight"].item::<f32>()?, 7.0);
    Ok(())
}

#[test]
fn an_empty_chain_returns_its_input() -> Result<()> {
    let x = Array::from_slice(&[1.0f32, 2.0], [2])?;
    close(&Sequential::new().forward(&x)?, &[1.0, 2.0], 0.0)
}
