//! Owns Olivine's side of every benchmark; `peers/peer.py` says what each measures.

use std::time::{Duration, Instant};

use olivine::{
    nn::{
        losses::cross_entropy,
        optimizers::{AdamW, Optimizer},
        value_and_grad,
    },
    prelude::*,
};
use olivine_lm::{ModelConfig, models::llama::Llama};

/// A call to time.
pub(crate) type Work = Box<dyn FnMut() -> Result<()>>;

/// One benchmark.
pub(crate) struct Bench {
    /// The name, the same in every peer.
    pub(crate) name: &'static str,
    /// What it measures.
    pub(crate) what: &'static str,
    /// Calls that one measurement averages over, where a single one is too short to time.
    calls: u32,
    /// Makes the inputs and returns the call.
    pub(crate) setup: fn() -> Result<Work>,
}

const LARGE: usize = 1 << 24;

/// Every benchmark.
pub(crate) const ALL: &[Bench] = &[
    bench("matmul_512", "product of two f32 matrices", 10, || {
        matmul(512)
    }),
    bench("matmul_1024", "product of two f32 matrices", 2, || {
        matmul(1024)
    }),
    bench("matmul_2048", "product of two f32 matrices", 1, || {
        matmul(2048)
    }),
    bench("add_16m", "sum of two f32 vectors", 1, || {
        let (a, b) = (normal([LARGE])?, normal([LARGE])?);
        Ok(work(move || a.add(&b)))
    }),
    bench("exp_16m", "exponential of an f32 vector", 1, || {
        pointwise(Array::exp)
    }),
    bench("gelu_16m", "tanh GELU, op by op", 1, || pointwise(gelu)),
    bench("gelu_fused_16m", "tanh GELU, compiled", 1, || {
        pointwise(compile(olivine::nn::gelu_tanh))
    }),
    bench(
        "squared_error_16m",
        "mean squared difference, compiled",
        1,
        squared_error,
    ),
    bench("sum_16m", "sum of an f32 vector", 1, || {
        pointwise(|x| x.sum(..))
    }),
    bench("softmax_4096", "softmax of 4096 rows of 4096", 1, || {
        let x = normal([4096, 4096])?;
        Ok(work(move || x.softmax(-1)))
    }),
    bench("rms_norm_4096", "RMS norm of 4096 rows of 4096", 1, || {
        let (x, weight) = (normal([4096, 4096])?, normal([4096])?);
        Ok(work(move || fast::rms_norm(&x, Some(&weight), 1e-5)))
    }),
    bench(
        "sdpa_decode",
        "attention of one query over 1024 keys",
        20,
        || attention(1),
    ),
    bench(
        "sdpa_prefill",
        "causal attention of 1024 queries",
        1,
        || attention(1024),
    ),
    bench(
        "small_adds_1000",
        "a thousand dependent adds of one number",
        1,
        small_adds,
    ),
    bench(
        "train_step",
        "forward, backward and AdamW of a small Llama",
        1,
        train_step,
    ),
];

const fn bench(
    name: &'static str,
    what: &'static str,
    calls: u32,
    setup: fn() -> Result<Work>,
) -> Bench {
    Bench {
        name,
        what,
        calls,
        setup,
    }
}

/// Time spent on unmeasured calls, at least one, before each measurement: another library ran last,
/// so threads must wake and caches fill. The peers do the same.
const WARM_UP: Duration = Duration::from_millis(20);

/// Milliseconds of one call.
pub(crate) fn time(bench: &Bench, work: &mut Work) -> std::result::Result<f64, String> {
    let mut call = || work().map_err(|error| format!("{}: {error}", bench.name));
    let started = Instant::now();
    loop {
        call()?;
        if started.elapsed() > WARM_UP {
            break;
        }
    }
    let started = Instant::now();
    for _ in 0..bench.calls {
        call()?;
    }
    Ok(started.elapsed().as_secs_f64() * 1e3 / f64::from(bench.calls))
}

/// Random numbers, computed now.
fn normal<const N: usize>(shape: [usize; N]) -> Result<Array> {
    let x = random::normal(shape)?;
    x.eval()?;
    Ok(x)
}

/// A call that builds an array and computes it.
fn work(build: impl Fn() -> Result<Array> + 'static) -> Work {
    Box::new(move || build()?.eval())
}

fn pointwise(function: impl Fn(&Array) -> Result<Array> + 'static) -> Result<Work> {
    let x = normal([LARGE])?;
    Ok(work(move || function(&x)))
}

fn matmul(n: usize) -> Result<Work> {
    let (a, b) = (normal([n, n])?, normal([n, n])?);
    Ok(work(move || a.matmul(&b)))
}

fn gelu(x: &Array) -> Result<Array> {
    let inner = x.add(x.power(3.0)?.multiply(0.044715)?)?;
    let scale = (2.0 / std::f64::consts::PI).sqrt();
    x.multiply(0.5)?
        .multiply(inner.multiply(scale)?.tanh()?.add(1.0)?)
}

fn squared_error() -> Result<Work> {
    let pair = (normal([LARGE])?, normal([LARGE])?);
    let error = compile(|(x, y): &(Array, Array)| x.subtract(y)?.square()?.mean(..));
    Ok(work(move || error(&pair)))
}

fn attention(queries: usize) -> Result<Work> {
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

fn small_adds() -> Result<Work> {
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

fn train_step() -> Result<Work> {
    let config = r#"{"model_type": "llama", "vocab_size": 2048, "num_hidden_layers": 4,
        "hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 688,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": false}"#;
    let config =
        ModelConfig::parse("train_step".as_ref(), config).map_err(|error| Error::Argument {
            op: "train_step",
            reason: error.to_string(),
        })?;
    let mut model = Llama::new(&config)?;
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
