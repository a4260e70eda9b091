//! Owns Olivine's side of every benchmark, and how it is timed.

use std::time::{Duration, Instant};

use olivine::{
    Complex64,
    fft::{self, Norm},
    nn::{
        losses::cross_entropy,
        optimizers::{AdamW, Optimizer},
        value_and_grad,
    },
    ops::conv::ConvOptions,
    prelude::*,
    quantized::Quantization,
};
use olivine_lm::{ModelConfig, Weights, models::llama::Llama};

/// A call to time.
pub(crate) type Work = Box<dyn FnMut() -> Result<()>>;

/// The elements of a large vector.
pub(crate) const LARGE: usize = 1 << 24;

/// Time spent on unmeasured calls before each measurement, which averages over as many calls again:
/// another library ran last, so threads must wake and caches fill. The peers do the same.
const WARM_UP: Duration = Duration::from_millis(20);

/// Time of a call that warms itself up, and is measured alone.
const LONG: Duration = Duration::from_millis(500);

/// Milliseconds of one call.
pub(crate) fn time(work: &mut Work) -> Result<f64> {
    let (mut took, mut calls) = (Duration::ZERO, 0);
    let started = Instant::now();
    while calls == 0 || took < WARM_UP {
        work()?;
        calls += 1;
        took = started.elapsed();
    }
    if calls > 1 || took < LONG {
        let started = Instant::now();
        for _ in 0..calls {
            work()?;
        }
        took = started.elapsed();
    }
    Ok(took.as_secs_f64() * 1e3 / f64::from(calls))
}

/// Random numbers, computed now.
fn normal<const N: usize>(shape: [usize; N]) -> Result<Array> {
    let x = random::normal(shape)?;
    x.eval()?;
    Ok(x)
}

/// The same numbers in another dtype, computed now.
fn cast(x: Array, dtype: Dtype) -> Result<Array> {
    let x = x.astype(dtype)?;
    x.eval()?;
    Ok(x)
}

/// A call that builds an array and computes it.
pub(crate) fn work(build: impl Fn() -> Result<Array> + 'static) -> Work {
    Box::new(move || build()?.eval())
}

/// A function of one array.
pub(crate) fn over<const N: usize>(
    shape: [usize; N],
    function: impl Fn(&Array) -> Result<Array> + 'static,
) -> Result<Work> {
    let x = normal(shape)?;
    Ok(work(move || function(&x)))
}

/// A function of two arrays.
pub(crate) fn over2<const M: usize, const N: usize>(
    first: [usize; M],
    second: [usize; N],
    function: impl Fn(&Array, &Array) -> Result<Array> + 'static,
) -> Result<Work> {
    let (x, y) = (normal(first)?, normal(second)?);
    Ok(work(move || function(&x, &y)))
}

pub(crate) fn matmul(n: usize, dtype: Dtype) -> Result<Work> {
    let (a, b) = (cast(normal([n, n])?, dtype)?, cast(normal([n, n])?, dtype)?);
    Ok(work(move || a.matmul(&b)))
}

pub(crate) fn layer_norm() -> Result<Work> {
    let (x, weight, bias) = (normal([4096, 4096])?, normal([4096])?, normal([4096])?);
    Ok(work(move || {
        fast::layer_norm(&x, Some(&weight), Some(&bias), 1e-5)
    }))
}

/// Rows times the transpose of a packed matrix.
pub(crate) fn quantized(rows: usize, dtype: Dtype) -> Result<Work> {
    let x = cast(normal([rows, 4096])?, dtype)?;
    let w = cast(normal([4096, 4096])?, dtype)?.quantize(Quantization::affine(64, 4)?, None)?;
    eval([&w.codes, &w.scales].into_iter().chain(&w.biases))?;
    Ok(work(move || x.quantized_matmul(&w, true)))
}

pub(crate) fn conv2d() -> Result<Work> {
    over2([8, 56, 56, 64], [64, 3, 3, 64], |x, w| {
        let options = ConvOptions {
            padding: [1, 1],
            ..ConvOptions::default()
        };
        x.conv2d(w, options)
    })
}

pub(crate) fn fft() -> Result<Work> {
    let imaginary = normal([256, 4096])?.multiply(Complex64::new(0.0, 1.0))?;
    let x = normal([256, 4096])?.add(imaginary)?;
    x.eval()?;
    Ok(work(move || fft::fft(&x, None, -1, Norm::Backward)))
}

pub(crate) fn gelu(x: &Array) -> Result<Array> {
    let inner = x.add(x.power(3.0)?.multiply(0.044715)?)?;
    let scale = (2.0 / std::f64::consts::PI).sqrt();
    x.multiply(0.5)?
        .multiply(inner.multiply(scale)?.tanh()?.add(1.0)?)
}

pub(crate) fn squared_error() -> Result<Work> {
    let pair = (normal([LARGE])?, normal([LARGE])?);
    let error = compile(|(x, y): &(Array, Array)| x.subtract(y)?.square()?.mean(..));
    Ok(work(move || error(&pair)))
}

pub(crate) fn attention(queries: usize) -> Result<Work> {
    let q = normal([1, 32, queries, 128])?;
    let (k, v) = (normal([1, 8, 1024, 128])?, normal([1, 8, 1024, 128])?);
    Ok(work(move || {
        let options = fast::AttentionOptions {
            scale: 128f32.powf(-0.5),
            mask: if queries > 1 {
                fast::AttentionMask::Causal
            } else {
                fast::AttentionMask::None
            },
            sinks: None,
        };
        fast::scaled_dot_product_attention(&q, &k, &v, &options)
    }))
}

pub(crate) fn small_adds() -> Result<Work> {
    let one = Array::ones([1], Dtype::Float32)?.contiguous()?;
    let zero = Array::zeros([1], Dtype::Float32)?.contiguous()?;
    eval([&one, &zero])?;
    Ok(Box::new(move || {
        let mut x = zero.clone();
        for _ in 0..1000 {
            x = x.add(&one)?;
        }
        assert_eq!(x.item::<f32>()?, 1000.0);
        Ok(())
    }))
}

pub(crate) fn train_step() -> Result<Work> {
    let config = r#"{"model_type": "llama", "vocab_size": 2048, "num_hidden_layers": 4,
        "hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 688,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": false}"#;
    let failed = |error: olivine_lm::Error| Error::Argument {
        op: "train_step",
        reason: error.to_string(),
    };
    let config = ModelConfig::parse("train_step".as_ref(), config).map_err(failed)?;
    let mut model = Llama::new(&config, &Weights::random()).map_err(failed)?;
    let mut optimizer = AdamW::new(3e-4)
        .betas(0.9, 0.95)
        .eps(1e-8)
        .weight_decay(0.1);
    let tokens = random::randint(0, 2048, [8, 256])?;
    let targets = random::randint(0, 2048, [8, 256])?;
    eval([&tokens, &targets])?;
    Ok(Box::new(move || {
        let (loss, gradients) = value_and_grad(&model, |model| {
            let logits = model.forward(&tokens)?;
            cross_entropy(&logits, &targets)
        })?;
        optimizer.update(&mut model, &gradients)?;
        let (parameters, state) = (model.parameters(), optimizer.state());
        eval(parameters.values().chain(state.values()).chain([&loss]))?;
        loss.item::<f32>().map(|_| ())
    }))
}
